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


@pytest.mark.parametrize("twice", [("--gpus", "2", "--ranks", "2"), ("--layout", "2x2", "--nodes", "2")])
def test_what_is_said_twice_is_refused(twice: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        ranks(*twice)
