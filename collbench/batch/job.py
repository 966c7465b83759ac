"""A job as every batch system takes it: its shape, its work, and what stands in braces for it in a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from collbench.errors import UsageError
from collbench.plan.worlds import Topology

NUMBERS = ("nodes", "ranks", "gpus", "total")  # of a job


@dataclass(frozen=True)
class Shape:
    """The shape of a submission: one job per entry of ``nodes``; GPUs and ranks per node, None for the profile's;
    ``launches`` in each of the ``allocations`` of a node count; jobs ``at_once`` or one after another."""

    nodes: tuple[int, ...]
    gpus_per_node: int | None
    ranks_per_node: int | None
    launches: int
    allocations: int
    at_once: bool

    def is_given(self) -> bool:
        """Whether any value differs from its default."""
        several = self.launches > 1 or self.allocations > 1 or self.at_once
        return bool(self.nodes or self.gpus_per_node or self.ranks_per_node or several)


@dataclass(frozen=True)
class Job:
    """One job script: ``launches`` of a sweep (the arguments of ``collbench sweep``) on ``nodes`` nodes of
    ``ranks_per_node`` ranks, in each of the ``allocations``. ``asked``: directives that the user gave, by name;
    ``legs``: the sets of ranks of a launch, one for plain backends and one for each variant. With ``check``, the
    arguments are those of ``collbench check``, of which it is the largest number of launches."""

    name: str
    nodes: int
    ranks_per_node: int
    gpus_per_node: int
    launches: int
    allocations: int
    at_once: bool
    sweep: tuple[str, ...]
    asked: Mapping[str, str] = field(default_factory=dict)
    legs: int = 1
    check: int = 0

    @property
    def part(self) -> str:
        """The prefix of this job's files, such as ``nodes4``."""
        return f"nodes{self.nodes}"


@dataclass(frozen=True)
class Work:
    """What a job runs: the worlds, options and ``legs`` of a sweep, or of a check of at most ``check`` launches."""

    topology: Topology
    words: tuple[str, ...]
    legs: int = 1
    check: int = 0


def with_numbers(text: str, job: Job) -> str:
    """The text with the numbers of a job: {nodes}; {ranks} and {gpus} of a node; {total}, the ranks of all nodes."""
    numbers = (job.nodes, job.ranks_per_node, job.gpus_per_node, job.nodes * job.ranks_per_node)
    for name, number in zip(NUMBERS, numbers, strict=True):
        text = text.replace(f"{{{name}}}", str(number))
    return text


def checked(value: str) -> str:
    """The value itself. Raises UsageError if it contains a non-printable character, such as a line break."""
    if not value.isprintable():
        raise UsageError(f"{value!r} contains a non-printable character; remove it, since a job script cannot hold it.")
    return value
