"""Stories: the conditions under which ``verify`` proves answers, of whom they are told, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collbench.plan.collectives import Collective
from collbench.plan.dtypes import Dtype

Late = Literal["nobody", "everybody", "one rank"]
ALIGNED = (0, 0)
SLOTS = 5  # calls in a row with data of their own: past any two or three buffers that take turns


@dataclass(frozen=True)
class Story:
    """How calls are made, in which memory and with which data. Without more, they come back to back, with no barrier
    between them, out of place, each size by itself, with every layer of proof.

    ``in_place``: told in place as well. ``ways``: told of every way to open a backend, not of the usual one only.
    ``replayed``: the calls are recorded once (in a CUDA graph on a GPU) and replayed. ``twice``: on two communicators
    in turns. ``mixed``: all sizes in one sequence. ``late``: who is held back before each call. ``shared``: all calls
    write into the same memory. ``spoilt``: inputs are overwritten as soon as the rank's own call is over.
    ``shifts``: elements by which the whole memory and, beyond that, the input alone is moved off its alignment.
    ``special``: NaN, infinities, denormals and zeros are the data. ``same_bits``: random data, and every rank must
    have the bits of rank 0.
    """

    name: str
    about: str
    in_place: bool = False
    ways: bool = True
    replayed: bool = False
    twice: bool = False
    mixed: bool = False
    late: Late = "nobody"
    shared: bool = False
    spoilt: bool = False
    shifts: tuple[tuple[int, int], ...] = (ALIGNED,)
    special: bool = False
    same_bits: bool = False

    def skips(self, collective: Collective, dtype: Dtype) -> str | None:
        """Why it cannot be told of this collective and type, or None."""
        if self.special and not dtype.is_float:
            return f"{dtype.name} has neither NaN nor infinities"
        if self.same_bits and collective.name != "all_reduce":
            return f"{collective.name} does not give the same sum to all ranks"
        return None


STORIES = {
    story.name: story
    for story in (
        Story("back-to-back", "calls without a barrier between them, out of place and in place", in_place=True),
        Story("replay", "a CUDA graph is replayed with fresh data; on a CPU the calls are made again", in_place=True,
              replayed=True),
        Story("two-communicators", "the backend is opened twice, and calls alternate", twice=True),
        Story("random-delays", "every rank is held back before every call, each for a time of its own",
              late="everybody"),
        Story("late-rank", "one rank is late for every call, another one each time", late="one rank"),
        Story("spoilt-inputs", "each rank overwrites its input as soon as its own call is over, others being late",
              late="everybody", spoilt=True),
        Story("one-output", "all calls write into the same memory", shared=True),
        Story("mixed-sizes", "calls of all sizes in one sequence: large then small, then any order", mixed=True),
        Story("misaligned", "buffers begin one element off their alignment: all, or the input alone", in_place=True,
              shifts=((1, 0), (0, 1))),
        Story("special-values", "NaN, infinities, overflow, denormals and zeros of both signs, in place too",
              in_place=True, ways=False, special=True),
        Story("same-bits", "random and special data, ranks held back: all must end with the same bits", ways=False,
              late="everybody", same_bits=True),
    )
}  # fmt: skip
