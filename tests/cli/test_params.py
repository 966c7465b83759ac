"""From options to ranks, on machines with GPUs that this one does not have."""

from __future__ import annotations

from typing import Any

import pytest

from collbench.cli import params
from collbench.cli.main import cli
from collbench.errors import UsageError
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


@pytest.mark.parametrize("twice", [("--gpus", "2", "--ranks", "2"), ("--layout", "2x2", "--nodes", "2")])
def test_what_is_said_twice_is_refused(twice: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        ranks(*twice)
