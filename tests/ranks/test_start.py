"""From options to ranks, on machines with GPUs that this one does not have."""

from __future__ import annotations

import pytest

from collbench.cli.main import cli
from collbench.cli.params import Given
from collbench.errors import UsageError
from collbench.measure import sweep
from collbench.ranks import start


def given(*arguments: str) -> Given:
    """The options of ``collbench sweep ARGUMENTS``."""
    return Given(**cli.commands["sweep"].make_context("sweep", list(arguments)).params)


def ranks(*arguments: str) -> int:
    options = given(*arguments)
    return start.ranks_to_start(sweep.topology_of(options), bool(options.gpus))


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


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "gpu_count", lambda: 4)
    with pytest.raises(UsageError, match="--gpus 8 asks for more than the 4 GPUs of this machine"):
        ranks("--gpus", "2,8")
