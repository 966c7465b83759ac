"""Limits where a submission goes on, and beside jobs of the user that wait or run already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples import timed
from slurm_stage import Stage, measured, part

from collbench.batch import slurm
from collbench.errors import UsageError
from collbench.jobs.submission import reopen

PROFILE = """
ranks_per_node = 2
launch = ["srun"]

[slurm]
partition = "gh"
time = "00:30:00"

[[limits]]
partition = "gh"
nodes = 4
time = "01:00:00"
jobs = 3
source = "handbook"

[[limits]]
partition = "dev"
jobs = 1
source = "handbook"

[[limits]]
partition = "one"
nodes = 1
source = "handbook"
"""
SUBMIT = ("submit", "--profile", "./mine.toml", "--sizes", "4K", "-o", "r.csv", "--nodes", "1,2")
RESUME = ("submit", "--resume", "-o", "r.csv")
HELD = "RUNNING|gh|normal\nPENDING|dev,gh|(null)\nCOMPLETING|gh|(null)\nCOMPLETED|gh|(null)\nRUNNING|dev|x\n"


@pytest.fixture
def site(stage: Stage) -> Stage:
    """A site with limits."""
    Path("mine.toml").write_text(PROFILE)
    return stage


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--time", "2:00:00"], "--time 2:00:00 is more than the site takes: up to 01:00:00 in partition gh"),
        (["--partition", "one"], "a job of 2 nodes is more than the site takes: up to 1 in partition one"),
        (["--partition", "dev"], "submitting 2 jobs at once is more than the site takes: up to 1 in partition dev"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_resume_refuses_what_a_first_submission_would(
    site: Stage, options: list[str], words: str, dry: list[str]
) -> None:
    assert site.run(*SUBMIT).code == 0
    Path("mine.toml").unlink()  # the limits are those of the submission
    written = Path("r.jobs/submission.json").read_text()
    with pytest.raises(UsageError) as refused:
        site.run(*RESUME, *options, *dry)
    assert str(refused.value) == f"{words} (handbook); change it, or use another --partition or --qos."
    assert len(site.calls()) == 2
    assert Path("r.jobs/submission.json").read_text() == written


def test_resume_counts_only_what_it_submits(site: Stage) -> None:
    site.run(*SUBMIT)
    measured(part(1), [timed(5.0, nodes=2)])
    site.set("queue", "101|TIMEOUT|1:00|n1|None\n102|COMPLETED|1:00|n1|None\n")
    ran = site.run(*RESUME, "--partition", "dev", "--time", "40")
    assert ran.code == 0, ran.err
    assert site.calls()[2:] == [["--parsable", "--time=40", "--partition=dev", "nodes1.sh"]]


def test_an_older_submission_has_no_limits(site: Stage) -> None:
    site.run(*SUBMIT)
    note = Path("r.jobs/submission.json")
    old = {key: value for key, value in json.loads(note.read_text()).items() if key not in ("limits", "usual")}
    note.write_text(json.dumps(old))
    assert reopen(Path("r.csv")).limits == ()
    assert site.run(*RESUME, "--time", "2:00:00").code == 0
    note.write_text(json.dumps({**old, "limits": [{"node": 3}]}))
    with pytest.raises(UsageError, match="is damaged"):
        site.run(*RESUME)


def test_jobs_that_wait_or_run_count(site: Stage) -> None:
    site.set("held", HELD)
    with pytest.raises(UsageError) as refused:
        site.run(*SUBMIT)
    assert str(refused.value) == (
        "2 jobs of yours wait or run; with 2 more they are more than the site takes: up to 3 in partition gh "
        "(handbook); submit when others have ended, or use another --partition or --qos."
    )
    assert not Path("r.jobs").exists()
    site.set("held", "RUNNING|gh|normal\n")
    assert site.run(*SUBMIT).code == 0
    assert [call[:5] for call in site.calls("looks")] == [["-h", "-r", "-t", "all", "-u"]] * 2, "one question each"


def test_elements_of_an_array_that_goes_on_count(site: Stage) -> None:
    site.run(*SUBMIT[:-1], "1", "--allocations", "3")
    site.set("queue", "101_0|FAILED|1:00|n1|None\n101_1|FAILED|1:00|n1|None\n101_2|PENDING|1:00|n1|None\n")
    site.set("held", "PENDING|gh|(null)\n" * 2)
    with pytest.raises(UsageError, match="2 jobs of yours wait or run; with 2 more they"):
        site.run(*RESUME)
    site.set("held", "PENDING|gh|(null)\n")
    assert site.run(*RESUME).code == 0


def test_who_waits_submits_later_what_is_refused(site: Stage) -> None:
    site.set("held", HELD)
    site.set("queue", "101|FAILED|0:01|n1|None\n102|FAILED|0:01|n1|None\n")
    ran = site.run(*SUBMIT, "--wait")
    assert "collbench: 2 jobs of yours wait or run; with 2 more they are more than the site takes: up to 3" in ran.err
    assert len(site.calls()) == 2


def test_a_slurm_that_does_not_answer_keeps_nothing_back(site: Stage) -> None:
    site.set("silent", "slurm_load_jobs error: Unable to contact slurm controller")
    ran = site.run(*SUBMIT)
    assert ran.code == 0
    assert "Slurm does not report how many jobs of yours wait or run (slurm_load_jobs error: Unable" in ran.err


def test_nothing_is_asked_where_nothing_depends_on_it(site: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.run(*SUBMIT, "--dry-run").code == 0
    assert site.run(*SUBMIT, "--partition", "other").code == 0
    assert not site.calls("looks")
    monkeypatch.setenv("PATH", "/nowhere")
    assert site.run(*SUBMIT[:-4], "-o", "s.csv", "--nodes", "1").code == 1
    assert Path("s.jobs/nodes1.sh").exists()


@pytest.mark.parametrize(
    ("partition", "qos", "number"),
    [(None, None, 3), ("gh", None, 2), ("dev", None, 2), ("dev", "x", 1), (None, "normal", 1), ("g", None, 0)],
)
def test_jobs_are_counted_by_partition_and_quality_of_service(
    stage: Stage, partition: str | None, qos: str | None, number: int
) -> None:
    stage.set("held", HELD)
    assert slurm.mine(partition, qos) == number


def test_variables_of_squeue_hide_no_job(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_PARTITION", "nowhere")
    stage.set("queue", "7|RUNNING|0:10|n1|None\n")
    assert slurm.look(["7"])["7"].live
    assert len(stage.calls("looks")) == 1, "a variable is passed on"
