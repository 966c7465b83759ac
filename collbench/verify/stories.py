"""Stories: the conditions under which ``verify`` proves answers, and the cases to which each applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collbench.plan.collectives import Collective
from collbench.plan.dtypes import Dtype

Late = Literal["none", "all", "one rank"]
ALIGNED = (0, 0)
HIDDEN = (8, 1000, 4096)  # lengths of rows: one cell, cells that are no power of two, and the usual
SLOTS = 5  # consecutive calls with different data: more than the two or three buffers that kernels alternate


def off_by_one(shifts: tuple[int, int]) -> str:
    """Text that says which of input and output are misaligned, "" where none is."""
    words = {(0, 0): "", (1, 0): ", the input off by one", (0, 1): ", the output off by one"}
    return words.get(shifts, ", all off by one")


@dataclass(frozen=True)
class Story:
    """How calls are made, in which memory and with which data. By default they run back to back without a barrier,
    out of place, each size separately, with every layer of proof.

    ``in_place``: runs in place as well. ``ways``: runs for every way to open a backend, not only the default one.
    ``replayed``: the calls are recorded once (in a CUDA graph on a GPU) and replayed. ``twice``: on two communicators
    alternately. ``mixed``: all sizes in one sequence. ``late``: the ranks that are delayed before each call.
    ``shared``: all calls write to the same memory. ``spoilt``: inputs are overwritten as soon as the rank's call
    completes. ``shifts``: elements by which the input and the output are misaligned. ``special``: NaN, infinities,
    denormals and zeros. ``same_bits``: random data, and every rank must have the bits of rank 0. ``chained``: each call
    reads what the one before wrote; every second turn is a replay.
    """

    name: str
    about: str
    in_place: bool = False
    ways: bool = True
    replayed: bool = False
    twice: bool = False
    mixed: bool = False
    late: Late = "none"
    shared: bool = False
    spoilt: bool = False
    shifts: tuple[tuple[int, int], ...] = (ALIGNED,)
    special: bool = False
    same_bits: bool = False
    chained: bool = False

    def skips(self, collective: Collective, dtype: Dtype, op: str) -> str | None:
        """Why the story does not apply to this collective, type and operation, or None."""
        if self.special and not dtype.is_float:
            return f"{dtype.name} has neither NaN nor infinities"
        if self.same_bits and collective.name not in ("all_reduce", "all_reduce_rms_norm"):
            return f"{collective.name} does not give the same sum to all ranks"
        if self.shared and collective.normalises:
            return f"{collective.name} updates its residual in place: calls cannot share an output"
        if self.chained and not chains(collective.name, op):
            return f"{collective.name} {op} of its own result has no exact answer".replace("  ", " ")
        return None


def chains(collective: str, op: str) -> bool:
    """Whether the output of a collective can be its next input on every rank, with an answer that is exact."""
    return collective == "all_reduce" and op in ("sum", "min", "max")


STORIES = {
    story.name: story
    for story in (
        Story("back-to-back", "calls without a barrier between them, out of place and in place", in_place=True),
        Story("replay", "a CUDA graph is replayed with fresh data; on a CPU the calls are made again", in_place=True,
              replayed=True),
        Story("two-communicators", "the backend is opened twice, and calls alternate", twice=True),
        Story("random-delays", "every rank is delayed before every call, each by its own random time",
              late="all"),
        Story("late-rank", "one rank is late for every call, a different one each time", late="one rank"),
        Story("spoilt-inputs", "each rank overwrites its input as soon as its own call completes; others are late",
              late="all", spoilt=True),
        Story("one-output", "all calls write to the same memory", shared=True),
        Story("mixed-sizes", "calls of all sizes in one sequence: large to small, then in random order", mixed=True),
        Story("misaligned", "buffers are misaligned by one element: all of them, only the input, or only the output",
              in_place=True, shifts=((1, 1), (1, 0), (0, 1))),
        Story("chained", "each call reads the output of the one before: back to back, and replayed", chained=True),
        Story("special-values", "NaN, infinities, overflow, denormals and signed zeros, in place as well",
              in_place=True, ways=False, special=True),
        Story("same-bits", "random and special data, ranks delayed: all must end with the same bits", ways=False,
              late="all", same_bits=True),
    )
}  # fmt: skip
