"""In which order the emulator lets threads go on and stores arrive: drawn from a seed, and told in words."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

ORDERS = ("first come, first served", "any", "the newest")
VICTIMS = ("nobody", "a warp", "a block", "a rank", "all ranks but one", "a link")
NOBODY, WARP, BLOCK, RANK, ALL_BUT_ONE, LINK = range(6)
ALWAYS = 256  # chances are out of so many


@dataclass(frozen=True)
class Schedule:
    """What decides the order of events.

    ``run_order`` and ``arrival_order``: which of the threads that can go on, and of the stores that are under way, is
    next (an index of ORDERS). Chances out of 256: ``prompt``, that a store arrives at once; ``run``, that a thread goes
    on rather than that something arrives; ``stay``, that a thread goes on after a look at memory; ``tear``, that the
    pieces of a cell are looked at one after another. ``victim`` (an index of VICTIMS) is held back as long as anybody
    else can do anything: warp, block or receiving rank ``number`` of the rank ``pe``.
    """

    seed: int
    run_order: int
    arrival_order: int
    prompt: int
    run: int
    stay: int
    tear: int
    victim: int
    pe: int
    number: int

    def __str__(self) -> str:
        threads = f"threads: {ORDERS[self.run_order]}, {self.stay} of 256 looks without a change"
        stores = f"stores: {ORDERS[self.arrival_order]}, {self.prompt} of 256 at once"
        return f"{threads}; {stores}; {self._held_back()}"

    def _held_back(self) -> str:
        of = {WARP: f"warp {self.number} of rank", BLOCK: f"block {self.number} of rank", RANK: "rank",
              ALL_BUT_ONE: "every rank but", LINK: f"stores to rank {self.number} from rank"}  # fmt: skip
        return f"{of[self.victim]} {self.pe} held back" if self.victim else "nobody held back"


def draw(seed: int, pes: int, blocks: int, threads: int) -> Schedule:
    """The schedule of a seed: every third without a victim, of these some in plain turns."""
    dice = Random(f"schedule {seed}")
    victim = dice.choice((NOBODY, NOBODY, NOBODY, WARP, BLOCK, RANK, ALL_BUT_ONE, ALL_BUT_ONE, LINK))
    numbers = {WARP: blocks * -(-threads // 32), BLOCK: blocks, LINK: pes}
    return Schedule(
        seed=dice.getrandbits(63),
        run_order=dice.choice((0, 1, 1, 2)),
        arrival_order=dice.choice((0, 1, 1, 2)),
        prompt=dice.choice((0, 0, 128, ALWAYS)),
        run=dice.choice((16, 128, 240, ALWAYS)),
        stay=dice.choice((0, 128, 240)),
        tear=dice.choice((0, 32, ALWAYS)),
        victim=victim,
        pe=dice.randrange(pes),
        number=dice.randrange(numbers.get(victim, 1)),
    )
