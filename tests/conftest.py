"""Fixtures of all tests: both MPIs, one cache of what is compiled, and the table of kernels at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import compiled
import pytest
from running import CACHE, PYTHONS, Mpi


@pytest.fixture(scope="session", autouse=True)
def cache_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is compiled is kept in one folder: once for all tests, and never among the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.getbasetemp() / "libraries"
        patch.setenv(CACHE, str(folder))
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was compiled, if anything was."""
    if compiled.noted:
        terminalreporter.write_sep(
            "=", "kernels: registers of a thread / bytes that it spills / bytes that a block shares"
        )
        terminalreporter.write_line(compiled.table(compiled.noted))
