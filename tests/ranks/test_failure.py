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


@pytest.mark.parametrize("fault", ["raises", "dies"])
def test_a_rank_that_raises_or_dies_ends_the_job(mpi: Mpi, fault: str) -> None:
    ran = mpi.run(*FAULTY, "--backend", fault, ranks=3, PYTHONPATH=str(BROKEN))
    assert ran.code != 0
    assert fault != "raises" or "ArithmeticError: planted" in ran.err
    _order_is_small_first(mpi)


def test_the_same_where_collbench_started_the_ranks(mpi: Mpi) -> None:
    ran = mpi.run(*FAULTY, "--ranks", "3", "--backend", "raises", PYTHONPATH=str(BROKEN))
    assert ran.code not in (0, 2, 3)
    assert "Continue with --resume -o r.csv" in ran.err
    _order_is_small_first(mpi)
    resume = (*FAULTY, "--ranks", "3", "--backend", "raises", "--resume")
    assert "ArithmeticError" in mpi.run(*resume, PYTHONPATH=str(BROKEN)).err, "it is tried once more"
    assert "ArithmeticError" not in mpi.run(*resume, PYTHONPATH=str(BROKEN)).err, "and then given up"
    assert [(row.bytes, row.status) for row in mpi.rows()] == [(4096, "ok"), (8192, "failed")]
    assert mpi.rows()[1].reason == "the job ended while proving, for the second time"


def test_a_hang_is_a_row_and_exit_5(mpi: Mpi) -> None:
    ran = mpi.run(*FAULTY, "--ranks", "2", "--backend", "hangs", "--timeout", "5", PYTHONPATH=str(BROKEN))
    assert ran.code == 5, ran.err
    assert [row.status for row in mpi.rows()] == ["ok", "timeout"]
    assert "rank 1 on" in ran.err
    assert "made no progress for 5 s while proving: hangs all_reduce" in mpi.rows()[1].reason


def test_kernels_that_give_up_waiting_are_a_row_and_exit_5(mpi: Mpi) -> None:
    ran = mpi.run(*FAULTY, "--ranks", "3", "--backend", "gives-up", PYTHONPATH=str(BROKEN))
    assert ran.code == 5, ran.err
    assert [(row.bytes, row.status) for row in mpi.rows()] == [(4096, "ok"), (8192, "timeout")]
    words = [f"rank {rank} waited in call {100 - rank}" for rank in (2, 1, 0)]
    assert mpi.rows()[1].reason == "; ".join(words), "the furthest behind comes first"
    assert [ran.err.count(f"collbench: {each}") for each in words] == [1, 1, 1]
    assert "Traceback" not in ran.err


def test_a_kernel_that_gives_up_alone_ends_all_ranks(mpich: Mpi) -> None:
    ran = mpich.run(*FAULTY, "--ranks", "3", "--backend", "gives-up-alone", PYTHONPATH=str(BROKEN))
    assert ran.code == 5, ran.err
    assert "collbench: rank 1 waited in call 99" in ran.err
    _order_is_small_first(mpich)


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
        "sweep", "--ranks", "2", "--sizes", "4K", "--samples", "3", "-o", "r.csv",
        AWS_SECRET_ACCESS_KEY=secret, NCCL_PLANTED_TOKEN=secret, NCCL_DEBUG="WARN",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    texts = [path.read_text() for path in mpich.folder.iterdir()] + [ran.out, ran.err]
    assert not any(secret in text for text in texts)
    (launch,) = json.loads((mpich.folder / "r.json").read_text())["launches"]
    assert launch["variables"]["NCCL_DEBUG"] == "WARN"
