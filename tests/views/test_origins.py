"""The source of a chart's numbers, at its foot."""

from __future__ import annotations

import pytest
from charts import row

from collbench.results.facts import Facts
from collbench.views.origins import mpi_name, origin_of

H200: Facts = {
    "started": "2026-11-21T17:06:48+0000", "gpu": "NVIDIA H200", "driver": "13.0", "cuda": "13.2", "nccl": "2.28.9",
    "nvshmem": "3.4.5", "mpi": "Open MPI v4.1.6, package: Debian OpenMPI", "git": "5fb1df351590+", "host": "vm",
}  # fmt: skip
NOTED: Facts = {**H200, "note": "link: 200 us one way"}


def plain(text: str) -> str:
    """The text with spaces at which a line may end."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_versions_date_and_launches_replace_the_name_of_the_run() -> None:
    rows = [row("nccl", 64, 9.0, launch=launch) for launch in range(3)]
    assert plain(origin_of(rows, dict.fromkeys(rows, H200))) == (
        "NCCL 2.28.9 · NVSHMEM 3.4.5 · CUDA driver 13.0 · CUDA runtime 13.2 · Open MPI 4.1.6 · "
        "collbench 5fb1df351590+ · 2026-11-21 · 3 launches"
    )


def test_a_note_on_the_run_comes_first_and_may_be_broken_into_lines() -> None:
    rows = [row("nccl", 64, 9.0, launch=launch) for launch in range(2)]
    found = origin_of(rows, dict.fromkeys(rows, NOTED))
    assert found.startswith("link: 200 us one way · NCCL\N{NO-BREAK SPACE}2.28.9 · ")


def test_libraries_for_gpus_are_not_named_without_gpus_nor_what_is_not_known() -> None:
    rows = [row("mpi", 64, 9.0)]
    facts: Facts = {**H200, "gpu": None, "mpi": "MPICH Version: 5.0.2", "git": None}
    assert plain(origin_of(rows, {rows[0]: facts})) == "MPICH 5.0.2 · 2026-11-21 · 1 launch"


def test_what_differs_between_launches_is_listed() -> None:
    rows = [row("nccl", 64, 9.0, launch=launch) for launch in range(2)]
    later: Facts = {"gpu": "NVIDIA H200", "nccl": "2.29.1", "started": "2026-11-23T01:00:00+0000"}
    shown = plain(origin_of(rows, {rows[0]: H200, rows[1]: later}))
    assert "NCCL 2.28.9, 2.29.1 · " in shown
    assert " · 2026-11-21 to 2026-11-23 · 2 launches" in shown


def test_without_a_sidecar_the_runs_are_named() -> None:
    rows = [row("nccl", 64, 9.0, run_id=f"run{each}") for each in range(5)]
    assert plain(origin_of(rows[:1], {})) == "run run0 · 1 launch"
    assert plain(origin_of(rows, {})) == "run run0, run1, run2 and 2 more · 5 launches"


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("MPICH Version: 5.0.2", "MPICH 5.0.2"),
        ("Open MPI v4.1.6, package: Debian OpenMPI, ident: 4.1.6", "Open MPI 4.1.6"),
        ("MPI VERSION    : CRAY MPICH version 8.1.28.29 (ANL base 3.4a2)", "CRAY MPICH 8.1.28.29"),
        ("Intel(R) MPI Library 2021.11 for Linux* OS", "Intel(R) MPI Library 2021.11"),
        (
            "A library of a vendor with a very long description\nand more",
            "A library of a vendor with a very long d",
        ),
        ("", ""),
    ],
)
def test_a_library_of_mpi_is_named_briefly(library: str, name: str) -> None:
    assert mpi_name(library) == name
