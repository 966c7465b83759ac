"""Stories: the conditions under which ``verify`` proves answers, of whom they are told, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from collbench import registry
from collbench.plan.collectives import COLLECTIVES, Collective
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.plan.layout import Layout
from collbench.plan.problem import Workload
from collbench.plan.worlds import Topology
from collbench.registry import refusal

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


@dataclass(frozen=True)
class Subject:
    """Whom stories are told of: one backend, opened in one ``way`` ("" for the usual one), on one collective, element
    type and operation, in the ``sizes`` (bytes) that it can run; ``refusal`` is why it cannot run others, or "".
    """

    backend: str
    way: str
    layout: Layout
    collective: Collective
    dtype: Dtype
    op: str
    sizes: tuple[int, ...]
    refusal: str

    def works(self, in_place: bool) -> list[Workload]:
        """The workloads of all sizes."""
        kind = (self.layout, self.collective, self.dtype, self.op)
        return [Workload(*kind, size, "chain", "hot", in_place) for size in self.sizes]

    def __str__(self) -> str:
        opened = f"{self.backend} ({self.way})" if self.way else self.backend
        return " ".join(filter(None, [opened, self.collective.name, self.dtype.name, self.op, f"on {self.layout}"]))


@dataclass(frozen=True)
class Scene:
    """Workloads that run together, in memory that is moved by ``shift`` elements: all of it, the input alone."""

    works: tuple[Workload, ...]
    shift: tuple[int, int]


def scenes(story: Story, subject: Subject) -> Iterator[Scene]:
    """Everything that a story does with a subject, each with buffers of its own."""
    places = (False, True) if story.in_place and subject.collective.in_place else (False,)
    for in_place in places:
        works = subject.works(in_place)
        groups = [tuple(works)] if story.mixed else [(work,) for work in works]
        shifts = [(whole, alone) for whole, alone in story.shifts if not (in_place and alone)]
        yield from (Scene(group, shift) for shift in shifts for group in groups)


@dataclass(frozen=True)
class Order:
    """What one call of ``verify`` is to do. ``sizes`` in bytes, None for those that suit a type; every story is told
    ``rounds`` times with fresh data, ``seed`` decides delays and orders, ``timeout`` (seconds) ends a job that hangs.
    """

    topology: Topology
    backends: tuple[str, ...]
    collectives: tuple[str, ...]
    dtypes: tuple[str, ...]
    ops: tuple[str, ...]
    sizes: tuple[int, ...] | None
    stories: tuple[str, ...]
    rounds: int
    seed: int
    timeout: float


@dataclass(frozen=True)
class Outcome:
    """What became of one story: ``calls`` whose answers were checked, ``wrong`` elements, ``status`` as in a record."""

    layout: str
    ranks: int
    backend: str
    way: str
    collective: str
    dtype: str
    op: str
    story: str
    calls: int
    status: str
    reason: str
    wrong: int


def outcome(subject: Subject, story: str, status: str, reason: str = "", calls: int = 0, wrong: int = 0) -> Outcome:
    """What became of ``story``, told of ``subject``."""
    what = (subject.collective.name, subject.dtype.name, subject.op)
    where = (str(subject.layout), subject.layout.size)
    return Outcome(*where, subject.backend, subject.way, *what, story, calls, status, reason, wrong)


def subjects(order: Order, layouts: Sequence[Layout]) -> list[Subject]:
    """Everybody that stories are told of; those that are opened together come one after another."""
    found = []
    for layout, name in product(layouts, order.backends):
        for way in ("", *registry.ways(registry.find(name))):
            for collective, dtype in product(order.collectives, order.dtypes):
                ops = order.ops if COLLECTIVES[collective].reduces else ("",)
                found += [_subject(order, layout, name, way, COLLECTIVES[collective], DTYPES[dtype], op) for op in ops]
    return found


def _subject(
    order: Order, layout: Layout, name: str, way: str, collective: Collective, dtype: Dtype, op: str
) -> Subject:
    sizes = order.sizes or default_sizes(dtype, registry.find(name).DEVICE)
    wanted = Subject(name, way, layout, collective, dtype, op, sizes, "")
    works = list({work.count: work for work in wanted.works(False)}.values())
    whole = [work for work in works if not work.refusal()] or works[-1:]
    reasons = {work.bytes: work.refusal() or refusal(work, name) for work in whole}
    runs = tuple(size for size, reason in reasons.items() if not reason)
    return replace(wanted, sizes=runs, refusal=next(filter(None, reasons.values()), ""))


def default_sizes(dtype: Dtype, kind: str) -> tuple[int, ...]:
    """Sizes in bytes that find what goes wrong at ends and remainders; ``kind`` is that of the device.

    20011 and 65537 are primes: they leave a remainder on any number of ranks, blocks or vectors.
    """
    elements = (1, 2, 15, 1023, 1024, 20011, 65537)
    whole = (4 << 10, 1 << 20, 16 << 20) if kind == "gpu" else (4 << 10, 1 << 20)
    return tuple(sorted({*(count * dtype.itemsize for count in elements), *whole}))
