"""Fixtures of all tests: both MPIs, one cache of what is compiled, and the table of kernels at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compiled
import pytest
from hypothesis import HealthCheck, settings
from running import CACHE, PYTHONS, Here, Mpi, Ran, clean_environment

from collbench.__main__ import main

# Examples may take any time: the machine may be busy.
settings.register_profile("any time", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any time")

# What takes half a minute and more begins first, so that no worker of pytest-xdist is left alone with it at the end.
LONG = (
    "kernels/test_own_kernels.py", "verify/test_verify.py", "kernels/test_own_puts.py",
    "ranks/test_failure.py", "kernels/test_session.py", "measure/test_nodes.py", "measure/test_variants.py",
    "measure/test_sweep.py", "verify/test_mutants.py", "measure/test_check.py", "verify/test_emulator.py",
    "faults/test_plugins.py", "faults/test_signals.py", "measure/test_revisions.py",
    "verify/test_emulated.py", "house/test_charts.py", "verify/test_scenes.py", "measure/test_tuning.py",
    "backends/test_mpi_ring.py", "faults/test_environment.py", "faults/test_resume.py", "verify/test_rows.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order of LONG, then all others as they are."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def cache_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is compiled is kept in one folder: once for all tests and workers, and never among the user's caches."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "libraries"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(folder))
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # or every rank starts threads that spin, and multiplies no matrices
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # or every rank compiles all modules anew
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)  # of the job that runs these tests
        yield folder


@pytest.fixture(params=PYTHONS)
def mpi(request: pytest.FixtureRequest, tmp_path: Path) -> Mpi:
    """Both MPI libraries, one after the other."""
    if not PYTHONS[request.param].exists():
        pytest.skip(f"no environment with {request.param} beside {sys.prefix}; `make test` makes it")
    return Mpi(request.param, tmp_path)


@pytest.fixture
def mpich(tmp_path: Path) -> Mpi:
    """MPICH alone, where the library makes no difference."""
    return Mpi("mpich", tmp_path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs collbench in this process, in a folder of the test's own: for what starts no ranks and loads no MPI."""
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **variables: str) -> Ran:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["collbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ran(int(ended.value.code or 0), *capsys.readouterr())

    return run


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands on what it noted."""
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["compiled"] = compiled.as_plain()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a worker of pytest-xdist handed on; nothing where it crashed."""
    compiled.note_plain(getattr(node, "workeroutput", {}).get("compiled", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was compiled, if anything was."""
    if compiled.noted:
        terminalreporter.write_sep(
            "=", "kernels: registers of a thread / bytes that it spills / bytes that a block shares"
        )
        terminalreporter.write_line(compiled.table(compiled.noted))
