"""Submitting, following and gathering, with stand-ins for Slurm's commands: what a real Slurm does too rarely.

The real one is in test_cluster.py.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from samples import timed
from slurm_stage import SUBMIT, Stage, measured, part
from strangers import give_away

from collbench.cli.main import cli
from collbench.errors import OutputError, UsageError
from collbench.jobs import follow
from collbench.jobs.submission import reopen
from collbench.llm.models import CONFIGS
from collbench.results.files import load_samples
from collbench.results.records import Record, load


def test_scripts_are_written_and_submitted_in_their_folder(stage: Stage) -> None:
    ran = stage.run(*SUBMIT, "--nodes", "1,2")
    assert ran.code == 0, ran.err
    assert stage.calls() == [["--parsable", "nodes1.sh"], ["--parsable", "nodes2.sh"]]
    assert stage.read("folder").strip() == str(stage.folder / "r.jobs")
    assert "options=(--sizes 4K --launches 1)" in Path("r.jobs/nodes2.sh").read_text()
    assert os.access("r.jobs/nodes2.sh", os.X_OK)
    assert "nodes1.0: job 101\nnodes2.0: job 102\n" in ran.err
    assert reopen(Path("r.csv")).ids == {"nodes1.0": ("101",), "nodes2.0": ("102",)}


def test_a_dry_run_leaves_nothing_behind(stage: Stage) -> None:
    ran = stage.run(*SUBMIT, "--nodes", "1,2", "--dry-run")
    assert ran.code == 0
    assert ran.out.count("#!/bin/bash") == 2
    assert not list(stage.folder.iterdir())


def test_open_points_of_a_profile_are_printed(stage: Stage) -> None:
    Path("mine.toml").write_text('like = "local"\nopen = ["its network", "its queues"]\n')
    ran = stage.run("submit", "--profile", "./mine.toml", "--nodes", "1", "--dry-run")
    assert ran.err == "collbench: open in profile mine: its network\ncollbench: open in profile mine: its queues\n"
    assert "open" not in stage.run(*SUBMIT, "--nodes", "1", "--dry-run").err


def test_without_slurm_the_scripts_are_written(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ran = stage.run(*SUBMIT, "--nodes", "2", "--wait")
    assert ran.code == 1
    assert "sbatch was not found here. The scripts are in r.jobs" in ran.err
    assert Path("r.jobs/nodes2.sh").exists()


def test_the_job_that_we_are_in_is_not_passed_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "64")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("SBATCH_JOB_NAME", "mine")
    monkeypatch.setenv("SBATCH_CLUSTERS", "east")
    stage.run(*SUBMIT, "--nodes", "1")
    reported = stage.read("environment")
    assert "SBATCH_JOB_NAME" not in reported
    assert "SLURM_CLUSTERS=east" in reported, "squeue must ask where sbatch submits"
    assert "SLURM_NTASKS" not in reported
    assert "SLURM_CONF=/etc/slurm.conf" in reported


def test_a_job_that_is_refused_keeps_no_other_back(stage: Stage) -> None:
    stage.set("refuse", "nodes1.sh")
    ran = stage.run(*SUBMIT, "--nodes", "1,2")
    assert ran.code == 1
    assert (
        "nodes1.0: not submitted: QOSMaxWallDurationPerJobLimit; Batch job submission failed: Job violates" in ran.err
    )
    assert "nodes2.0: job 101" in ran.err
    assert "--resume" in ran.err
    stage.set("refuse", "nothing")
    stage.set("queue", "101|RUNNING|0:10|node1|None\n")
    ran = stage.run("submit", "--resume", "-o", "r.csv", "--account", "good")
    assert ran.code == 0, ran.err
    assert stage.calls()[2:] == [["--parsable", "--account=good", "nodes1.sh"]]


def test_a_full_queue_is_tried_again_while_we_wait(stage: Stage) -> None:
    stage.set("full")
    stage.set("queue", "101|FAILED|0:01|node1|NonZeroExitCode\n")
    ran = stage.run(*SUBMIT, "--nodes", "1", "--wait")
    assert [call[-1] for call in stage.calls()] == ["nodes1.sh", "nodes1.sh"]
    assert "nodes1.0: not submitted (Slurm temporarily unable to accept job, sleeping and retrying.)" in ran.err
    assert "job 101" in ran.err


def test_a_full_queue_without_waiting_is_an_error(stage: Stage) -> None:
    stage.set("full")
    ran = stage.run(*SUBMIT, "--nodes", "1")
    assert ran.code == 1
    assert "temporarily unable" in ran.err


def test_a_slurm_that_does_not_answer_for_a_while(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    measured(part(0), [timed(5.0)])
    stage.set("silent", "slurm_load_jobs error: Unable to contact slurm controller")
    ran = stage.run("submit", "--wait", "-o", "r.csv")
    assert ran.code == 0, ran.err
    assert "Slurm does not answer (slurm_load_jobs error: Unable to contact slurm controller)" in ran.err
    assert [record.status for record in load(Path("r.csv"))] == ["ok"]


def test_a_job_that_ran_out_of_time_is_a_row(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2")
    measured(part(0), [timed(5.0, nodes=1)])
    measured(part(1), [timed(7.0, nodes=2), timed(8.0, nodes=2, bytes=8192)], ended=None)
    stage.set("silent", "slurm_load_jobs error: Invalid job id specified")
    stage.set("books", "101|COMPLETED|00:01:00|node1\n102|TIMEOUT|00:30:01|node[1-2]\n")
    ran = stage.run("submit", "--wait", "-o", "r.csv")
    assert ran.code == 5, ran.err
    *others, row = load(Path("r.csv"))
    assert [other.status for other in others] == ["ok"] * 3
    assert (row.backend, row.status, row.nodes, row.ranks, row.param["job"]) == ("(job)", "timeout", 2, 4, "102")
    assert row.reason == "job 102 of nodes2.0: TIMEOUT after 00:30:01; 2 rows kept, submit --resume continues"
    assert "timeout ×1: job 102" in ran.out
    assert "(job) µs" not in ran.out, "it is no backend that was timed"
    assert ran.out.count("all_reduce · ") == 2
    assert "submit --resume --wait -o r.csv" in ran.err


def test_the_newest_job_of_a_part_counts_whoever_submitted_it(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    note = part(0).folder / "nodes1.0.job"
    for number, last in (("99", "101"), ("205", "205"), ("1000_3", "1000_3")):
        note.write_text(f"{number}\n")
        assert reopen(Path("r.csv")).last_id(part(0)) == last


def test_what_another_collbench_wrote_is_left_alone(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    written = Path("r.jobs/submission.json")
    written.write_text(written.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(UsageError, match="by another version of collbench"):
        stage.run("submit", "--resume", "-o", "r.csv")


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1', '{"schema": 1}', '{"schema": 1, "jobs": [{}]}'])
def test_a_damaged_submission_is_named(stage: Stage, text: str) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    Path("r.jobs/submission.json").write_text(text)
    with pytest.raises(UsageError, match=r"r\.jobs/submission\.json is damaged; restore it, or submit again"):
        stage.run("submit", "--resume", "-o", "r.csv")


def test_a_submission_that_cannot_be_read_is_named(stage: Stage) -> None:
    Path("r.jobs/submission.json").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"r\.jobs/submission\.json cannot be read: Is a directory"):
        stage.run("submit", "--wait", "-o", "r.csv")


def test_what_a_killed_job_leaves_is_gathered(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2")
    for number, sidecar in enumerate(("[]", '{"launches": [7')):
        measured(part(number), [timed(5.0, nodes=number + 1)])
        part(number).csv.with_suffix(".json").write_text(sidecar)
        (part(number).folder / f"{part(number).name}.doctor.json").write_text("[\n{]\n]\n")
        (part(number).folder / f"{part(number).name}.job").write_text("\0\0\0")
    ran = stage.run("submit", "--wait", "-o", "r.csv")
    assert ran.code == 0, ran.err
    assert len(load(Path("r.csv"))) == 2
    assert json.loads(Path("r.json").read_text())["launches"] == []
    Path("r.json").write_text("[]")
    with pytest.raises(UsageError, match=r"r\.csv holds another run"):
        stage.run("submit", "--wait", "-o", "r.csv")


@pytest.mark.parametrize("path", [f"{'n' * 300}.csv", "file/r.csv"])
def test_a_place_that_cannot_be_written(stage: Stage, path: str) -> None:
    Path("file").write_text("")
    with pytest.raises(UsageError, match="cannot be written: "):
        stage.run(*SUBMIT, "--nodes", "1", "-o", path)


def test_a_full_disk_is_no_mistake_of_the_user(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(OutputError, match=r"r\.jobs cannot be written: No space left on device\."):
        stage.run(*SUBMIT, "--nodes", "1")


def test_nobody_else_writes_the_scripts(stage: Stage) -> None:
    before = os.umask(0)
    try:
        stage.run(*SUBMIT, "--nodes", "1")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(Path(name).stat().st_mode) for name in ("r.jobs", "r.jobs/nodes1.sh")] == [0o755, 0o700]


def open_folder(monkeypatch: pytest.MonkeyPatch) -> str:
    Path("r.jobs").chmod(0o777)
    return "r.jobs is writable by others; run chmod go-w r.jobs, or submit again with another -o than r.csv."


def open_script(monkeypatch: pytest.MonkeyPatch) -> str:
    Path("r.jobs/nodes1.sh").chmod(0o770)
    return "r.jobs/nodes1.sh is writable by others; run chmod go-w r.jobs/nodes1.sh"


def foreign_script(monkeypatch: pytest.MonkeyPatch) -> str:
    return give_away(Path("r.jobs/nodes1.sh"), monkeypatch)


def foreign_note(monkeypatch: pytest.MonkeyPatch) -> str:
    return give_away(Path("r.jobs/submission.json"), monkeypatch)


def linked_script(monkeypatch: pytest.MonkeyPatch) -> str:
    script = Path("r.jobs/nodes1.sh")
    script.symlink_to(script.rename("elsewhere.sh").absolute())
    return "r.jobs/nodes1.sh is a symbolic link; remove it"


def lost_script(monkeypatch: pytest.MonkeyPatch) -> str:
    Path("r.jobs/nodes1.sh").unlink()
    return "r.jobs/nodes1.sh cannot be submitted again: No such file or directory; submit again with another -o"


@pytest.mark.parametrize("plant", [open_folder, open_script, foreign_script, foreign_note, linked_script, lost_script])
def test_no_script_runs_again_that_another_user_could_have_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], str]
) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    words = plant(monkeypatch)
    with pytest.raises(UsageError, match=re.escape(words)):
        stage.run("submit", "--resume", "-o", "r.csv")
    assert len(stage.calls()) == 1


def test_a_job_that_slurm_forgot(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2")
    measured(part(0), [timed(5.0)])
    ran = stage.run("submit", "--wait", "-o", "r.csv")
    assert ran.code == 1
    assert load(Path("r.csv"))[-1].reason == "job 102 of nodes2.0: ENDED; 0 rows kept, submit --resume continues"


@pytest.mark.parametrize(
    ("records", "ended"),
    [([timed(5.0)], None), ([timed(5.0)], "0"), ([timed(5.0, launch=1)], "1")],
    ids=["cut off", "a launch too few", "the first launch missing"],
)
def test_a_part_is_complete_with_all_its_launches_only(stage: Stage, records: list[Record], ended: str | None) -> None:
    stage.run(*SUBMIT, "--nodes", "1", "--launches", "2")
    measured(part(0), records, ended)
    assert not part(0).complete()
    measured(part(0), [timed(5.0), timed(5.0, launch=1)], "3")
    assert part(0).complete()
    part(0).csv.with_suffix(".doing").write_text("")
    assert not part(0).complete()


def test_an_array_is_gathered_and_its_missing_tasks_submitted_again(stage: Stage) -> None:
    ran = stage.run(*SUBMIT, "--nodes", "2", "--allocations", "3", "--launches", "2")
    assert reopen(Path("r.csv")).ids == {f"nodes2.{index}": (f"101_{index}",) for index in range(3)}
    for index in (0, 2):
        measured(part(index), [timed(5.0 + index, nodes=2), timed(6.0 + index, nodes=2, launch=1)])
    stage.set("queue", "101_0|COMPLETED|1:00|n1|None\n101_1|CANCELLED|0:10|n2|None\n101_2|COMPLETED|1:00|n3|None\n")
    ran = stage.run("submit", "--resume", "--time", "60", "-o", "r.csv")
    assert stage.calls()[1:] == [["--parsable", "--time=60", "--array=1%1", "nodes2.sh"]]
    assert reopen(Path("r.csv")).ids["nodes2.1"] == ("101_1", "102_1")
    measured(part(1), [timed(9.0, nodes=2), timed(9.5, nodes=2, launch=1)])
    stage.set("queue", stage.read("queue") + "102_1|COMPLETED|1:00|n2|None\n")
    ran = stage.run("submit", "--wait", "-o", "r.csv")
    assert ran.code == 0, ran.err
    rows = load(Path("r.csv"))
    assert [(row.launch, row.latency_us_median) for row in rows] == [
        (0, 5.0), (1, 6.0), (2, 9.0), (3, 9.5), (4, 7.0), (5, 8.0),
    ]  # fmt: skip
    assert {row.run_id for row in rows} == {"r"}
    assert load_samples(Path("r.csv")) == {index: [1.0, 2.0] for index in range(6)}
    sidecar = json.loads(Path("r.json").read_text())
    assert [(each["launch"], each["part"]) for each in sidecar["launches"]][2:4] == [(2, "nodes2.1"), (3, "nodes2.1")]
    reported = sidecar["submission"]["parts"][1]
    assert (reported["jobs"], reported["state"], reported["asked"]) == (["101_1", "102_1"], "COMPLETED", {"time": "60"})
    assert reported["preflight"] == [{"what": "MPI"}]


def test_a_requeued_part_with_a_launch_more_moves_the_numbers_of_the_next(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "2", "--allocations", "2", "--launches", "2")
    measured(part(0), [timed(5.0 + launch, nodes=2, launch=launch) for launch in (0, 1, 2)])
    measured(part(1), [timed(9.0, nodes=2), timed(9.5, nodes=2, launch=1)])
    assert part(0).complete()
    stage.set("queue", "101_0|COMPLETED|1:00|n1|None\n101_1|COMPLETED|0:10|n2|None\n")
    assert stage.run("submit", "--wait", "-o", "r.csv").code == 0
    assert [row.launch for row in load(Path("r.csv"))] == [0, 1, 2, 3, 4]


def test_nothing_is_submitted_again_while_it_waits_or_runs(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2")
    measured(part(0), [timed(5.0)])
    stage.set("queue", "101|COMPLETED|1:00|n1|None\n102|PENDING|0:00||Priority\n")
    ran = stage.run("submit", "--resume", "-o", "r.csv")
    assert ran.code == 0
    assert "Nothing to resubmit" in ran.err
    assert len(stage.calls()) == 2


def test_a_job_that_was_submitted_by_hand_is_followed(stage: Stage) -> None:
    stage.set("refuse", "nodes")
    stage.run(*SUBMIT, "--nodes", "1")
    measured(part(0), [timed(5.0)])
    (part(0).folder / "nodes1.0.job").write_text("77\n")
    stage.set("queue", "77|COMPLETED|1:00|n1|None\n")
    ran = stage.run("submit", "--wait", "-o", "r.csv")
    assert ran.code == 0, ran.err
    assert "job 77 completed" in ran.err


def test_files_that_are_seen_late_are_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    stage.set("queue", "101|COMPLETED|0:10|node1|None\n")
    pauses: list[int] = []

    def arrive(*_: object) -> None:
        pauses.append(1)
        if len(pauses) == 2:
            measured(part(0), [timed(5.0)])

    monkeypatch.setattr(follow.Pace, "wait", arrive)
    assert stage.run("submit", "--wait", "-o", "r.csv").code == 0
    assert len(pauses) == 2


def test_jobs_find_the_kernels_of_the_user(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (stage.folder / "my kernels").mkdir()
    monkeypatch.setenv("COLLBENCH_KERNELS", "my kernels")
    ran = stage.run(*SUBMIT, "--nodes", "1", "--dry-run")
    assert f"export COLLBENCH_KERNELS='{stage.folder}/my kernels'" in ran.out


def test_jobs_find_the_configs_of_the_user(stage: Stage) -> None:
    shutil.copy(CONFIGS / "llama-3.2-3b.json", stage.folder / "mine.json")
    spec = "mine.json:tp=2:speculate=3:draft=mine.json,llama-3.1-8b:tp=2"
    ran = stage.run("submit", "--profile", "local", "--nodes", "1", "--dry-run", "--llm", spec)
    whole = f"{stage.folder}/mine.json"
    assert f"--llm '{whole}:tp=2:speculate=3:draft={whole},llama-3.1-8b:tp=2'" in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--profile", "local", "--nodes", "2", "--variant", "a=mpi MPICH_X=1"), "set it on the launcher instead"),
        (("--profile", "local", "--nodes", "2", "--variant", "a=mpi PATH=1"), "no sidecar would record"),
        (("--profile", "local", "--nodes", "2", *("--variant", "a=mpi NCCL_X=1") * 2), "two variants are named a"),
        (("--profile", "local", "--nodes", "2", "--variant", "a=mpj NCCL_X=1"), "did you mean 'mpi'"),
        (("--profile", "local"), "--nodes is missing"),
        (("--nodes", "2"), "--profile is missing"),
        (("--resume",), "--profile is missing"),
        (("--wait", "-o", "none.csv", "--time", "5"), "keeps its options"),
        (("--resume", "-o", "none.csv", "--launches", "5"), "keeps its options"),
        (("--wait", "-o", "none.csv"), "nothing was submitted for none.csv"),
        (("--profile", "local", "--resume", "-o", "r.csv"), "omit --profile"),
        (("--profile", "perlmuter", "--nodes", "2"), "did you mean 'perlmutter'"),
        (("--profile", "perlmutter", "--nodes", "2"), "perlmutter needs --account"),
        (("--profile", "infiniband", "--nodes", "2"), "sets no number of GPUs"),
        (("--profile", "local", "--nodes", "2", "-o", "r.txt"), "does not end in .csv"),
        (("--profile", "local", "--nodes", "2", "--time", "1h"), "not a time limit of Slurm"),
        (("--profile", "local", "--nodes", "2", "--sizes", "4X"), "is not a valid size"),
        (("--profile", "local", "--nodes", "2", "--hidden", "64"), "--hidden is for all_reduce_rms_norm"),
        (("--profile", "local", "--nodes", "2", "--skew", "9us", "--mode", "chain"), "a sample of mode chain has many"),
        (("--profile", "local", "--nodes", "2", "--llm", "llama-3.1-8b:tp=3"), "refuses --tp 3"),
        (("--profile", "local", "--nodes", "2", "--llm", "llama-3.1-8b:tp=2", "--pairs"), "omit --pairs"),
        (
            ("--profile", "local", "--nodes", "4,2", "--llm", "llama-3.1-8b:tp=8"),
            "rank 7 is needed, but this launch has 4",
        ),
        (("--profile", "local", "--nodes", "2", "--size", "4K"), "No such option '--size'"),
        (("--profile", "local", "--nodes", "2", "--json"), "do not apply to jobs"),
        (("--profile", "local", "--nodes", "2", "--force"), "do not apply to jobs"),
        (("--profile", "local", "--nodes", "2,4", "--ranks", "8"), "8 ranks requested, but this launch has 4"),
        (("--profile", "local", "--nodes", "2", "--account", "a\nb"), "non-printable"),
    ],
)
def test_bad_input(stage: Stage, arguments: tuple[str, ...], words: str) -> None:
    ran = CliRunner().invoke(cli, ["submit", *arguments])
    assert ran.exit_code != 0
    assert words in f"{ran.output}{ran.exception}"
    assert not list(stage.folder.iterdir())


def test_what_would_be_submitted_again(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "2", "--allocations", "2")
    measured(part(0), [timed(5.0, nodes=2)])
    ran = stage.run("submit", "--resume", "--dry-run", "--time", "60", "-o", "r.csv")
    assert ran.out == "sbatch --time=60 --array=1%1 nodes2.sh\n"
    assert len(stage.calls()) == 1


def test_an_account_that_is_refused_is_not_tried_again(stage: Stage) -> None:
    stage.set("refuse", "nodes")
    ran = stage.run(*SUBMIT, "--nodes", "1", "--wait")
    assert ran.code == 1
    assert len(stage.calls()) == 1
    assert load(Path("r.csv"))[0].reason.startswith("nodes1.0: not submitted (QOSMaxWallDurationPerJobLimit")


def test_a_slurm_that_cannot_say_what_runs_gets_no_second_job(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    stage.set("silent", "slurm_load_jobs error: Unable to contact slurm controller")
    with pytest.raises(UsageError, match="Slurm does not report which jobs are running"):
        stage.run("submit", "--resume", "-o", "r.csv")
    assert len(stage.calls()) == 1


def test_what_came_in_is_gathered_where_there_is_no_slurm(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    measured(part(0), [timed(5.0)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert stage.run("submit", "--wait", "-o", "r.csv").code == 0
    assert [row.status for row in load(Path("r.csv"))] == ["ok"]


def test_nothing_is_known_of_jobs_that_have_not_begun(stage: Stage) -> None:
    stage.set("refuse", "nodes")
    stage.run(*SUBMIT, "--nodes", "1")
    with pytest.raises(UsageError, match=r"no job for r\.csv is known yet"):
        stage.run("submit", "--wait", "-o", "r.csv")


def test_another_run_is_not_replaced(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    measured(part(0), [timed(5.0)])
    Path("r.csv").write_text("precious")
    with pytest.raises(UsageError, match="holds another run"):
        stage.run("submit", "--wait", "-o", "r.csv")
    assert Path("r.csv").read_text() == "precious"


def test_lines_of_a_launcher_around_what_the_doctor_says(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1")
    reported = part(0).folder / "nodes1.0.doctor.json"
    reported.write_text('TACC:  Starting up job 1\n[\n {\n  "what": "MPI"\n }\n]\nTACC:  Shutdown complete.\n')
    assert part(0).preflight() == [{"what": "MPI"}]
    reported.write_text("TACC:  Starting up job 1\n[\n {")
    assert part(0).preflight() is None


def test_what_exists_is_not_replaced(stage: Stage) -> None:
    assert stage.run(*SUBMIT, "--nodes", "1").code == 0
    with pytest.raises(UsageError, match=r"r\.jobs exists"):
        stage.run(*SUBMIT, "--nodes", "1")


@pytest.mark.parametrize("text", ["30", "05:00", "1:00:00", "2-00", "2-12:30", "2-12:30:15"])
def test_times_that_slurm_reads(stage: Stage, text: str) -> None:
    ran = stage.run(*SUBMIT, "--nodes", "1", "--dry-run", "--time", text)
    assert f"#SBATCH --time={text}" in ran.out


def test_jobs_are_cancelled(stage: Stage) -> None:
    stage.run(*SUBMIT, "--nodes", "1,2", "--allocations", "2")
    stage.set("queue", "".join(f"{job}|{state}|0:10|node1|None\n" for job, state in [
        ("101_0", "COMPLETED"), ("101_1", "RUNNING"), ("102_0", "PENDING"), ("102_1", "PENDING"),
    ]))  # fmt: skip
    stage.set("gone", "scancel: error: Kill job error on job id 101_1: Invalid job id specified\n")
    ran = stage.run("submit", "--cancel", "-o", "r.csv")
    assert ran.code == 0
    assert {*stage.read("cancelled").strip("|\n").split("|")} == {"101_1", "102_0", "102_1"}
    assert ran.err.startswith("cancelled: 102_")
    stage.set("gone", "scancel: error: Unable to contact slurm controller\n")
    with pytest.raises(UsageError, match=r"Slurm does not cancel the jobs \(scancel: error: Unable to contact"):
        stage.run("submit", "--cancel", "-o", "r.csv")
