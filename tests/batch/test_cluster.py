"""The same commands against a real OpenPBS, which ``make test-pbs`` finds where one is installed."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from lab import pbs as lab
from running import GUARD_SECONDS, Ran, clean_environment

from collbench.batch import pbs
from collbench.batch.job import Job
from collbench.cli.main import cli
from collbench.jobs import follow, profiles, scripts
from collbench.jobs.submission import reopen
from collbench.results.records import Record, load

pytestmark = pytest.mark.skipif(lab.missing() is not None, reason=str(lab.missing()))
RESULTS = Path("r.csv")
QUICK = ("--backend", "mpi", "--warmup", "1", "--max-seconds", "0.05", "-o", "r.csv")
LONG = ("--sizes", "4K:64K", "--backend", "mpi", "--samples", "200", "--max-seconds", "1", "-o", "r.csv")
NASTY = "$(touch x) `touch x` \"a\" 'b' #c \\d ; touch x é"
PROFILE = f"""
about = "like Polaris, one node"
ranks_per_node = 2
before = ["export PYTHONPATH={os.environ.get("PYTHONPATH", "")}"]
launch = ["{Path(sys.executable).parent}/mpiexec", "-n", "{{total}}", "-ppn", "{{ranks}}"]
collbench = ["{sys.executable}", "-m", "collbench"]

[pbs]
select = "{{nodes}}:system=polaris:mpiprocs={{ranks}}"
walltime = "00:05:00"
filesystems = "home:eagle"
"""


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[lab.Cluster]:
    """One for all tests of this file."""
    with lab.cluster() as found:
        yield found


@pytest.fixture
def cluster(shared_cluster: lab.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lab.Cluster:
    """The cluster, a folder to submit from with a profile, and no long pauses between looks."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in shared_cluster.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(follow, "PAUSES", (0.2, 0.5))
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(PROFILE)
    return shared_cluster


def run(*arguments: str) -> Ran:
    """Run the command line."""
    ran = CliRunner(catch_exceptions=False).invoke(cli, arguments, standalone_mode=False)
    return Ran(int(ran.return_value or 0), ran.stdout, ran.stderr)


def submit(*arguments: str) -> Ran:
    """Submit with the profile."""
    return run("submit", "--profile", "./mine.toml", "--nodes", "1", *arguments)


def until(what: Callable[[], bool], seconds: float = GUARD_SECONDS) -> None:
    """Wait for something that must happen."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def logs() -> str:
    """What the jobs said."""
    return "\n".join(path.read_text() for path in sorted(Path("r.jobs").glob("*.log")))


def rows() -> list[Record]:
    """What was gathered."""
    return load(RESULTS)


def state(number: str) -> str:
    """The state of a job."""
    return pbs.look([number])[number].state


def test_a_chain_of_allocations_from_submission_to_results(cluster: lab.Cluster) -> None:
    ran = submit("--allocations", "2", "--account", NASTY, "--time", "7", "--sizes", "4K", *QUICK, "--wait")
    assert ran.code == 0, f"{ran.err}\n{logs()}"
    assert [(row.launch, row.ranks, row.status) for row in rows()] == [(0, 2, "ok"), (1, 2, "ok")]
    parts = json.loads(Path("r.json").read_text())["submission"]["parts"]
    assert [(part["state"], part["hosts"]) for part in parts] == [("COMPLETED", lab.HOST)] * 2
    assert all(part["preflight"] for part in parts)
    (number,) = parts[1]["jobs"]
    (job,) = json.loads(cluster.ask("qstat", "-x", "-f", "-F", "json", number))["Jobs"].values()
    assert job["Account_Name"] == NASTY
    assert {name: job["Resource_List"][name] for name in ("walltime", "filesystems", "select", "place")} == {
        "walltime": "00:07:00", "filesystems": "home:eagle", "select": "1:system=polaris:mpiprocs=2",
        "place": "scatter",
    }  # fmt: skip
    assert not list(Path().rglob("x"))
    ended, began = ((Path("r.jobs") / name).stat().st_mtime for name in ("nodes1.0.ended", "nodes1.1.job"))
    assert began >= ended, "two jobs at a time would share the network"


@pytest.mark.parametrize("nodes", [1, 2, 8])
@pytest.mark.parametrize("name", [name for name in profiles.names() if profiles.find(name).system == "pbs"])
def test_qsub_takes_the_script_of_every_profile(cluster: lab.Cluster, name: str, nodes: int) -> None:
    job = Job("collbench-r", nodes, 4, 4, 1, 1, False, ("--sizes", "4K"), {"account": NASTY, "time": "30"})
    script = Path("job.sh").resolve()
    script.write_text(scripts.script(job, profiles.find(name)))
    number = pbs.submit(script, "-h", "-q", "workq")
    (found,) = json.loads(cluster.ask("qstat", "-f", "-F", "json", number))["Jobs"].values()
    pbs.cancel([number])
    assert (found["job_state"], found["Job_Name"], found["Account_Name"]) == ("H", "collbench-r", NASTY)
    assert (found["Resource_List"]["nodect"], found["Resource_List"]["walltime"]) == (nodes, "00:30:00")


def test_a_deleted_job_keeps_its_rows_and_is_resumed(cluster: lab.Cluster) -> None:
    submit(*LONG)
    (part,) = reopen(RESULTS).parts()
    until(lambda: len(part.records()) >= 2)
    number = reopen(RESULTS).last_id(part)
    cluster.ask("qdel", number)
    until(lambda: not pbs.look([number])[number].live)
    kept = part.records()
    assert run("submit", "--wait", "-o", "r.csv").code == 1
    assert f"job {number} of nodes1.0: DELETED after" in rows()[-1].reason
    assert "(terminated by root@" in rows()[-1].reason
    ran = run("submit", "--resume", "--wait", "-o", "r.csv")
    assert ran.code == 0, f"{ran.err}\n{logs()}"
    assert sorted(row.bytes for row in rows()) == [4096 << index for index in range(5)]
    before = [(row.bytes, row.latency_us_median) for row in kept]
    assert [(row.bytes, row.latency_us_median) for row in rows()][: len(kept)] == before


def test_a_chain_is_cancelled_without_a_job_beginning(cluster: lab.Cluster) -> None:
    submit("--allocations", "3", *LONG)
    numbers = [reopen(RESULTS).last_id(part) for part in reopen(RESULTS).parts()]
    until(lambda: state(numbers[0]) == "RUNNING")
    assert [state(number) for number in numbers[1:]] == ["HELD", "HELD"]
    assert run("submit", "--cancel", "-o", "r.csv").err == f"cancelled: {', '.join(reversed(numbers))}\n"
    until(lambda: not any(seen.live for seen in pbs.look(numbers).values()))
    assert [state(number) for number in numbers] == ["DELETED", "NEVER RAN", "NEVER RAN"]
    assert not list(Path("r.jobs").glob("nodes1.[12].job"))


def test_a_job_that_no_queue_takes_vanishes(cluster: lab.Cluster) -> None:
    ran = submit("--queue", "prod", "--sizes", "4K", *QUICK, "--wait")
    assert ran.code == 1
    assert ": VANISHED (PBS does not know it" in rows()[0].reason


def test_a_job_behind_one_that_no_queue_takes_is_stuck(cluster: lab.Cluster) -> None:
    Path("quick.sh").write_text("#!/bin/sh\n")
    script = Path("quick.sh").resolve()
    cluster.ask("qmgr", "-c", "set queue prod started=false")
    first = pbs.submit(script, "-q", "prod")
    second = pbs.submit(script, "-W", f"depend=afterany:{first}")
    assert (state(first), state(second)) == ("QUEUED", "HELD")
    cluster.ask("qmgr", "-c", "set queue prod started=true")
    until(lambda: not pbs.look([first]).get(first, pbs.UNSEEN).live)
    stuck = pbs.look([first, second])[second]
    assert (stuck.state, stuck.why) == ("STUCK", f"afterany:{first}@{lab.HOST} ended; submit --cancel, then --resume")
    pbs.cancel([second])
    until(lambda: state(second) == "NEVER RAN")


def test_jobs_that_wait_count_with_each_task_of_an_array(cluster: lab.Cluster) -> None:
    before = pbs.mine(None, None)
    Path("wait.sh").write_text("#!/bin/bash\ntrue\n")
    number = cluster.ask("qsub", "-h", "-J", "0-3", "wait.sh").strip()
    assert (pbs.mine("workq", None), pbs.mine("small", None)) == (before + 4, 0)
    cluster.ask("qdel", number)
    until(lambda: pbs.mine(None, None) == before)


def test_a_queue_that_is_full(cluster: lab.Cluster) -> None:
    cluster.ask("qmgr", "-c", "set queue workq max_queued = [u:PBS_GENERIC=1]")
    ran = submit("--allocations", "2", "--sizes", "4K", *QUICK, "--wait")
    cluster.ask("qmgr", "-c", "unset queue workq max_queued")
    assert ran.code == 0, f"{ran.err}\n{logs()}"
    assert "nodes1.1: not submitted (would exceed queue generic's per-user limit)" in ran.err
    assert {row.status for row in rows()} == {"ok"}


def test_a_job_out_of_time_is_a_row(cluster: lab.Cluster) -> None:
    ran = submit("--time", "0:02", "--sizes", "4K:1M", "--backend", "mpi", "--samples", "2000", "--max-seconds", "9",
                 "-o", "r.csv", "--wait")  # fmt: skip
    assert ran.code == 5, f"{ran.err}\n{logs()}"
    assert rows()[-1].status == "timeout"
    assert ": TIMEOUT after" in rows()[-1].reason
