"""The forms of what commands print, spelled alike, and the summary of a step of GitHub Actions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import leaves
from running import Here, Mpi
from samples import timed, untimed

from collbench.cli.forms import publish
from collbench.host.environment import CHILD
from collbench.ranks import launcher
from collbench.results.records import dump
from collbench.tables import Page, table_of, words

FLAGS = ("--json", "--markdown", "--latex")
WITHOUT_TABLES = {"plot", "report", "submit"}
SUMMARY = "GITHUB_STEP_SUMMARY"
QUICK = ("sweep", "--sizes", "4K", "--backend", "mpi", "--samples", "2", "--max-seconds", "0.05", "-o", "r.csv")
PAGE = Page((table_of("t", words("a"), [("b",)]),))


def a_file(folder: Path) -> str:
    """A results file of two backends, one of which failed for a reason that is hostile to Markdown and LaTeX."""
    rows = [timed(us, backend=name, launch=launch) for name, us in (("mpi", 9.0), ("a_b", 5.0)) for launch in range(3)]
    bad = untimed("failed", "a|b & $c$\n#1", backend="a_b", bytes=8192)
    (folder / "a_b.csv").write_text(dump([*rows, bad, timed(9.0, bytes=8192)]), encoding="utf-8")
    return "a_b.csv"


@pytest.mark.parametrize("name", sorted(leaves().keys() - WITHOUT_TABLES))
def test_every_command_spells_its_forms_alike(name: str) -> None:
    known = [word for option in leaves()[name].params for word in option.opts]
    assert [word for word in known if word in FLAGS] == list(FLAGS)


@pytest.mark.parametrize("two", [FLAGS[:2], FLAGS[1:], FLAGS[::2]])
def test_forms_exclude_each_other(here: Here, tmp_path: Path, two: tuple[str, str]) -> None:
    for command in (("compare", a_file(tmp_path)), ("sweep", "--dry-run"), ("list",)):
        ran = here(*command, *two)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == "collbench: --json, --markdown and --latex exclude each other; give one of them.\n"


def test_compare_prints_every_form(here: Here, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    plain, markdown, latex = (here("compare", path, *form).out for form in ([], ["--markdown"], ["--latex"]))
    assert "no verdict: a_b 8 KiB: failed (a|b & $c$ #1)" in plain
    assert "| 4 KiB | 5.000 | 9.000 | 0.556 | 0.555 to 0.556 | faster |" in markdown
    assert r"no verdict: a_b 8 KiB: failed (a\|b \& \$c\$ #1)" in markdown
    assert r"4 KiB & 5.000 & 9.000 & 0.556 & 0.555 to 0.556 & faster \\" in latex
    assert r"size & a\_b \textmu{}s & mpi \textmu{}s" in latex
    assert r"failed (a\textbar{}b \& \$c\$ \#1)" in latex
    assert json.loads(here("compare", path, "--json").out)[1]["reason"] == "a_b 8 KiB: failed (a|b & $c$ #1)"


@pytest.mark.parametrize("command", [("sweep", "--dry-run", "--sizes", "4K", "--backend", "mpi"), ("list",)])
def test_other_commands_print_tables_too(here: Here, command: tuple[str, ...]) -> None:
    assert "| --- |" in here(*command, "--markdown").out
    assert r"\toprule" in here(*command, "--latex").out


def test_compare_appends_its_table_to_the_summary_whatever_it_prints(here: Here, tmp_path: Path) -> None:
    path, summary = a_file(tmp_path), tmp_path / "summary.md"
    markdown = here("compare", path, "--markdown").out
    for form in ("--json", "--latex"):
        here("compare", path, form, **{SUMMARY: str(summary)})
    assert summary.read_text() == f"## collbench compare: a_b.csv\n\n{markdown}\n" * 2


def test_a_summary_that_cannot_be_written_is_a_warning(here: Here, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    fine = here("compare", path)
    ran = here("compare", path, **{SUMMARY: str(tmp_path)})
    assert (ran.code, ran.out) == (fine.code, fine.out)
    assert ran.err == f"collbench: {tmp_path}, which {SUMMARY} names, cannot be written: Is a directory.\n"


def test_only_a_process_that_prints_writes_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_answers", lambda *_: True)
    monkeypatch.setattr(launcher, "_DAEMONS", ("",))  # whatever started this process counts as a daemon
    summary = tmp_path / "summary.md"
    child = {CHILD: "{}"}
    ranks = [{"PMI_RANK": str(rank), "PMI_SIZE": "2"} for rank in range(2)]
    for variables in (ranks[1], child, {**child, **ranks[0]}):
        publish("s", PAGE, {**variables, SUMMARY: str(summary)})
    publish("s", Page(), {SUMMARY: str(summary)})
    publish("s", PAGE, {SUMMARY: ""})
    assert not summary.exists()
    publish("s", PAGE, {**ranks[0], SUMMARY: str(summary)})
    assert summary.read_text().count("## s") == 1


@pytest.mark.parametrize("ranks", [None, 2])
def test_a_sweep_writes_one_summary(mpich: Mpi, ranks: int | None) -> None:
    count = [] if ranks else ["--ranks", "2"]
    ran = mpich.run(*QUICK, *count, "--markdown", ranks=ranks, **{SUMMARY: "summary.md"})
    assert ran.code == 0, ran.err
    text = (mpich.folder / "summary.md").read_text()
    assert text == f"## collbench sweep: r.csv\n\n{ran.out}\n"
    assert "| size | mpi µs | fastest | busbw GB/s |\n| ---: | ---: | --- | ---: |" in text


def test_ranks_of_a_launcher_compare_once(mpich: Mpi) -> None:
    path = a_file(mpich.folder)
    ran = mpich.run("compare", path, ranks=2, **{SUMMARY: "summary.md"})
    assert ran.code == 0, ran.err
    assert (mpich.folder / "summary.md").read_text().count("## collbench compare") == 1
