"""Subjects: what the stories of ``verify`` run on, and the scenes of a story."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from collbench import registry
from collbench.plan.collectives import COLLECTIVES, Collective
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.plan.rms_norm import rows_words
from collbench.plan.sweep import rows_of
from collbench.plan.worlds import Topology
from collbench.registry import refusals
from collbench.verify.stories import HIDDEN, Story


@dataclass(frozen=True)
class Subject:
    """What a story runs on: one backend, opened in one ``way`` ("" for the default), on one collective, element type
    and operation, in the ``sizes`` (bytes) that it can run; ``refusal`` is why it cannot run others, or "". ``hidden``:
    elements in a row, or 0.
    """

    backend: str
    way: str
    layout: Layout
    collective: Collective
    dtype: Dtype
    op: str
    sizes: tuple[int, ...]
    refusal: str
    hidden: int = 0

    def problems(self, in_place: bool) -> list[Problem]:
        """One problem per size."""
        kind = (self.layout, self.collective, self.dtype, self.op)
        return [Problem(*kind, size, "chain", "hot", in_place, self.hidden) for size in self.sizes]

    def __str__(self) -> str:
        opened = f"{self.backend} ({self.way})" if self.way else self.backend
        kind = (self.collective.name, rows_words(self.hidden), self.dtype.name, self.op)
        return " ".join(filter(None, [opened, *kind, f"on {self.layout}"]))


@dataclass(frozen=True)
class VerifyRequest:
    """The options of ``verify``. ``sizes`` in bytes, None for ``default_sizes``; every story runs ``rounds`` times with
    fresh data; ``seed`` decides delays and orders; ``timeout`` is the seconds without progress that end a job;
    ``hidden`` are the lengths of rows, () for ``stories.HIDDEN``.
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
    hidden: tuple[int, ...] = ()


def subjects(request: VerifyRequest, layouts: Sequence[Layout]) -> list[Subject]:
    """All subjects of a request; those that share a session are consecutive."""
    found = []
    for layout, name in product(layouts, request.backends):
        for way in ("", *registry.ways(registry.find(name))):
            for collective, dtype in product(request.collectives, request.dtypes):
                what, kind = COLLECTIVES[collective], DTYPES[dtype]
                ops = request.ops if what.reduces else ("",)
                for op, hidden in product(ops, rows_of(what, request.hidden or HIDDEN)):
                    wanted = Subject(name, way, layout, what, kind, op, request.sizes or (), "", hidden)
                    found.append(_able(wanted))
    return found


def _able(given: Subject) -> Subject:
    """The subject in those of its sizes, or else of the default ones, that its backend can run."""
    kind = registry.find(given.backend).DEVICE
    wanted = replace(given, sizes=given.sizes or default_sizes(given.dtype, kind, given.hidden))
    problems = list({problem.count: problem for problem in wanted.problems(False)}.values())
    whole = [problem for problem in problems if not problem.refusal()] or problems[-1:]
    refuse = refusals()
    reasons = {problem.bytes: problem.refusal() or refuse(problem, wanted.backend) for problem in whole}
    runs = tuple(size for size, reason in reasons.items() if not reason)
    return replace(wanted, sizes=runs, refusal=next(filter(None, reasons.values()), ""))


def default_sizes(dtype: Dtype, kind: str, hidden: int = 0) -> tuple[int, ...]:
    """Sizes in bytes that expose mistakes at ends and remainders; ``kind`` is the kind of device, "gpu" or "cpu".
    Where a message is rows of ``hidden`` elements, few and odd numbers of them.

    20011 and 65537 are primes: they leave a remainder on any number of ranks, blocks or vectors.
    """
    elements = [hidden * rows for rows in (1, 2, 3, 7, 31)] if hidden else [1, 2, 15, 1023, 1024, 20011, 65537]
    whole = (4 << 10, 1 << 20, 16 << 20) if kind == "gpu" else (4 << 10, 1 << 20)
    return tuple(sorted({*(count * dtype.itemsize for count in elements), *whole}))


@dataclass(frozen=True)
class Scene:
    """Problems that run together, with inputs and outputs misaligned by ``shift`` elements."""

    problems: tuple[Problem, ...]
    shift: tuple[int, int]


def scenes(story: Story, subject: Subject) -> Iterator[Scene]:
    """The scenes of a story on a subject, each with its own buffers."""
    places = (False, True) if story.in_place and subject.collective.in_place else (False,)
    for in_place in places:
        problems = subject.problems(in_place)
        groups = [tuple(problems)] if story.mixed else [(problem,) for problem in problems]
        shifts = [(send, recv) for send, recv in story.shifts if not in_place or send == recv]
        yield from (Scene(group, shift) for shift in shifts for group in groups)
