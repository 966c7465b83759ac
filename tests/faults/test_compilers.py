"""Compilers that are slow or fail: they have a limit of their own, and fail once."""

from __future__ import annotations

from pathlib import Path

from running import Mpi

SWEEP = ("sweep", "--ranks", "2", "--backend", "oneshot,mpi", "--samples", "3", "--max-seconds", "0.05", "-o", "r.csv")


def a_compiler(folder: Path, script: str) -> str:
    """A C++ compiler that does something else before it compiles."""
    path = folder / "cxx"
    path.write_text(f'#!/bin/sh\n{script}\nexec c++ "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_a_compiler_may_take_longer_than_a_case(mpich: Mpi) -> None:
    slow = a_compiler(mpich.folder, 'case "$*" in *oneshot.cu*) sleep 6;; esac')
    ran = mpich.run(*SWEEP, "--sizes", "4K", "--timeout", "5", CXX=slow, COLLBENCH_CACHE=str(mpich.folder / "cache"))
    assert ran.code == 0, ran.err
    assert {row.status for row in mpich.rows()} == {"ok"}


def test_a_compiler_that_fails_is_asked_once_a_launch(mpich: Mpi) -> None:
    log = mpich.folder / "log"
    fails = a_compiler(
        mpich.folder, f'case "$*" in *oneshot.cu*) echo asked >> {log}; echo error: planted >&2; exit 1;; esac'
    )
    ran = mpich.run(*SWEEP, "--sizes", "4K,8K,16K", CXX=fails, COLLBENCH_CACHE=str(mpich.folder / "cache"))
    assert ran.code == 1, ran.err
    rows = mpich.rows()
    assert {row.status for row in rows if row.backend == "mpi"} == {"ok"}
    assert [row.reason.count("error: planted") for row in rows if row.backend == "oneshot"] == [1, 1, 1]
    assert log.read_text() == "asked\n"
