"""The command history: exit codes, options, and one sentence for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from nights import a_night, launches_of, nights_of
from samples import untimed

from collbench.cli.main import cli
from collbench.errors import Exit, UsageError

STEADY = [10.0] * 8
SLOWER = [*STEADY, 11.0, 11.0]


def history(folder: Path, *options: str) -> Result:
    """Run the command; other errors than those of usage are raised."""
    ran = CliRunner().invoke(cli, ["history", str(folder), *options])
    if ran.exception and not isinstance(ran.exception, (SystemExit, UsageError)):
        raise ran.exception
    return ran


@pytest.mark.parametrize(
    ("latencies", "options", "code"),
    [
        (SLOWER, (), Exit.FINE),
        (SLOWER, ("--alarm",), Exit.REGRESSION),
        (SLOWER, ("--alarm", "--json"), Exit.REGRESSION),
        (SLOWER, ("--alarm", "--margin", "15%"), Exit.FINE),
        (SLOWER, ("--alarm", "--margin", "0.15"), Exit.FINE),
        (SLOWER, ("--alarm", "--since", "2026-09-09"), Exit.NO_VERDICT),
        ([*STEADY, 11.0], ("--alarm",), Exit.FINE),
        (STEADY, ("--alarm",), Exit.FINE),
        ([10.0] * 6, ("--alarm",), Exit.NO_VERDICT),
        ([10.0] * 6, (), Exit.FINE),
    ],
)
def test_exit_codes(tmp_path: Path, latencies: list[float], options: tuple[str, ...], code: Exit) -> None:
    nights_of(tmp_path, latencies)
    ran = history(tmp_path, *options)
    assert (ran.exit_code, ran.stdout != "") == (code, True)


def test_the_alarm_does_not_sound_across_versions(tmp_path: Path) -> None:
    nights_of(tmp_path, [10.0] * 20)
    for day in range(20, 28):
        a_night(tmp_path, day, launches_of(20.0), nccl="2.29.1")
    ran = history(tmp_path, "--alarm")
    assert (ran.exit_code, "nccl 2.28.9 → 2.29.1" in ran.stdout, "+100.0 %" in ran.stdout) == (0, True, True)


def test_rows_of_another_tool_are_left_out_and_said(tmp_path: Path) -> None:
    for day, us in enumerate(SLOWER):
        foreign = launches_of(us, backend="nccl", params="tool=nccl-tests;statistic=slowest rank")
        a_night(tmp_path, day, [*launches_of(10.0), *foreign])
    ran = history(tmp_path, "--alarm")
    assert (ran.exit_code, ran.stderr.count("left out: 3 rows that another tool measured, in")) == (0, len(SLOWER))
    assert "nccl" not in ran.stdout.split("·")[0]


def test_one_slower_case_of_many_sounds_the_alarm(tmp_path: Path) -> None:
    for day, us in enumerate(SLOWER):
        a_night(tmp_path, day, [*launches_of(5.0), *launches_of(us, bytes=8192), untimed("wrong", backend="nccl")])
    assert history(tmp_path, "--alarm").exit_code == Exit.REGRESSION
    assert history(tmp_path, "--alarm", "--only", "bytes=4K").exit_code == Exit.FINE


def test_a_new_case_does_not_take_the_verdict_from_others(tmp_path: Path) -> None:
    nights_of(tmp_path, STEADY)
    a_night(tmp_path, 8, [*launches_of(10.0), *launches_of(5.0, backend="nccl")])
    ran = history(tmp_path, "--alarm")
    assert (ran.exit_code, ran.stdout.splitlines()[-1]) == (Exit.FINE, "none of 1 case with a verdict is slower")


def test_backends_and_rows_may_be_selected(tmp_path: Path) -> None:
    rows = [
        *launches_of(5.0),
        *launches_of(6.0, bytes=8192),
        *launches_of(4.0, backend="nccl"),
        *launches_of(8.0, backend="nccl", bytes=8192),
    ]
    a_night(tmp_path, 0, rows)
    a_night(tmp_path, 1, launches_of(5.0))
    found = json.loads(history(tmp_path, "--backend", "nccl", "--only", "bytes=8K", "--json").stdout)
    assert [(each["backend"], each["bytes"], each["last_us"]) for each in found] == [("nccl", 8192, 8.0)]


def test_files_are_written(tmp_path: Path) -> None:
    (tmp_path / "nights").mkdir()
    nights_of(tmp_path / "nights", STEADY)
    ran = history(tmp_path / "nights", "--plot", str(tmp_path / "plots"), "--csv", str(tmp_path / "all.csv"))
    assert ran.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["nights-history.png", "nights-history.svg"]
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1 + len(STEADY)
    assert ".png" in ran.stderr


def test_a_csv_file_replaces_only_its_like(tmp_path: Path) -> None:
    night, *_ = nights_of(tmp_path, STEADY)
    precious = night.read_text()
    ran = history(tmp_path, "--csv", str(night))
    assert "was not written by --csv" in str(ran.exception)
    assert night.read_text() == precious
    assert [history(tmp_path, "--csv", str(tmp_path / "all.csv")).exit_code for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--backend", "nvra"), "unknown backend 'nvra'"),
        (("--only", "bytes=8K"), "no case has a latency"),
        (("--only", "size=8K"), "unknown column 'size'"),
        (("--since", "2030-01-01"), "no night since 2030-01-01"),
        (("--since", "yesterday"), "yesterday"),
        (("--margin", "-2%"), "is not above 0"),
        (("--margin", "2%%"), "is not a margin"),
        (("--json", "--latex"), "exclude each other"),
    ],
)
def test_bad_options_are_usage_errors(tmp_path: Path, options: tuple[str, str], words: str) -> None:
    nights_of(tmp_path, STEADY)
    ran = history(tmp_path, *options)
    assert words in ran.output + str(ran.exception)
    assert isinstance(ran.exception, UsageError) or ran.exit_code == Exit.USAGE


def test_a_file_and_a_missing_folder_are_usage_errors(tmp_path: Path) -> None:
    (path,) = nights_of(tmp_path, [1.0])
    for place, words in ((path, "is a file"), (tmp_path / "nowhere", "does not exist")):
        ran = history(place)
        assert (ran.exit_code, words in ran.output) == (Exit.USAGE, True)


def test_files_that_are_left_out_get_a_sentence_on_stderr(tmp_path: Path) -> None:
    nights_of(tmp_path, STEADY)
    (tmp_path / "foreign.csv").write_text("a,b\n1,2\n")
    ran = history(tmp_path, "--json")
    assert (ran.exit_code, len(json.loads(ran.stdout)), ran.stderr.count("\n")) == (0, 1, 1)
    assert ran.stderr.startswith("collbench: left out: ")
