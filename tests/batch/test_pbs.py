"""PBS: what is asked of qsub, and what is understood of its answers; with stand-ins for its commands."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pbs_stage import DONE, RUNS, SUBMIT, Stage
from samples import timed
from slurm_stage import measured, part

from collbench.batch import pbs
from collbench.batch.job import Job
from collbench.batch.system import RefusedError, Seen, SilentError
from collbench.errors import UsageError
from collbench.jobs import follow
from collbench.jobs.submission import reopen
from collbench.results.records import load

JOB = Job("collbench-r", 2, 4, 4, 1, 1, False, ("--sizes", "4K"))
FULL = "nodes1.sh\nqsub: would exceed queue generic's per-user limit of jobs in 'Q' state\n"
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=12)


def read_by_qsub(line: str) -> list[str]:
    """The words of a directive as make_argv of OpenPBS's qsub reads them: character by character."""
    words: list[str] = []
    word, quote, escaped, inside = "", "", False, False
    for character in line.removeprefix("#PBS ").strip():
        if escaped:
            word, escaped = word + character, False
        elif quote:
            word, quote = (word, "") if character == quote else (word + character, quote)
        elif character in "\"'":
            quote, inside = character, True
        elif character == "\\":
            escaped = inside = True
        elif character.isspace():
            words, word, inside = [*words, word] if inside else words, "", False
        else:
            word, inside = word + character, True
    assert not quote
    assert not escaped
    return [*words, word] if inside else words


@given(PRINTABLE)
@example("'a' \\ \"b\" # c")
@example("a\\")
def test_qsub_reads_a_value_back(value: str) -> None:
    job = Job("r", 2, 4, 4, 1, 1, False, (), {"account": value})
    assert [read_by_qsub(line) for line in pbs.directives(job, {})][-1] == ["-A", value]


def test_directives_are_letters_or_resources() -> None:
    site = {
        "select": "{nodes}:system=polaris:ngpus={gpus}", "walltime": "00:30:00", "filesystems": "home:eagle", "V": "",
        "singularity_fakeroot": "", "q": "prod",
    }  # fmt: skip
    job = Job("9 r é", 2, 4, 4, 1, 1, False, (), {"time": "90", "partition": "debug"})
    assert pbs.directives(job, site) == [
        "#PBS -N 9_r__", "#PBS -j oe", "#PBS -l select=2:system=polaris:ngpus=4", "#PBS -l place=scatter",
        "#PBS -l walltime=01:30:00", "#PBS -l filesystems=home:eagle", "#PBS -V", "#PBS -l singularity_fakeroot=True",
        "#PBS -q debug",
    ]  # fmt: skip
    assert "#PBS -l select=2:mpiprocs=4" in pbs.directives(JOB, {})
    assert pbs.options(replace(JOB, asked={"account": "", "partition": "q"}), [0], []) == ["-q", "q"]


@pytest.mark.parametrize(
    ("text", "limit"),
    [("30", "00:30:00"), ("90", "01:30:00"), ("05:30", "00:05:30"), ("1:00:00", "01:00:00"), ("2-00", "48:00:00"),
     ("2-12:30", "60:30:00"), ("2-12:30:15", "60:30:15")],
)  # fmt: skip
def test_a_time_limit_means_the_same_as_for_slurm(text: str, limit: str) -> None:
    job = Job("r", 2, 4, 4, 1, 1, False, (), {"time": text})
    assert pbs.options(job, [0], []) == ["-l", f"walltime={limit}"]


def test_jobs_form_a_chain(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBS_DPREFIX", "#OTHER")
    ran = stage.run(*SUBMIT, "--nodes", "1,2", "--allocations", "2")
    assert ran.code == 0, ran.err
    behind = ["-W", "depend=afterany:{}.pbs1"]
    assert stage.calls() == [
        ["-A", "m1", "-v", f"{pbs.INDEX}=0", "nodes1.sh"],
        *(["-A", "m1", "-v", f"{pbs.INDEX}={index}", behind[0], behind[1].format(before), script]
          for index, before, script in [(1, 101, "nodes1.sh"), (0, 102, "nodes2.sh"), (1, 103, "nodes2.sh")]),
    ]  # fmt: skip
    assert (stage.pbs / "folder").read_text().strip() == str(stage.folder / "r.jobs")
    assert "PBS_DPREFIX" not in (stage.pbs / "environment").read_text()
    ids = {"nodes1.0": 101, "nodes1.1": 102, "nodes2.0": 103, "nodes2.1": 104}
    assert reopen(Path("r.csv")).ids == {name: (f"{number}.pbs1",) for name, number in ids.items()}


def test_jobs_at_once_do_not_wait(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2", "--at-once")
    assert stage.calls() == [["-A", "m1", "nodes1.sh"], ["-A", "m1", "nodes2.sh"]]


def test_nothing_waits_for_a_job_that_has_vanished(stage: Stage) -> None:
    stage.set("vanish")
    ran = stage.run(*SUBMIT, "--nodes", "1,2", "--wait")
    assert ran.code == 1
    assert stage.calls()[1] == ["-A", "m1", "nodes2.sh"], "PBS never runs a job behind one that it does not know"
    reasons = [row.reason for row in load(Path("r.csv"))]
    assert reasons[0].startswith(
        "job 101.pbs1 of nodes1.0: VANISHED (PBS does not know it: its queue may have rejected"
    )
    assert "resubmit them with: collbench submit --resume" in ran.err


def test_a_job_that_began_has_not_vanished(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    stage.job(101, None)
    (part(0).folder / "nodes1.0.job").write_text("101.pbs1\n")
    stage.run("submit", "--wait", "-o", "r.csv")
    assert "job 101.pbs1 of nodes1.0: ENDED;" in load(Path("r.csv"))[0].reason


def test_nothing_is_said_of_jobs_where_there_is_no_pbs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    monkeypatch.setenv("PATH", "/nowhere")
    assert stage.run("submit", "--resume", "--dry-run", "-o", "r.csv").out == "qsub -A m1 nodes1.sh\n"
    stage.run("submit", "--wait", "-o", "r.csv")
    assert "job 101.pbs1 of nodes1.0: ENDED;" in load(Path("r.csv"))[0].reason


def test_jobs_are_followed_to_their_end_and_gathered(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2")
    measured(part(0), [timed(5.0)])
    stage.job(101, DONE)
    stage.job(102, {**RUNS, "job_state": "F", "substate": 93, "Exit_status": -29})
    measured(part(1), [timed(7.0, nodes=2)], ended=None)
    ran = stage.run("submit", "--wait", "-o", "r.csv")
    assert ran.code == 5
    *_, row = load(Path("r.csv"))
    assert (row.status, row.param["job"]) == ("timeout", "102.pbs1")
    assert row.reason == "job 102.pbs1 of nodes2.0: TIMEOUT after 00:00:10; 1 row kept, submit --resume continues"
    parts = json.loads(Path("r.json").read_text())["submission"]["parts"]
    assert [(each["state"], each["hosts"]) for each in parts] == [("COMPLETED", "x1,x2"), ("TIMEOUT", "x1,x2")]


def test_the_table_has_numbers_without_their_server(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    stage.job(101, RUNS)
    line = follow.table(follow.look(reopen(Path("r.csv")), {})).splitlines()[-1]
    assert line.split() == ["1", "0", "101", "running", "00:00:10", "0", "x1,x2"]


def test_what_is_submitted_again_waits_for_what_still_runs(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2,3")
    stage.job(101, {"job_state": "F", "substate": 91})
    stage.job(102, RUNS)
    stage.job(103, {"job_state": "F", "substate": 92, "depend": "afterany:101.pbs1@pbs1"})
    ran = stage.run("submit", "--resume", "--dry-run", "--time", "60", "-o", "r.csv")
    asked = "qsub -A m1 -l walltime=01:00:00"
    behind = f"{asked} -W depend=afterany"
    assert ran.out == f"{behind}:102.pbs1 nodes1.sh\n{behind}:PREVIOUS nodes3.sh\n"
    stage.run("submit", "--resume", "-o", "r.csv", "--queue", "debug")
    assert stage.calls()[3:] == [
        ["-A", "m1", "-q", "debug", "-W", f"depend=afterany:{before}.pbs1", script]
        for before, script in [(102, "nodes1.sh"), (104, "nodes3.sh")]
    ]
    assert reopen(Path("r.csv")).last_id(part(0)) == "104.pbs1"


def test_a_queue_that_is_full_is_tried_again(stage: Stage) -> None:
    stage.set("refuse", FULL)
    stage.set("vanish")
    ran = stage.run(*SUBMIT, "--nodes", "1", "--wait")
    assert [call[-1] for call in stage.calls()] == ["nodes1.sh", "nodes1.sh"]
    assert "nodes1.0: not submitted (would exceed queue generic's per-user limit of jobs in 'Q' state)" in ran.err


@pytest.mark.parametrize(
    ("message", "full"),
    [
        ("qsub: would exceed queue generic's per-user limit", True),
        ("qsub: Maximum number of jobs for user me already in queue debug", True),
        ("qsub: would exceed per-user limit on resource nodect in queue debug", False),
        ("qsub: Job rejected by all possible destinations", False),
        ("qsub: Illegal attribute or resource value Resource_List.walltime", False),
        ("Account is over its budget", False),
    ],
)
def test_refusals(stage: Stage, message: str, full: bool) -> None:
    stage.set(
        "refuse", f"a.sh\n{message}\nusage: qsub [-a date_time]\n" if message[:4] == "qsub" else f"a.sh\n{message}"
    )
    with pytest.raises(RefusedError) as refusal:
        pbs.submit(stage.folder / "a.sh")
    assert (str(refusal.value), refusal.value.full) == (message.removeprefix("qsub: "), full)


def test_a_pbs_that_does_not_answer_gets_no_second_job_and_no_chain(stage: Stage) -> None:
    stage.set("silent", "qstat: cannot connect to server pbs1 (errno=15010)\n")
    ran = stage.run(*SUBMIT, "--nodes", "1,2")
    assert ran.code == 1
    assert len(stage.calls()) == 1
    assert "nodes2.0: not submitted: cannot connect to server pbs1 (errno=15010)" in ran.err
    stage.set("silent", "qstat: cannot connect to server pbs1 (errno=15010)\n")
    with pytest.raises(UsageError, match="PBS does not report which jobs are running"):
        stage.run("submit", "--resume", "-o", "r.csv")
    assert len(stage.calls()) == 1


def test_jobs_that_an_answer_leaves_out_are_asked_for_alone(stage: Stage) -> None:
    stage.set("first")
    stage.job(7, RUNS)
    stage.job(8, DONE)
    found = pbs.look(["7.pbs1", "8.other-name", "9.pbs1"])
    assert {job: seen.state for job, seen in found.items()} == {"7.pbs1": "RUNNING", "8.other-name": "COMPLETED"}
    assert [call[-1] for call in stage.calls("looks")] == ["9.pbs1", "8.other-name", "9.pbs1"]
    assert pbs.look([]) == {}


def test_a_pbs_that_keeps_no_history_is_asked_for_what_it_knows(stage: Stage) -> None:
    stage.set("forgetful")
    stage.job(7, RUNS)
    assert pbs.look(["7.pbs1"]) == {"7.pbs1": Seen("RUNNING", "00:00:10", "x1,x2")}
    assert pbs.look(["8.pbs1"]) == {}


@pytest.mark.parametrize("text", ["qstat: End of File", "Segmentation fault"])
def test_an_answer_that_is_none(stage: Stage, text: str) -> None:
    stage.set("silent", text)
    with pytest.raises(SilentError, match=text.removeprefix("qstat: ")):
        pbs.look(["7.pbs1"])


def test_a_job_held_behind_one_that_ended_is_stuck(stage: Stage) -> None:
    held = {"job_state": "H", "substate": 22, "depend": "afterany:7.pbs1@pbs1,beforeany:9.pbs1@pbs1"}
    stage.job(8, held)
    for first, state in ((RUNS, "HELD"), ({"job_state": "F", "substate": 92}, "STUCK"), (None, "STUCK")):
        if first or (stage.pbs / "job.7").exists():
            stage.job(7, first)
        seen = pbs.look(["7.pbs1", "8.pbs1"])["8.pbs1"]
        assert (seen.state, seen.live) == (state, True)
    assert seen.why == "afterany:7.pbs1@pbs1 ended; submit --cancel, then --resume"
    assert pbs.look(["8.pbs1"])["8.pbs1"].state == "HELD", "nothing is known of the other"


def test_jobs_are_cancelled_from_the_newest_on(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2,3")
    stage.job(101, DONE)
    stage.set("gone", "qdel: Job has finished 103.pbs1\n")
    ran = stage.run("submit", "--cancel", "-o", "r.csv")
    assert (ran.code, ran.err) == (0, "cancelled: 103.pbs1, 102.pbs1\n")
    assert stage.calls("deleted") == [["103.pbs1", "102.pbs1"]]
    stage.set("gone", "qdel: Unauthorized Request 102.pbs1\n")
    with pytest.raises(UsageError, match=r"PBS does not cancel the jobs \(Unauthorized Request"):
        stage.run("submit", "--cancel", "-o", "r.csv")
    stage.job(102, DONE)
    stage.job(103, DONE)
    assert "nothing, since no job is pending" in stage.run("submit", "--cancel", "-o", "r.csv").err
    assert len(stage.calls("deleted")) == 2


def test_scripts_are_submitted_by_hand_as_a_chain(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(stage.folder.parent / "bin")
    monkeypatch.setenv("PATH", "/nowhere")
    ran = stage.run(*SUBMIT, "--nodes", "1,2", "--allocations", "2")
    assert (
        "qsub was not found here. The scripts are in r.jobs; on the cluster, run in that folder: last=; for" in ran.err
    )
    line = ran.err.split("in that folder: ")[1].split("; once the first")[0]
    wrapped = f'qsub() {{ "{path}/qsub" "$@" | tail -n 1; }}; {line}'
    subprocess.run(["/bin/bash", "-euc", wrapped], env={"PATH": "/usr/bin:/bin"}, check=True, cwd="r.jobs")
    assert stage.calls()[0] == ["-v", f"{pbs.INDEX}=0", "nodes1.sh"]
    assert stage.calls()[3] == ["-W", "depend=afterany:103.pbs1", "-v", f"{pbs.INDEX}=1", "nodes2.sh"]


def test_pbs_has_no_quality_of_service(stage: Stage) -> None:
    with pytest.raises(UsageError, match="PBS has no --qos; choose a queue with --partition"):
        stage.run(*SUBMIT, "--nodes", "1", "--qos", "high")
    assert not stage.calls()


def test_a_project_must_be_given(stage: Stage) -> None:
    with pytest.raises(UsageError, match="profile polaris needs --account"):
        stage.run(*SUBMIT[:3], *SUBMIT[5:], "--nodes", "1")


def test_jobs_of_the_user_in_a_queue_count(stage: Stage) -> None:
    limit = '\n[[limits]]\npartition = "prod"\njobs = 2\nsource = "handbook"\n'
    Path("polaris.toml").write_text(Path("polaris.toml").read_text() + limit)
    stage.set("held", "7[1].pbs1\n8.pbs1\n")
    with pytest.raises(
        UsageError, match="2 jobs of yours wait or run; with 1 more they are more than the site takes: up to 2"
    ):
        stage.run(*SUBMIT, "--nodes", "1")
    assert not stage.calls()
    (call,) = stage.calls("selections")
    assert call[:4] == ["-T", "-s", "EHQRSTUW", "-u"]
    assert call[5:] == ["-q", "prod"]
    stage.set("silent", "qselect: cannot connect to server pbs1 (errno=15010)\n")
    ran = stage.run(*SUBMIT, "--nodes", "1")
    assert ran.code == 0
    assert "PBS does not report how many jobs of yours wait or run (cannot connect to server pbs1" in ran.err
    assert pbs.mine(None, None) == 2
