"""READMEs are true: their tables are what their commands print, their links lead somewhere, their options are known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from commands import leaves
from readmes import PATHS, ROOT, TEXTS

from collbench.cli.main import cli

SHOWN = [
    found for text in TEXTS.values() for found in re.findall(r"```console\n\$ (collbench [^\n]+)\n(.*?)```", text, re.S)
]
PLACEHOLDERS = {"results/RUN.csv", "results/NAME.jobs", "results/perlmutter.csv"}


def anchors(path: Path) -> set[str]:
    """What GitHub makes of a file's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_tables_are_what_the_commands_print(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(command)
    cli.main(words, standalone_mode=False)
    assert (program, capsys.readouterr().out.strip()) == ("collbench", output.strip())


def test_there_are_tables_for_gpu_and_cpu() -> None:
    assert {"cpu" in command for command, _ in SHOWN} == {False, True}


@pytest.mark.parametrize("name", PATHS)
def test_links_lead_to_files_and_headings(name: str) -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", TEXTS[name]):
        file, _, heading = link.partition("#")
        target = (ROOT / name).parent / file if file else ROOT / name
        assert target.exists(), link
        assert not heading or heading in anchors(target), link


@pytest.mark.parametrize("name", PATHS)
def test_files_that_it_names_exist(name: str) -> None:
    paths = re.findall(r"`((?:results|plots|collbench|kernels|tests)/[\w./-]+\.\w+)`", TEXTS[name])
    assert [path for path in paths if path not in PLACEHOLDERS and not (ROOT / path).exists()] == []


def test_every_committed_result_and_its_command_are_listed() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.(?:csv|txt))\)", TEXTS["results/README.md"]))
    files = {path.name for suffix in ("csv", "txt") for path in (ROOT / "results").glob(f"[a-z]*.{suffix}")}
    assert listed == {name for name in files if not name.endswith(".samples.csv")}


def commands(text: str) -> list[str]:
    """Lines of shell and code in sentences that run collbench."""
    blocks = "\n".join(re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [line for line in (*blocks.splitlines(), *re.findall(r"`([^`]+)`", code)) if "collbench " in line]


@pytest.mark.parametrize("name", PATHS)
def test_every_option_it_names_is_one(name: str) -> None:
    known = {
        option
        for command in leaves().values()
        for param in command.params
        for option in [*param.opts, *param.secondary_opts, "-n", "-N", "--ntasks-per-node", "--help"]
    }
    named = {word for line in commands(TEXTS[name]) for word in re.findall(r"\s(--?[A-Za-z][\w-]*)", line)}
    assert named - known == set()


def test_the_readme_is_short_and_names_every_package() -> None:
    text = TEXTS["README.md"]
    assert len(text.splitlines()) < 250
    layout = text.split("```\ncollbench/ ")[1].split("kernels/  ")[0]
    rows = [re.split(r"\s{2,}", line.strip())[0] for line in layout.strip().splitlines()]
    named = [word.rstrip("*") for row in rows for word in row.split(", ")]
    modules = [path for path in (ROOT / "collbench").iterdir() if path.name[0] != "_" and path.suffix in ("", ".py")]
    assert sorted(named) == sorted(path.stem for path in modules)
