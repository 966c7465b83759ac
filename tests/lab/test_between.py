"""The comparison between hosts: slopes and steps of rows on two links."""

from __future__ import annotations

from samples import timed

from collbench.results.records import Record
from lab.between import lines, steps_of


def row(us: float, launch: int = 0, backend: str = "mpi-nvrar:between=by-size", way: str = "two-shot") -> Record:
    params = f"cache=hot;between={way}" if way else "cache=hot"
    return timed(
        us, backend=backend, launch=launch, nodes=8, ranks=8, bytes=4096, params=params, wire_bytes=7168.0
    )  # fmt: skip


def test_a_line_says_what_a_case_took_and_how_many_steps_explain_it() -> None:
    near = [row(us, launch) for launch, us in enumerate((150.0, 140.0, 900.0))]
    far = [row(us, launch) for launch, us in enumerate((451.0, 300.0, 460.0))]
    head, line = lines(near, far, 150.0)
    assert head.split() == ["nodes", "size", "backend", "near", "us", "far", "us", "slope", "steps", "sent"]
    assert line.split() == ["8", "4", "KiB", near[0].backend, "150", "451", "2.0", "2", "1.75", "S"]


def test_cases_without_a_latency_everywhere_have_no_line() -> None:
    assert len(list(lines([row(1.0), row(2.0, 1)], [row(3.0), row(4.0, 1)], 150.0))) == 2
    assert len(list(lines([row(1.0)], [], 150.0))) == 1


def test_steps_of_what_decides_itself_are_unknown() -> None:
    assert steps_of(row(1.0, backend="mpi", way="")) is None
    assert steps_of(row(1.0, backend="mpi-ring", way="")) == 14
    assert steps_of(row(1.0, way="halving")) == 6
