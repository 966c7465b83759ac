"""Following jobs: what is known of them, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from slurm_stage import SUBMIT, Stage, part

from collbench.batch.system import Seen
from collbench.errors import UsageError
from collbench.jobs import follow
from collbench.jobs.follow import Look, Screen, table
from collbench.jobs.submission import Part, reopen
from collbench.results.records import load


def test_the_user_who_cancelled_a_job_is_not_part_of_its_state(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    stage.set("books", "101|CANCELLED by 1000|00:01:00|node1\n")
    stage.run("submit", "--wait", "-o", "r.csv")
    assert "job 101 of nodes1.0: CANCELLED after 00:01:00;" in load(Path("r.csv"))[0].reason


def test_a_file_that_is_seen_half_has_no_rows_yet(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    part(0).csv.write_text("run_id,laun")
    stage.set("queue", "101|RUNNING|0:10|node1|None\n")
    assert follow.look(reopen(Path("r.csv")), {})[0].rows == 0
    stage.set("queue", "101|COMPLETED|0:10|node1|None\n")
    with pytest.raises(UsageError, match="not a results file"):
        follow.look(reopen(Path("r.csv")), {})


def test_what_slurm_said_is_remembered_when_it_forgets(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    stage.set("queue", "101|TIMEOUT|0:30|node1|None\n")
    before = follow.look(reopen(Path("r.csv")), {})
    stage.set("queue")
    assert follow.look(reopen(Path("r.csv")), {}, before) == before
    stage.set("queue", "101|RUNNING|0:30|node1|None\n")
    before = follow.look(reopen(Path("r.csv")), {})
    stage.set("queue")
    (now,) = follow.look(reopen(Path("r.csv")), {}, before)
    assert now.seen == Seen("ENDED", "0:30", "node1")


def test_an_interrupt_while_following_says_that_jobs_continue(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    stage.set("queue", "101|RUNNING|0:10|node1|None\n")
    monkeypatch.setattr(follow.Pace, "wait", interrupt)
    ran = stage.run(*SUBMIT, "--nodes", "1", "--wait")
    assert ran.code == 130
    assert "The jobs continue; to follow them: collbench submit --wait -o r.csv" in ran.err


def seen_as(state: str, **reported: str) -> Callable[[Part], Look]:
    """A look at a part whose job is in that state."""
    return lambda each: Look(each, "101", Seen(state, **reported), 3)


def test_the_table_is_drawn_over_the_last_one(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    waits = seen_as("PENDING", why="Resources")(part(0))
    runs = seen_as("RUNNING", elapsed="0:10", nodes="node[1-2]", why="None")(part(0))
    screen = Screen(live=True)
    for look in (waits, runs):
        screen.show([look])
    reported = capfd.readouterr().err
    assert table([waits]).splitlines()[-1].split() == ["1", "0", "101", "pending", "3", "Resources"]
    assert table([runs]).splitlines()[-1].split() == ["1", "0", "101", "running", "0:10", "3", "node[1-2]"]
    assert f"\x1b[3F\x1b[J{table([runs])}" in reported


@pytest.mark.parametrize(("lines", "drawn"), [("30", True), ("3", False)])
def test_a_table_fits_its_terminal(
    stage: Stage, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lines: str, drawn: bool
) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    capfd.readouterr()
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setenv("LINES", lines)
    Screen(live=True).show([seen_as("PENDING", why="Resources")(part(0))])
    reported = capfd.readouterr().err.splitlines()
    assert ("─" in "".join(reported)) == drawn
    assert not drawn or max(map(len, reported)) == 49


def test_without_a_terminal_only_changes_are_printed(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    screen = Screen(live=False)
    for state in ("PENDING", "PENDING", "RUNNING", "RUNNING"):
        screen.show([seen_as(state)(part(0))])
    assert capfd.readouterr().err == "nodes1.0: job 101 pending 3 rows\nnodes1.0: job 101 running 3 rows\n"
