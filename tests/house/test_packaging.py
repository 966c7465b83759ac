"""The wheel holds what the package needs at run time; what else a distribution has is well formed."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from collbench import __version__
from collbench.report.page import SCRIPTS

ROOT = Path(__file__).parents[2]


def test_kernels_and_jobs_travel_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("collbench-*.whl")
    named = wheel.name.split("-")[1]
    assert named.split("+")[0] == __version__.split("+")[0], "git says the same of the checkout"
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("kernels", "jobs"):
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        share = "collbench/share/"
        assert {name.removeprefix(share) for name in names if name.startswith(f"{share}{folder}/")} == ours
    package = ROOT / "collbench"
    ours = {
        path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.suffix != ".pyc" and path.is_file()
    }
    assert {name for name in names if name.startswith("collbench/") and "/share/" not in name} == ours, "data, too"
    assert "collbench/share/kernels/machine/cpu.cpp" in names
    assert "collbench/share/kernels/common/args.cuh" in names
    assert {f"collbench/report/assets/{name}" for name in ("page.html", "style.css", *SCRIPTS)} <= set(names)
    assert "collbench/backends/mpi_nvrar.py" in names
    assert not any(name.startswith("tests") for name in names)


def test_sections_of_the_image_are_shell() -> None:
    text = (ROOT / "jobs" / "collbench.def").read_text(encoding="utf-8")
    header, *parts = re.split(r"^%(\w+)\n", text, flags=re.MULTILINE)
    assert re.findall(r"^(\w+): ", header, re.MULTILINE) == ["Bootstrap", "From"]
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(sections) == ["files", "post", "environment", "runscript", "test", "help"]
    for name in ("post", "environment", "runscript", "test"):
        subprocess.run(["sh", "-n"], input=sections[name], text=True, check=True)


def test_the_citation_names_what_the_readme_does() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    papers = list(dict.fromkeys(re.findall(r"https://arxiv\.org/abs/([\d.]+)", readme)))
    assert len(papers) == 2
    assert re.findall(r"^    url: https://arxiv\.org/abs/(\S+)$", citation, re.MULTILINE) == papers
    assert re.findall(r"^    doi: 10\.48550/arXiv\.(\S+)$", citation, re.MULTILINE) == papers
    assert "\ncff-version: 1.2.0\n" in f"\n{citation}"


def test_only_what_tools_look_for_lies_at_the_top() -> None:
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("git does not know these sources")
    files = {path for path in tracked.stdout.splitlines() if "/" not in path}
    assert files == {".gitignore", "CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "README.md", "pyproject.toml"}
