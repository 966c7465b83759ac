"""Backends that misbehave in one method, each in its own way: they lose their own rows and no others.

One sweep runs them all. The names of `broken/misbehaving.py` say where and how.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest
from running import BROKEN, Mpi, Ran

POINTS = Distribution.at(BROKEN / "broken_backends-1.dist-info").entry_points
FILLS = "call-fills"  # the disk, which ends the run
NAMES = sorted(point.name for point in POINTS if point.value.startswith("misbehaving:") and point.name != FILLS)
# What the reason of the row says, by where and how; the others get a latency.
REASONS = {
    "open-raises": r"open-raises does not open: rank 1: ArithmeticError: planted",
    "open-exits": r"the job ended while opening open-exits: a rank .*, for the second time",
    "open-hangs": r"no progress for 5 s while opening open-hangs on 1x2; .*rank 1 on .* in .*misbehaving\.py",
    "prepare-raises": r"rank 1: ArithmeticError: planted",
    "prepare-crashes": r"the job ended while proving: a rank was killed \(SIGSEGV.*, for the second time",
    "prepare-hangs": r"no progress for 5 s while proving: prepare-hangs .*rank 1 on .* in .*misbehaving\.py",
    "call-raises": r"rank 1 on .* raised ArithmeticError: planted while proving: call-raises",
    "call-exits": r"the job ended while proving: a rank .*, for the second time",
    "call-leaves": r"the job ended|no progress",
    "call-hangs": r"no progress for 5 s while proving: call-hangs .*rank 1 on .* in .*misbehaving\.py",
    "call-quits": r"rank 1 on .* raised SystemExit: 3 while proving",
    "finish-raises": r"rank 1 on .* raised ArithmeticError: planted while finishing: finish-raises",
    "release-raises": r"rank 1 on .* raised ArithmeticError: planted while proving: release-raises",
}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, dict[str, Any]]:
    """The sweep, and its rows by backend."""
    folder: Path = tmp_path_factory.mktemp("plugins")
    ran = Mpi("mpich", folder).run(
        "sweep", "--ranks", "2", "--backend", ",".join(["mpi", *NAMES]), "--sizes", "4K", "--samples", "3",
        "--max-seconds", "0.05", "--timeout", "5", "-o", "r.csv", "--json", PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    return ran, {row["backend"]: row for row in json.loads(ran.out)}


def test_all_have_a_row_and_the_others_a_latency(sweep: tuple[Ran, dict[str, Any]]) -> None:
    ran, rows = sweep
    assert ran.code == 5, ran.err
    assert set(rows) == {"mpi", *NAMES}
    assert {name for name, row in rows.items() if row["latency_us_median"]} == {"mpi", *NAMES} - REASONS.keys()


@pytest.mark.parametrize("name", sorted(REASONS))
def test_the_row_says_what_it_did(sweep: tuple[Ran, dict[str, Any]], name: str) -> None:
    row = sweep[1][name]
    assert row["status"] in ("failed", "timeout")
    assert re.search(REASONS[name], row["reason"], re.DOTALL)


@pytest.mark.parametrize("how", ["raises", "exits"])
def test_a_backend_that_fails_to_close_keeps_its_rows(mpich: Mpi, how: str) -> None:
    arguments = ("sweep", "--ranks", "2", "--sizes", "4K", "--samples", "3", "--max-seconds", "0.05", "-o", "r.csv")
    ran = mpich.run(*arguments, "--backend", f"close-{how}", PYTHONPATH=str(BROKEN))
    assert ran.code == 1, ran.err
    assert [row.status for row in mpich.rows()] == ["ok"]
    assert "No case is left." in ran.err


@pytest.mark.parametrize("others", ["", "mpi,mpi-ring,"], ids=["alone", "among others"])
def test_what_ends_a_rank_late_is_charged_to_the_right_case_once(mpich: Mpi, others: str) -> None:
    arguments = ("sweep", "--ranks", "2", "--sizes", "4K,8K", "--samples", "3", "--max-seconds", "0.05", "-o", "r.csv")
    ran = mpich.run(*arguments, "--backend", f"{others}finish-raises", PYTHONPATH=str(BROKEN))
    assert ran.code == 1, ran.err
    rows = mpich.rows()
    assert all(row.status == "ok" for row in rows if row.backend != "finish-raises")
    assert [
        (row.status, "while finishing: finish-raises" in row.reason) for row in rows if row.backend == "finish-raises"
    ] == [("failed", True), ("failed", True)]
    assert len(rows) == 2 * len(f"{others}finish-raises".split(","))


def test_a_full_disk_ends_the_run_with_one_sentence(mpich: Mpi) -> None:
    arguments = ("sweep", "--ranks", "2", "--sizes", "4K,8K", "--samples", "3", "--max-seconds", "0.05", "-o", "r.csv")
    assert mpich.run(*arguments, "--backend", "mpi").code == 0
    ran = mpich.run(*arguments, "--backend", f"mpi,{FILLS}", "--resume", PYTHONPATH=str(BROKEN))
    assert ran.code == 1, ran.err
    assert ran.err.count("cannot be written: File too large.") == 1
    assert "Traceback" not in ran.err
    assert "Finished rows are in r.csv; continue with --resume -o r.csv." in ran.err
    assert len(mpich.rows()) == 2
