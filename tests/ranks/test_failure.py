"""Ranks that raise, die or hang, users who interrupt: the job ends, with its code, and finished rows stay.

What hangs would do so for longer than the guard of ``Mpi.run``.
"""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from running import BROKEN, GUARD_SECONDS, Mpi, statuses, wait_for_rows

# 4 KiB runs, 8 KiB is where the planted fault strikes.
FAULTY = ("sweep", "--sizes", "4K,8K", "--samples", "3", "--max-seconds", "0.05", "-o", "r.csv", "--seed", "1")


def _order_is_small_first(mpi: Mpi) -> None:
    """The seed decides which size comes first; these tests need the small one to."""
    assert mpi.rows(), "the size without the fault must come first; choose another seed"
    assert {row.bytes for row in mpi.rows() if row.status == "ok"} == {4096}


def test_a_rank_that_raises_is_a_row_and_the_command_that_continues(mpi: Mpi) -> None:
    ran = mpi.run(*FAULTY, "--backend", "raises", ranks=3, PYTHONPATH=str(BROKEN))
    assert ran.code != 0
    assert "ArithmeticError: planted" in ran.err
    assert "collbench: finished rows are in r.csv; continue with --resume -o r.csv." in ran.err
    assert [(row.bytes, row.status) for row in mpi.rows()] == [(4096, "ok"), (8192, "failed")]
    reason = mpi.rows()[1].reason
    assert reason.startswith("rank 1 on ")
    assert "raised ArithmeticError: planted while proving: raises all_reduce float32 sum 8192 B" in reason


def test_a_rank_that_dies_is_a_row_the_second_time(mpi: Mpi) -> None:
    assert mpi.run(*FAULTY, "--backend", "dies", ranks=3, PYTHONPATH=str(BROKEN)).code != 0
    _order_is_small_first(mpi)
    assert mpi.run(*FAULTY, "--backend", "dies", "--resume", ranks=3, PYTHONPATH=str(BROKEN)).code != 0
    assert mpi.run(*FAULTY, "--backend", "dies", "--resume", ranks=3, PYTHONPATH=str(BROKEN)).code == 1
    assert [(row.bytes, row.status) for row in mpi.rows()] == [(4096, "ok"), (8192, "failed")]
    assert mpi.rows()[1].reason == "the job ended while proving, for the second time"


def test_ranks_of_our_own_are_started_again_for_the_other_cases(mpi: Mpi) -> None:
    ran = mpi.run(*FAULTY, "--ranks", "3", "--backend", "mpi,dies", PYTHONPATH=str(BROKEN))
    assert ran.code == 1, ran.err
    assert ran.err.count("A rank was killed (SIGKILL") == 2
    assert ran.err.count("while proving: dies all_reduce float32, 8 KiB on 3 ranks; out of memory is likely.") == 2
    rows = {(row.backend, row.bytes): row for row in mpi.rows()}
    assert [rows[case].status for case in sorted(rows)] == ["ok", "failed", "ok", "ok"]
    assert "the job ended while proving: a rank was killed (SIGKILL" in rows["dies", 8192].reason
    assert rows["dies", 8192].reason.endswith(", for the second time")
    assert not (mpi.folder / "r.doing").exists()


def test_a_hang_is_a_row_and_exit_5(mpi: Mpi) -> None:
    ran = mpi.run(*FAULTY, "--ranks", "2", "--backend", "hangs", "--timeout", "5", PYTHONPATH=str(BROKEN))
    assert ran.code == 5, ran.err
    assert [row.status for row in mpi.rows()] == ["ok", "timeout"]
    reason = mpi.rows()[1].reason
    assert "no progress for 5 s while proving: hangs all_reduce" in reason
    assert "in reduce (broken_session.py" in reason, "where rank 0 waits"
    assert "in <lambda> (broken_backends.py" in reason, "where rank 1 hangs"


def test_kernels_that_give_up_waiting_are_a_row_and_exit_5(mpi: Mpi) -> None:
    ran = mpi.run(*FAULTY, "--ranks", "3", "--backend", "gives-up", PYTHONPATH=str(BROKEN))
    assert ran.code == 5, ran.err
    assert [(row.bytes, row.status) for row in mpi.rows()] == [(4096, "ok"), (8192, "timeout")]
    words = [f"rank {rank} waited in call {100 - rank}" for rank in (2, 1, 0)]
    assert mpi.rows()[1].reason == "; ".join(words), "the furthest behind comes first"
    assert [ran.err.count(f"collbench: {each}") for each in words] == [1, 1, 1]
    assert "Traceback" not in ran.err


def test_a_kernel_that_gives_up_alone_is_a_row(mpich: Mpi) -> None:
    ran = mpich.run(*FAULTY, "--ranks", "3", "--backend", "gives-up-alone", PYTHONPATH=str(BROKEN))
    assert ran.code == 5, ran.err
    assert "collbench: rank 1 waited in call 99" in ran.err
    assert [(row.bytes, row.status) for row in mpich.rows()] == [(4096, "ok"), (8192, "timeout")]
    assert mpich.rows()[1].reason == "rank 1 waited in call 99"


def test_verify_says_in_which_story_a_kernel_gave_up(mpich: Mpi) -> None:
    arguments = ("verify", "--ranks", "2", "--sizes", "4K,8K", "--backend", "gives-up", "--json")
    ran = mpich.run(*arguments, PYTHONPATH=str(BROKEN))
    assert ran.code == 5, ran.err
    *_, last = json.loads(ran.out)
    assert (last["status"], last["reason"]) == ("timeout", "rank 1 waited in call 99; rank 0 waited in call 100")


@pytest.mark.parametrize("ranks", [None, 2])
def test_an_interrupt_ends_everything_and_keeps_rows(mpi: Mpi, ranks: int | None) -> None:
    arguments = ("sweep", "--sizes", "4K:4M:+4K", "--backend", "mpi", "-o", "r.csv")  # a thousand cases
    child = mpi.start(*arguments, ranks=ranks)
    wait_for_rows(mpi.folder / "r.csv", 1)
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=GUARD_SECONDS)
    assert child.returncode not in (0, 2)
    assert statuses(mpi.rows()) == {"ok"}
    assert ranks or not (mpi.folder / "r.doing").exists()  # a user's mpiexec may kill ranks before they can tidy up
    with pytest.raises(ProcessLookupError):
        _outlive(child.pid)


def _outlive(group: int) -> None:
    """Raises ProcessLookupError once no process of the group is left."""
    deadline = time.monotonic() + GUARD_SECONDS
    while time.monotonic() < deadline:
        os.killpg(group, 0)
        time.sleep(0.05)


def test_an_interrupted_run_is_resumed(mpich: Mpi) -> None:
    arguments = ("sweep", "--ranks", "2", "--sizes", "4K:32K", "--samples", "3", "--backend", "mpi", "-o", "r.csv")
    assert mpich.run(*arguments).code == 0
    path = mpich.folder / "r.csv"
    path.write_text(path.read_text()[:-20])  # as a full disk or a killed writer leaves it
    assert mpich.run("compare", "r.csv").code == 2
    assert mpich.run(*arguments, "--resume").code == 0
    assert sorted(row.bytes for row in mpich.rows()) == [4096, 8192, 16384, 32768]


def test_no_secret_is_recorded_anywhere(mpich: Mpi) -> None:
    secret = "wJalrXUtnFEMI-planted"
    ran = mpich.run(
        "sweep", "--ranks", "2", "--sizes", "4K", "--samples", "3", "--backend", "mpi,oneshot", "-o", "r.csv",
        AWS_SECRET_ACCESS_KEY=secret, NCCL_PLANTED_TOKEN=secret, NCCL_DEBUG="WARN",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    texts = [path.read_text() for path in mpich.folder.iterdir()] + [ran.out, ran.err]
    assert not any(secret in text for text in texts)
    (launch,) = json.loads((mpich.folder / "r.json").read_text())["launches"]
    assert launch["variables"]["NCCL_DEBUG"] == "WARN"
