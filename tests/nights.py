"""Folders with a results file and a sidecar a night, for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from samples import timed

from collbench.results.records import Record, dump

FIRST = datetime(2026, 9, 1, 22, 0, tzinfo=UTC)
LAUNCHES = 3
VERSIONS = {"driver": 13000, "nccl": "2.28.9", "nvshmem": "3.4.5"}


def sidecar(started: str, launches: int = LAUNCHES, commit: str = "abc", gpu: str = "H200", **versions: Any) -> str:
    """A sidecar with these facts for every launch, each a minute after the one before; ``driver`` is a number as CUDA
    has it."""
    known = {**VERSIONS, **versions}
    ranks = [{"rank": 0, "host": "vm", "gpu": {"name": gpu, "driver": known["driver"], "nccl": known["nccl"]}}]
    times = [datetime.fromisoformat(started) + timedelta(minutes=launch) for launch in range(launches)]
    entry = {
        "git": commit, "source_sha256": "0123456789abcdef", "ranks": ranks,
        "versions": {"nvidia-nvshmem-cu13": known["nvshmem"]}, "mpi": {"library": "Open MPI v4.1.6, package: Debian"},
    }  # fmt: skip
    each = [{**entry, "launch": launch, "started": time.isoformat()} for launch, time in enumerate(times)]
    return json.dumps({"schema": 1, "launches": each})


def launches_of(us: float, number: int = LAUNCHES, **cells: Any) -> list[Record]:
    """The rows of a case with the same latency in microseconds in every launch."""
    return [timed(us, launch=launch, **cells) for launch in range(number)]


def a_night(folder: Path, day: int, records: Sequence[Record], **facts: Any) -> Path:
    """Write the results file of these rows and its sidecar, both of a day counted from FIRST."""
    started = FIRST + timedelta(days=day)
    run_id = f"{started:%Y%m%dT%H%M%S}-vm"
    path = folder / f"{run_id}.csv"
    path.write_text(dump(replace(record, run_id=run_id) for record in records))
    path.with_suffix(".json").write_text(sidecar(started.isoformat(), **facts))
    return path


def nights_of(folder: Path, latencies: Sequence[float], **cells: Any) -> list[Path]:
    """A folder with a night for each latency of one case."""
    return [a_night(folder, day, launches_of(us, **cells)) for day, us in enumerate(latencies)]
