"""A case that does not fit is skipped with both numbers; the others are not."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from samples import a_problem

from collbench.devices import cpu
from collbench.devices.cpu import Cpu
from collbench.host.memory import Room
from collbench.measure.memory import needed_bytes, too_large
from collbench.plan.problem import Case
from collbench.ranks.world import open_launch

GIB = 1 << 30


def test_what_a_case_needs_is_at_least_its_buffers() -> None:
    for size in (4096, GIB):
        problem = a_problem(size=size)
        assert needed_bytes(problem, Cpu()) >= 4 * size
    assert needed_bytes(a_problem(size=GIB), Cpu()) < 5 * GIB


def test_only_what_does_not_fit_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "host_room", lambda ranks: Room(20 * GIB // ranks, "in this cgroup"))
    with ExitStack() as teardown:
        why = too_large(open_launch(teardown), {"cpu": Cpu()})
    assert why(Case(a_problem(size=4096), "mpi")) is None
    assert why(Case(a_problem(size=32 * GIB), "mpi")) == ("needs 128 GiB per rank, but 18 GiB are free in this cgroup")
