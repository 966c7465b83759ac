"""Limits of sites: what they would refuse after hours in a queue is refused at once, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from slurm_stage import Stage

from collbench.errors import UsageError
from collbench.jobs.limits import Limit, Wish, check, clock, read, seconds_of
from collbench.jobs.profiles import find, load

DEV = Limit("handbook", partition="dev", nodes=8, min_nodes=2, seconds=7200, min_seconds=300, node_minutes=480, gpus=16,
            jobs=3)  # fmt: skip
WISH = Wish("dev", None, "01:00:00", nodes=8, gpus=16, jobs=3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 1800), ("30:10", 1810), ("01:30:10", 5410), ("2-12", 216000), ("1-02:03", 93780), ("1-00:00:01", 86401),
     ("infinite", None), ("", None), ("1:2:3:4", None)],
)  # fmt: skip
def test_time_limits_of_slurm(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


def test_a_clock_shows_more_than_a_day() -> None:
    assert clock(172800) == "48:00:00"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nodes": 9, "time": "00:10:00"}, "a job of 9 nodes is more than the site takes: up to 8 in partition dev"),
        ({"nodes": 1}, "a job of 1 node is less than the site takes: from 2"),
        ({"time": "2:00:01", "nodes": 2}, "--time 2:00:01 is more than the site takes: up to 02:00:00"),
        ({"time": "4"}, "--time 4 is less than the site takes: from 00:05:00"),
        (
            {"time": "01:01:00"},
            "for 01:01:00, 488 node-minutes, is more than the site takes: up to 480",
        ),
        ({"gpus": 32}, "a job of 32 GPUs is more than the site takes: up to 16"),
        ({"jobs": 4}, r"submitting 4 jobs at once is more than the site takes: up to 3 in partition dev \(handbook\)"),
    ],
)
def test_what_a_site_refuses(change: dict[str, int | str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check([DEV], replace(WISH, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({}, DEV),
        ({"time": None}, DEV),
        ({"partition": "gh", "nodes": 99}, DEV),
        ({"partition": None, "nodes": 99}, DEV),
        ({"qos": None, "nodes": 99}, replace(DEV, partition=None, qos="debug")),
        ({"nodes": 99}, Limit("handbook")),
        ({"nodes": 9}, replace(DEV, nodes=None, seconds=60, node_minutes=None, up_to_nodes=8)),
    ],
)
def test_what_it_takes(change: dict[str, int | str], limit: Limit) -> None:
    check([limit], replace(WISH, **change))  # type: ignore[arg-type]


def test_a_limit_of_all_jobs() -> None:
    with pytest.raises(UsageError, match=r"up to 8 \(handbook\)"):
        check([replace(DEV, partition=None)], replace(WISH, partition=None, nodes=16, time=None))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"nodes": 8}, "limit 1 names no source"),
        ("x", "limit 1 names no source"),
        ({"source": "s", "nodes": "8"}, "nodes = '8' is not a positive integer"),
        ({"source": "s", "nodes": -1}, "nodes = -1 is not a positive integer"),
        ({"source": "s", "nodes": 0}, "nodes = 0 is not a positive integer"),
        ({"source": "s", "jobs": True}, "jobs = True is not a positive integer"),
        ({"source": "s", "time": "0"}, "time = '0' is not a time"),
        ({"source": "s", "partition": ""}, "partition = '' is not a string of at least one character"),
        ({"source": "s", "time": "long"}, "time = 'long' is not a time; write HH:MM:SS"),
        ({"source": "s", "node": 8}, "did you mean 'nodes'"),
    ],
)
def test_a_mistake_is_named(content: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(Path("mine.toml"), [content])


def test_limits_are_those_of_the_profile_itself_or_inherited(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('like = "vista"\n')
    assert load(path).limits == find("vista").limits
    path.write_text('like = "vista"\n[[limits]]\nsource = "s"\ntime = "24:00:00"\n')
    assert load(path).limits == (Limit("s", seconds=86400),)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["--nodes", "2,16", "--partition", "gh-dev"], "a job of 16 nodes"),
        (["--nodes", "2", "--partition", "gh-dev", "--time", "3:00:00"], "--time 3:00:00"),
        (["--nodes", "1,2", "--allocations", "2", "--partition", "gh-dev"], "submitting 4 jobs"),
        (["--nodes", "128"], "a job of 128 nodes"),
        (["--nodes", "2,16"], None),
        (["--nodes", "2,4,8", "--partition", "gh-dev"], None),
    ],
)
def test_submit_refuses_at_once(stage: Stage, words: list[str], refused: str | None) -> None:
    command = ("submit", "--profile", "vista", "--sizes", "4K", "--dry-run", *words)
    if refused is None:
        assert stage.run(*command).code == 0
        return
    with pytest.raises(UsageError, match=refused):
        stage.run(*command)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["--nodes", "1,2"], "submitting 2 jobs at once is more"),
        (["--nodes", "12", "--partition", "prod", "--time", "4:00:00"], "up to 03:00:00 in partition prod"),
        (["--nodes", "2", "--partition", "prod"], "a job of 2 nodes is less than the site takes: from 10"),
        (["--nodes", "2", "--time", "4"], "from 00:05:00 in partition debug-scaling"),
        (["--nodes", "25", "--partition", "prod", "--time", "6:00:00"], None),
        (["--nodes", "10"], None),
    ],
)
def test_queues_of_pbs_have_limits_too(stage: Stage, words: list[str], refused: str | None) -> None:
    """A job that fits none of the queues behind another would vanish."""
    command = ("submit", "--profile", "polaris", "--account", "a", "--sizes", "4K", "--dry-run", *words)
    if refused is None:
        assert stage.run(*command).code == 0
        return
    with pytest.raises(UsageError, match=refused):
        stage.run(*command)


@pytest.mark.parametrize(
    ("table", "time", "refused"),
    [("slurm", "time = 90", True), ("slurm", "time = 50", False), ("pbs", "walltime = 5400", True),
     ("pbs", "walltime = 3600", False), ("pbs", "walltime = '01:30:00'", True)],
)  # fmt: skip
def test_a_number_is_a_time_in_the_unit_of_the_system(stage: Stage, table: str, time: str, refused: bool) -> None:
    text = f'ranks_per_node = 1\nlaunch = ["srun"]\n[{table}]\n{time}\n[[limits]]\nsource = "s"\ntime = "01:00:00"\n'
    Path("mine.toml").write_text(text)
    command = ("submit", "--profile", "./mine.toml", "--nodes", "1", "--dry-run")
    if not refused:
        assert stage.run(*command).code == 0
        return
    with pytest.raises(UsageError, match="--time 01:30:00 is more than the site takes"):
        stage.run(*command)


@pytest.mark.parametrize(
    "words", [["--nodes", "1", "--ranks-per-node", "1000000000"], ["--nodes", "2,100000", "--ranks-per-node", "2"]]
)
def test_more_ranks_than_any_machine_has_are_refused_at_once(stage: Stage, words: list[str]) -> None:
    with pytest.raises(UsageError, match="more than 131072 ranks; give fewer"):
        stage.run("submit", "--profile", "local", "--dry-run", *words)
