"""A machine without MPI gets one sentence."""

from __future__ import annotations

import sys

import mpi4py
import pytest
from running import Here

from collbench.errors import UsageError
from collbench.ranks.library import load_mpi

TRIED = "{}libmpi.so{}: cannot open shared object file: No such file or directory"
NONE = "\n".join(["cannot load MPI library", *(TRIED.format(*each) for each in (("/env/lib/", ""), ("", ".12")))])
LACKS = f"{NONE}\nlibfabric.so.1: cannot open shared object file: No such file or directory"


class NoMpi:
    """Fails as mpi4py does where it is imported."""

    def __init__(self, words: str) -> None:
        self.words = words

    def find_spec(self, name: str, *_: object) -> None:
        if name == "mpi4py.MPI":
            raise RuntimeError(self.words)


def without_mpi(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """Have every later import of MPI fail with ``words``."""
    monkeypatch.setattr(mpi4py.rc, "initialize", mpi4py.rc.initialize)
    monkeypatch.setattr("collbench.ranks.lifeline.end_with_launcher", lambda _: None)
    monkeypatch.setattr(sys, "meta_path", [NoMpi(words), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    monkeypatch.delattr(mpi4py, "MPI", raising=False)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (NONE, "cannot load MPI library"),
        (LACKS, "libfabric.so.1: cannot open shared object file: No such file or directory"),
        ("", "no reason given"),
    ],
)
def test_why_there_is_no_mpi(monkeypatch: pytest.MonkeyPatch, words: str, why: str) -> None:
    without_mpi(monkeypatch, words)
    with pytest.raises(UsageError) as raised:
        load_mpi()
    assert str(raised.value) == (
        f"mpi4py finds no MPI library ({why}); pip install 'collbench[mpich]', or load your cluster's MPI."
    )


@pytest.mark.parametrize("launcher", [{}, {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}])
@pytest.mark.parametrize(
    "words",
    [
        "sweep --sizes 4K",
        "verify --backend mpi",
        "check --baseline mpi --candidate mpi-ring",
        "llm replay llama-3.1-8b:tp=2:batch=8",
    ],
)
def test_what_needs_ranks_says_so(
    here: Here, monkeypatch: pytest.MonkeyPatch, words: str, launcher: dict[str, str]
) -> None:
    without_mpi(monkeypatch, NONE)
    ran = here(*words.split(), CUDA_VISIBLE_DEVICES="", **launcher)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert "finds no MPI library (cannot load MPI library)" in ran.err
