"""Schedules: the order in which the emulator runs threads and delivers stores, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

ORDERS = ("oldest first", "in random order", "newest first")
VICTIMS = ("none", "a warp", "a block", "a rank", "all ranks but one", "a link")
NO_VICTIM, WARP, BLOCK, RANK, ALL_BUT_ONE, LINK = range(6)
ALWAYS = 256  # the denominator of all chances


@dataclass(frozen=True)
class Schedule:
    """What decides the order of events.

    ``run_order`` and ``arrival_order`` (indices of ORDERS) select the next of the runnable threads and of the stores in
    flight. Chances out of 256: ``prompt``, that a store arrives at once; ``run``, that a thread runs before a store
    arrives; ``stay``, that a thread keeps running after a load; ``tear``, that a cell is loaded in pieces; ``stale``
    (below ALWAYS, or a spin never ends), that a load returns an older value where it may. ``copies``: puts are copies
    by threads, as over NVLink, and not a proxy's, as over a network. ``victim`` (an index of VICTIMS) is delayed as
    long as any other event is possible: warp, block or receiving rank ``number`` of the rank ``pe``.
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
    stale: int = 0
    copies: bool = False

    def __str__(self) -> str:
        threads = f"threads: {ORDERS[self.run_order]}, {self.stay} of 256 keep running after a load"
        stores = f"stores: {ORDERS[self.arrival_order]}, {self.prompt} of 256 arrive at once"
        loads = f"loads: {self.stale} of 256 return an older value where they may"
        puts = "puts are copies; " if self.copies else ""
        return f"{threads}; {stores}; {loads}; {puts}{self._delayed()}"

    def _delayed(self) -> str:
        of = {WARP: f"warp {self.number} of rank", BLOCK: f"block {self.number} of rank", RANK: "rank",
              ALL_BUT_ONE: "every rank but", LINK: f"stores to rank {self.number} from rank"}  # fmt: skip
        return f"{of[self.victim]} {self.pe} delayed" if self.victim else "no delays"


def draw(seed: int, pes: int, blocks: int, threads: int) -> Schedule:
    """Draw the schedule of a seed; a third of them has no victim."""
    rng = Random(f"schedule {seed}")
    victim = rng.choice((NO_VICTIM, NO_VICTIM, NO_VICTIM, WARP, BLOCK, RANK, ALL_BUT_ONE, ALL_BUT_ONE, LINK))
    numbers = {WARP: blocks * -(-threads // 32), BLOCK: blocks, LINK: pes}
    return Schedule(
        seed=rng.getrandbits(63),
        run_order=rng.choice((0, 1, 1, 2)),
        arrival_order=rng.choice((0, 1, 1, 2)),
        prompt=rng.choice((0, 0, 128, ALWAYS)),
        run=rng.choice((16, 128, 240, ALWAYS)),
        stay=rng.choice((0, 128, 240)),
        tear=rng.choice((0, 32, ALWAYS)),
        victim=victim,
        pe=rng.randrange(pes),
        number=rng.randrange(numbers.get(victim, 1)),
        stale=rng.choice((0, 32, 192)),
        copies=rng.random() < 0.25,
    )
