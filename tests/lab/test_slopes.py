"""Slopes and trips of rows on two links."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import timed

from collbench.results.records import Record
from lab.slopes import delay_us, lines, trips_of


def row(us: float, launch: int = 0, backend: str = "mpi-nvrar:between=by-size", way: str = "two-shot") -> Record:
    params = f"cache=hot;between={way}" if way else "cache=hot"
    return timed(
        us, backend=backend, launch=launch, nodes=8, ranks=8, bytes=4096, params=params, wire_bytes=7168.0
    )  # fmt: skip


def test_a_line_says_what_a_case_took_and_how_many_trips_explain_it() -> None:
    near = [row(us, launch) for launch, us in enumerate((150.0, 140.0, 900.0))]
    far = [row(us, launch) for launch, us in enumerate((451.0, 300.0, 460.0))]
    head, line = lines(near, far, 150.0)
    assert head.split() == ["nodes", "size", "backend", "near", "us", "far", "us", "slope", "trips", "sent"]
    assert line.split() == ["8", "4", "KiB", near[0].backend, "150", "451", "2.01", "2", "1.75", "S"]


def test_cases_without_a_latency_everywhere_have_no_line() -> None:
    assert len(list(lines([row(1.0), row(2.0, 1)], [row(3.0), row(4.0, 1)], 150.0))) == 2
    assert len(list(lines([row(1.0)], [], 150.0))) == 1


def test_trips_of_what_decides_itself_are_unknown() -> None:
    assert trips_of(row(1.0, backend="mpi", way="")) is None
    assert trips_of(row(1.0, backend="mpi-ring", way="")) == 14
    assert trips_of(row(1.0, way="halving")) == 6


def test_kernels_take_the_trips_of_their_algorithm() -> None:
    kernels = {"nvrar_put_lamport": 3, "nvrar_put_oneshot": 1, "nvrar_put_halving": 6, "ncclDevKernel_AllReduce": None}
    for kernel, expected in kernels.items():
        found = timed(1.0, backend="nvrar", nodes=8, ranks=8, params=f"cache=hot;kernel={kernel}")
        assert trips_of(found) == expected


def test_the_delay_of_a_link_is_in_the_sidecar(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.json"
    sidecar.write_text('{"note": "hosts are network namespaces of one machine; link: 200 us one way, no limit"}')
    assert delay_us(sidecar.with_suffix(".csv")) == 200
    sidecar.write_text("{}")
    with pytest.raises(ValueError, match=r"the sidecar of .*a.csv states no delay"):
        delay_us(sidecar.with_suffix(".csv"))
