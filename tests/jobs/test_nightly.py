"""A configuration file as jobs, night by night, and the history of one of its sets."""

from __future__ import annotations

import json
import re
import shlex
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from nights import FIRST, launches_of
from slurm_stage import Stage, measured

from collbench.cli.sweep import sweep
from collbench.errors import UsageError
from collbench.jobs.submission import reopen
from collbench.results.files import sidecar_path

FILE = """
backend = ["mpi", "mpi-ring"]
launches = 3
variant = "a=mpi NCCL_X='1 2'"
[nightly]
sizes = ["4K", "64K"]
nodes = [1, 2]
output = "nights/first.csv"
[weekly]
sizes = "4K"
nodes = 1
"""


def submit(stage: Stage, *words: str) -> str:
    """What submit prints for the file."""
    (stage.folder / "s.toml").write_text(FILE, encoding="utf-8")
    ran = stage.run("submit", "--profile", "local", "--config", "s.toml", *words)
    assert ran.code == 0, ran.err
    return ran.out


def test_scripts_hold_the_options_and_not_the_file(stage: Stage) -> None:
    text = submit(stage, "--set", "nightly", "--dry-run")
    assert re.findall(r"#SBATCH --nodes=(\d)", text) == ["1", "2"]
    assert "#SBATCH --job-name=collbench-first" in text
    assert text.count("left=6 ") == 2, "three launches of the backends and of the variant"
    options = re.search(r"^options=\((.*)\)$", text, re.MULTILINE)
    assert options is not None
    words = shlex.split(options[1])
    assert words[:6] == ["--sizes", "4K,64K", "--backend", "mpi,mpi-ring", "--variant", "a=mpi NCCL_X='1 2'"]
    assert words[6::2] == ["--configured-by", "--launches"]
    assert sweep.make_context("sweep", words).params["launches"] == 3
    text = submit(
        stage, "--set", "nightly", "--nodes", "4", "--launches", "2", "--sizes", "8", "--dry-run", "-o", "x.csv"
    )
    assert re.findall(r"#SBATCH --nodes=(\d)", text) == ["4"]
    assert ("4K" in text, "left=4 " in text, "collbench-x" in text) == (False, True, True)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--wait", "-o", "r.csv", "--config", "s.toml"), "--config is for a new submission of a sweep; omit it."),
        (("--profile", "local", "--check", "--config", "s.toml"), "--config is for a new submission of a sweep"),
        (("--profile", "local", "--config", "s.toml", "--nodes", "1", "--json"), "do not apply to jobs"),
        (("--profile", "local", "--config", "s.toml"), "--nodes is missing"),
        (("--profile", "local", "--set", "x"), "give the file with --config"),
    ],
)
def test_what_jobs_refuse(stage: Stage, words: tuple[str, ...], reason: str) -> None:
    (stage.folder / "s.toml").write_text(FILE, encoding="utf-8")
    with pytest.raises(UsageError, match=reason):
        stage.run("submit", *words)


def a_night(stage: Stage, day: int, name: str, us: float) -> None:
    """Submit the set ``name`` for its night, let its jobs leave rows as a sweep would, and gather them."""
    started: datetime = FIRST + timedelta(days=day)
    path = Path("nights") / f"{started:%Y%m%dT%H%M%S}-{name}.csv"
    submit(stage, "--set", name, "--nodes", "1", "-o", str(path))
    (part,) = reopen(path).parts()
    measured(part, launches_of(us, backend="mpi"))
    asked = sweep.make_context("sweep", list(part.job.sweep)).meta
    (origin,) = (value for value in asked.values() if hasattr(value, "sha256"))
    content = json.loads(sidecar_path(part.csv).read_text(encoding="utf-8"))
    for launch in content["launches"]:
        launch.update(started=started.isoformat(), config=vars(origin))
    sidecar_path(part.csv).write_text(json.dumps(content), encoding="utf-8")
    assert stage.run("submit", "--wait", "-o", str(path)).code == 0


def test_the_history_of_one_set_of_what_was_submitted(stage: Stage) -> None:
    Path("nights").mkdir()
    for day in range(8):
        a_night(stage, day, "nightly", 10.0 if day < 6 else 11.0)
        if day == 7:
            a_night(stage, day, "weekly", 10.0)
    ran = stage.run("history", "nights", "--set", "nightly", "--json")
    (case,) = json.loads(ran.out)
    assert case["verdict"] == "slower"
    with pytest.raises(UsageError, match="unknown set 'nightl'; did you mean 'nightly'"):
        stage.run("history", "nights", "--set", "nightl")
    ran = stage.run("history", "nights", "--set", "weekly", "--json")
    assert json.loads(ran.out)[0]["nights"] == 1
