"""From options to ranks, on machines with GPUs that this one does not have."""

from __future__ import annotations

from typing import Any

import pytest

from collbench.cli import params
from collbench.cli.main import cli
from collbench.errors import UsageError
from collbench.host.memory import Room
from collbench.plan.worlds import Topology
from collbench.ranks import start


def options(*arguments: str) -> dict[str, Any]:
    """The options of ``collbench sweep ARGUMENTS``, by name."""
    return cli.commands["sweep"].make_context("sweep", list(arguments)).params


def topology(*arguments: str) -> Topology:
    """The worlds that they ask for."""
    return params.worlds.of(options(*arguments)).topology


def ranks(*arguments: str) -> int:
    """The ranks that are started for them."""
    return start.ranks_to_start(topology(*arguments))


@pytest.mark.parametrize(
    ("gpus", "arguments", "expected"),
    [
        (8, (), 8),
        (8, ("--gpus", "2,4"), 4),
        (8, ("--layout", "2x2"), 4),
        (0, (), 4),
        (0, ("--ranks", "3,5"), 5),
        (1, (), 2),
    ],
)
def test_ranks_of_a_launch_of_our_own(
    monkeypatch: pytest.MonkeyPatch, gpus: int, arguments: tuple[str, ...], expected: int
) -> None:
    monkeypatch.setattr(start, "gpu_count", lambda: gpus)
    assert ranks(*arguments) == expected


def test_more_ranks_than_memory_holds_end_before_they_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "gpu_count", lambda: 0)
    monkeypatch.setattr(start, "host_room", lambda: Room(1000 << 20, "in this cgroup"))
    assert ranks("--ranks", "31") == 31
    for arguments in (("--ranks", "32"), ("--layout", "8x4"), ("--layout", "2x2,4x8")):
        with pytest.raises(
            UsageError, match="32 ranks take 1 GiB of memory at least, and 1000 MiB are free in this cgroup"
        ):
            ranks(*arguments)
    with pytest.raises(UsageError, match="99999999000000000 ranks take"):  # a list of their hosts would fill memory
        ranks("--layout", "99999999x1000000000")


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "gpu_count", lambda: 4)
    with pytest.raises(UsageError, match="--gpus 8 needs 8 GPUs, but this machine has 4"):
        ranks("--gpus", "2,8")
