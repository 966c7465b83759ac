"""Live checks on MPI ranks, most of them by a clock of their own, which load does not change."""

from __future__ import annotations

import json
import signal

from running import BROKEN, GUARD_SECONDS, Mpi, wait_for_rows

ONE_MS = ("--baseline", "even:ms=2")
QUICK = ("--ranks", "2", "--sizes", "4K,64K", "--margin", "50%", "--samples", "6", "--warmup", "1")


def check(mpi: Mpi, candidate: str, *more: str, ranks: int | None = None, code: int, file: str = "c.csv") -> str:
    """Check a candidate; returns what is printed."""
    ran = mpi.run(
        "check", *ONE_MS, "--candidate", candidate, *QUICK, "-o", file, *more, ranks=ranks, PYTHONPATH=str(BROKEN)
    )
    assert ran.code == code, ran.out + ran.err
    return ran.out + ran.err


def test_two_and_a_half_times_as_long_is_slower(mpich: Mpi) -> None:
    said = check(mpich, "waits:ms=5", code=4)
    assert "slower at 2 of 2 sizes, by 150" in said
    rows = mpich.rows("c.csv")
    assert {row.launch for row in rows} == set(range(5)), "decided at the first look"
    facts = json.loads((mpich.folder / "c.json").read_text())["launches"][0]["goal"]
    assert (facts["baseline"], facts["margin"], facts["max_launches"]) == ("even:ms=2", 0.5, 20)


def test_the_same_is_the_same_and_may_be_continued_under_the_same_rule_only(mpich: Mpi) -> None:
    said = check(mpich, "even:ms=2.0", "--max-launches", "3", code=0)
    assert "even:ms=2.0 against even:ms=2: same at 2 of 2 sizes (margin 50 %)" in said
    assert "same at 2 of 2" in check(mpich, "even:ms=2.0", "--max-launches", "3", "--resume", code=0), "nothing is left"
    assert len(mpich.rows("c.csv")) == 3 * 4
    assert "--max-launches 3, now --max-launches 4" in check(
        mpich, "even:ms=2.0", "--max-launches", "4", "--resume", code=2
    )
    said = check(mpich, "even:ms=2.0", "--max-launches", "3", "--resume", "--ranks", "1,2", code=2)
    assert "other conditions: other worlds. Give another -o." in said
    ran = mpich.run("sweep", "--backend", "mpi", "--ranks", "2", "--sizes", "4K", "-o", "c.csv", "--resume")
    assert (ran.code, "those of a check" in ran.err) == (2, True)


def test_wrong_results_end_it_after_the_launch(mpich: Mpi) -> None:
    said = check(mpich, "doubles-a-rank", code=3)
    assert "wrong results at 2 of 2 sizes" in said
    assert {row.launch for row in mpich.rows("c.csv")} == {0}


def test_under_a_launcher_each_command_is_a_launch_and_all_ranks_exit_alike(mpi: Mpi) -> None:
    rule = ("--max-launches", "3")
    assert "unclear at 2 of 2 sizes" in check(mpi, "waits:ms=5", *rule, ranks=2, code=6)
    if mpi.name == "openmpi":  # passes exit codes on as well; what follows is the same under any library
        return
    check(mpi, "waits:ms=5", *rule, "--resume", ranks=2, code=6)
    assert "slower at 2 of 2 sizes" in check(mpi, "waits:ms=5", *rule, "--resume", ranks=2, code=4)
    check(mpi, "waits:ms=5", *rule, "--resume", ranks=2, code=4)
    assert {row.launch for row in mpi.rows("c.csv")} == {0, 1, 2}


def test_equal_backends_on_a_real_clock_are_neither_slower_nor_faster(mpich: Mpi) -> None:
    ran = mpich.run(
        "check", "--baseline", "once", "--candidate", "again", *QUICK, "--max-launches", "3", "--json", "-o",
        "c.csv", PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code in (0, 6), ran.err
    assert {case["verdict"] for case in json.loads(ran.out)["cases"]} <= {"same", "unclear"}


def test_an_interrupted_check_says_how_to_go_on_and_judges_nothing(mpich: Mpi) -> None:
    words = (*ONE_MS, "--candidate", "waits:ms=5", *QUICK, "-o", "c.csv")
    started = mpich.start("check", *words, PYTHONPATH=str(BROKEN))
    wait_for_rows(mpich.folder / "c.csv", 1)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=GUARD_SECONDS)
    assert (started.returncode, out) == (130, "")
    assert "continue with --resume -o c.csv" in err
