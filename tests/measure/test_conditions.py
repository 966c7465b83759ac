"""Which launches may be continued: those of the same hardware, libraries, code and options."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from collbench.measure.conditions import differences, same_hosts

ENTRY: dict[str, Any] = {
    "launch": 0,
    "sweep": {"warmup": 10, "samples": None, "max_seconds": 1.0, "seed": 1, "verify": True, "backends": ["mpi"]},
    "mpi": {"library": "MPICH Version: 4.2"},
    "versions": {"numpy": "2.0", "cupy-cuda13x": "14.0"},
    "source_sha256": "aa",
    "kernels_sha256": {"oneshot.cu": "bb", "/home/me/mine.cu": "cc"},
    "ranks": [
        {"rank": rank, "host": f"n{rank}", "gpu": {"name": "NVIDIA H100", "driver": 13000, "nccl": "2.28.9"}}
        for rank in range(2)
    ],
}


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The entry with another value in one place."""
    found = deepcopy(ENTRY)
    place: Any = found
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return found


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (changed("sweep", "samples", to=5), "the default --samples, now --samples 5"),
        (changed("sweep", "verify", to=False), "--verify, now --no-verify"),
        (changed("mpi", "library", to="Open MPI v5"), "MPICH Version: 4.2, now Open MPI v5"),
        (changed("versions", "numpy", to="2.1"), "numpy 2.0, now 2.1"),
        (changed("ranks", 0, "gpu", "nccl", to="2.32.3"), "NCCL 2.28.9, now 2.28.9, 2.32.3"),
        (changed("ranks", 1, "gpu", "name", to="NVIDIA H200"), "GPU NVIDIA H100, now NVIDIA H100, NVIDIA H200"),
        (changed("source_sha256", to="dd"), "the source of collbench has changed"),
        (changed("kernels_sha256", "oneshot.cu", to="dd"), "the source of the kernels has changed"),
    ],
)
def test_what_differs_is_named(now: dict[str, Any], words: str) -> None:
    assert differences(ENTRY, now) == [words]


@pytest.mark.parametrize(
    "now",
    [
        ENTRY,
        changed("sweep", "backends", to=["mpi", "nccl"]),  # more cases are no other conditions
        changed("versions", to={"numpy": "2.0", "torch": "2.11"}),
        changed("kernels_sha256", to={"oneshot.cu": "bb", "new.cu": "ee"}),
        changed("ranks", 0, "host", to="n7"),  # of the same kind: a requeued job
        {"ranks": []},
    ],
)
def test_what_only_one_has_is_no_difference(now: dict[str, Any]) -> None:
    assert differences(ENTRY, now) == []


def test_hosts_count_rank_by_rank() -> None:
    assert same_hosts(ENTRY, ENTRY)
    assert not same_hosts(ENTRY, changed("ranks", 0, "host", to="n7"))
