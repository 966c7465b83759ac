"""The same commands against a real Slurm: slurmctld, munge and several slurmd as nodes of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from lab import slurm as lab
from running import GUARD_SECONDS, Ran, clean_environment

from collbench.batch.job import Job
from collbench.batch.slurm import look, mine, submit
from collbench.batch.system import RefusedError
from collbench.cli.main import cli
from collbench.errors import UsageError
from collbench.jobs import follow, profiles
from collbench.jobs.scripts import script
from collbench.jobs.submission import reopen
from collbench.results.records import Record, load

pytestmark = pytest.mark.skipif(lab.missing() is not None, reason=str(lab.missing()))
RESULTS = Path("r.csv")
QUICK = ("--backend", "mpi,mpi-nvrar", "--warmup", "1", "--max-seconds", "0.05")
NASTY = "$(touch x) `touch x` \"a\" 'b' #c \\d ; touch x é"


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[lab.Cluster]:
    """One for all tests of this file."""
    with lab.cluster() as found:
        yield found


@pytest.fixture
def cluster(shared_cluster: lab.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lab.Cluster:
    """The cluster, a folder to submit from, and no long pauses between looks."""
    return enter(shared_cluster, tmp_path, monkeypatch)


def enter(cluster: lab.Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> lab.Cluster:
    """Work with a cluster, from a folder."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in cluster.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(follow, "PAUSES", (0.2, 0.5))
    monkeypatch.chdir(folder)
    return cluster


def run(*arguments: str) -> Ran:
    """Run the command line."""
    ran = CliRunner(catch_exceptions=False).invoke(cli, arguments, standalone_mode=False)
    return Ran(int(ran.return_value or 0), ran.stdout, ran.stderr)


def until(what: Callable[[], bool], seconds: float = GUARD_SECONDS) -> None:
    """Wait for something that must happen."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def logs() -> str:
    """What the jobs said."""
    return "\n".join(path.read_text() for path in sorted(Path("r.jobs").glob("*.log")))


def rows() -> list[Record]:
    """What was gathered."""
    return load(RESULTS)


def test_a_sweep_over_nodes_from_submission_to_charts(cluster: lab.Cluster) -> None:
    ran = run("submit", "--profile", "local", "--nodes", "1,2,4", "--account", NASTY, "--sizes", "4K", *QUICK,
              "-o", "r.csv", "--wait")  # fmt: skip
    assert ran.code == 0, f"{ran.err}\n{logs()}"
    found = rows()
    assert {(row.nodes, row.ranks, row.gpus_per_node, row.fabric) for row in found} == {
        (1, 2, 2, "shm"), (2, 4, 2, "tcp"), (4, 8, 2, "tcp"),
    }  # fmt: skip
    assert len(found) == 3 * 2
    assert {row.status for row in found} == {"ok"}
    sidecar = json.loads(Path("r.json").read_text())
    hosts = {launch["part"]: {rank["host"] for rank in launch["ranks"]} for launch in sidecar["launches"]}
    assert len(hosts["nodes4.0"]) == 4
    parts = {part["part"]: part for part in sidecar["submission"]["parts"]}
    assert all(part["preflight"] and len(part["jobs"]) == 1 and part["state"] == "COMPLETED" for part in parts.values())
    found_before = {finding["what"]: finding for finding in parts["nodes4.0"]["preflight"]}
    assert "the MPI world has 8 ranks" in found_before["launcher"]["found"]
    assert found_before["ranks"]["found"] == "node1: 2, node2: 2, node3: 2, node4: 2"
    assert not [finding for finding in found_before.values() if finding["grade"] == "bad"]
    (number,) = parts["nodes2.0"]["jobs"]
    assert f"Account={NASTY} QOS" in cluster.ask("scontrol", "show", "job", number)
    assert not list(Path().rglob("x"))
    ended = [(Path("r.jobs") / f"nodes{nodes}.0.ended").stat().st_mtime for nodes in (1, 2, 4)]
    began = [(Path("r.jobs") / f"nodes{nodes}.0.job").stat().st_mtime for nodes in (1, 2, 4)]
    assert began[1] >= ended[0]
    assert began[2] >= ended[1], "two jobs at a time would share the network"
    ran = run("plot", "r.csv", "-o", "plots")
    assert {"plots/r-scaling.png", "plots/r-latency-8r-4n-tcp.png"} <= set(ran.out.split())


def test_slurms_own_parser_takes_the_script_of_every_profile(cluster: lab.Cluster) -> None:
    for name in (name for name in profiles.names() if profiles.find(name).system == "slurm"):
        job = Job("r", 2, 4, 4, 1, 3, False, ("--sizes", "4K"), {"account": NASTY, "partition": "debug"})
        Path(f"{name}.sh").write_text(script(job, profiles.find(name)))
        ran = subprocess.run(["sbatch", "--test-only", f"{name}.sh"], capture_output=True, text=True, check=False)
        assert "to start at" in ran.stderr, (name, ran.stderr)


def test_a_cancelled_job_keeps_its_rows_and_is_resumed(cluster: lab.Cluster) -> None:
    run("submit", "--profile", "local", "--nodes", "2", "--sizes", "4K:64K", "--backend", "mpi", "--samples", "200",
        "--max-seconds", "1", "-o", "r.csv")  # fmt: skip
    (part,) = reopen(RESULTS).parts()
    until(lambda: len(part.records()) >= 2)
    number = reopen(RESULTS).last_id(part)
    cluster.ask("scancel", number)
    until(lambda: not look([number])[number].live)
    kept = part.records()
    assert 2 <= len(kept) < 5
    ran = run("submit", "--wait", "-o", "r.csv")
    assert ran.code == 1
    assert [row.is_job for row in rows()] == [False] * len(kept) + [True]
    assert f"job {number} of nodes2.0: CANCELLED" in rows()[-1].reason
    ran = run("submit", "--resume", "--wait", "-o", "r.csv")
    assert ran.code == 0, f"{ran.err}\n{logs()}"
    assert sorted(row.bytes for row in rows()) == [4096 << index for index in range(5)]
    before = [(row.bytes, row.latency_us_median) for row in kept]
    assert [(row.bytes, row.latency_us_median) for row in rows()][: len(kept)] == before


def test_an_array_of_allocations(cluster: lab.Cluster) -> None:
    ran = run("submit", "--profile", "local", "--nodes", "1", "--allocations", "2", "--launches", "2", "--sizes", "4K",
              *QUICK, "-o", "r.csv", "--wait")  # fmt: skip
    assert ran.code == 0, f"{ran.err}\n{logs()}"
    assert sorted({row.launch for row in rows()}) == [0, 1, 2, 3]
    ended, began = ((Path("r.jobs") / name).stat().st_mtime for name in ("nodes1.0.ended", "nodes1.1.job"))
    assert began >= ended, "two of an array at a time would share the network"
    assert [number.split("_")[1] for ids in reopen(RESULTS).ids.values() for number in ids] == ["0", "1"]


def test_a_set_of_a_file_is_what_the_jobs_run_though_the_file_changes(cluster: lab.Cluster) -> None:
    file = Path("s.toml")
    file.write_text(
        'warmup = 1\nmax-seconds = 0.05\n[nightly]\nbackend = "mpi"\nsizes = ["4K", "8K"]\nnodes = [1, 2]\n'
    )
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    ran = run("submit", "--profile", "local", "--config", "s.toml", "--set", "nightly", "--sizes", "8K", "-o", "r.csv")
    assert ran.code == 0, ran.err
    file.unlink()
    assert run("submit", "--wait", "-o", "r.csv").code == 0, logs()
    assert {(row.nodes, row.backend, row.bytes) for row in rows()} == {(1, "mpi", 8192), (2, "mpi", 8192)}
    launches = json.loads(Path("r.json").read_text())["launches"]
    assert [each["config"] for each in launches] == [{"file": "s.toml", "sha256": sha256, "set": "nightly"}] * 2
    assert [each["sweep"]["warmup"] for each in launches] == [1, 1]
    ran = run("history", ".", "--set", "nightly")
    assert ran.code == 0, ran.err


def test_a_check_is_judged_in_one_allocation(cluster: lab.Cluster) -> None:
    ran = run("submit", "--check", "--profile", "local", "--nodes", "1", "--baseline", "mpi-nvrar", "--candidate",
              "mpi-ring", "--sizes", "4K", "--margin", "900%", "--max-launches", "3", *QUICK[2:], "-o", "r.csv",
              "--wait")  # fmt: skip
    assert ran.code in (0, 6), f"{ran.err}\n{logs()}"
    assert "mpi-ring against mpi-nvrar: " in ran.out
    assert {row.launch for row in rows()} == {0, 1, 2}


def test_jobs_that_fail_are_rows_beside_those_that_do_not(cluster: lab.Cluster) -> None:
    Path("bad.toml").write_text('like = "local"\nbefore = ["[ \\"$SLURM_NNODES\\" = 1 ]"]\n')
    ran = run("submit", "--profile", "./bad.toml", "--nodes", "1,2", "--sizes", "4K", *QUICK, "-o", "r.csv", "--wait")
    assert ran.code == 1
    assert [(row.nodes, row.status) for row in rows()] == [(1, "ok"), (1, "ok"), (2, "failed")]
    assert "FAILED" in rows()[-1].reason
    assert "1 node" in ran.out
    assert "failed ×1: job" in ran.out


def test_the_wrong_plugin_is_named_with_its_cure(cluster: lab.Cluster) -> None:
    Path("bad.toml").write_text('like = "local"\nlaunch = ["srun", "--mpi=none"]\n')
    ran = run("submit", "--profile", "./bad.toml", "--nodes", "2", "--sizes", "4K", *QUICK, "-o", "r.csv", "--wait")
    assert ran.code == 1
    (row,) = rows()
    assert row.is_job
    assert "srun started 4 processes, but each is a separate MPI world" in logs()
    assert "--mpi=pmi2" in logs()
    (launcher,) = (found for found in reopen(RESULTS).parts()[0].preflight() if found["what"] == "launcher")
    assert launcher["grade"] == "bad"
    assert "every process is rank 0 of a world of its own" in launcher["found"]
    assert launcher["cure"].startswith("srun --mpi=pmi2")


def test_a_busy_cluster_is_waited_for(cluster: lab.Cluster) -> None:
    Path("busy.sh").write_text("#!/bin/sh\nsleep 100\n")
    busy = submit(Path("busy.sh").resolve(), "--nodes=4", "--output=/dev/null")
    until(lambda: look([busy])[busy].state == "RUNNING")
    run("submit", "--profile", "local", "--nodes", "1", "--sizes", "4K", *QUICK, "-o", "r.csv")
    submission = reopen(RESULTS)
    until(lambda: follow.look(submission, {})[0].seen.why == "Resources")
    assert "pending" in follow.table(follow.look(submission, {}))
    cluster.ask("scancel", busy)
    assert run("submit", "--wait", "-o", "r.csv").code == 0


def test_jobs_that_wait_count_with_each_task_of_an_array(cluster: lab.Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mine(None, None)
    number = cluster.ask("sbatch", "--parsable", "--hold", "--array=0-3", "--wrap=true").strip()
    monkeypatch.setenv("SQUEUE_PARTITION", "nowhere")
    assert (mine("debug", None), mine("debug", "high"), mine("nowhere", None)) == (before + 4, 0, 0)
    Path("mine.toml").write_text(
        f'like = "local"\n[slurm]\npartition = "debug"\n[[limits]]\nsource = "s"\njobs = {before + 4}\n'
    )
    with pytest.raises(UsageError, match=f"^{before + 4} jobs of yours wait or run; with 1 more"):
        run("submit", "--profile", "./mine.toml", "--nodes", "1", "-o", "r.csv")
    cluster.ask("scancel", number)
    until(lambda: mine("debug", None) == before)


def test_a_queue_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lab.cluster(lab.Shape(nodes=1, gpus=0, jobs=2, forget=2)) as small:
        enter(small, tmp_path, monkeypatch)
        Path("busy.sh").write_text("#!/bin/sh\nsleep 100\n")
        busy: list[str] = []
        with pytest.raises(RefusedError, match="temporarily unable") as refusal:
            busy.extend(submit(Path("busy.sh").resolve(), "--output=/dev/null") for _ in range(9))
        assert refusal.value.full
        assert busy
        child = subprocess.Popen(["sh", "-c", f"sleep 1; exec scancel {' '.join(busy)}"])
        ran = run("submit", "--profile", "local", "--nodes", "1", "--sizes", "4K", *QUICK, "-o", "r.csv", "--wait")
        child.wait()
        assert ran.code == 0, f"{ran.err}\n{logs()}"
        assert "not submitted (Slurm temporarily unable" in ran.err
        assert {row.status for row in rows()} == {"ok"}
