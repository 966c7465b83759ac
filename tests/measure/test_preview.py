"""What a dry run shows of ranks that a launcher has started."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from collbench.errors import UsageError
from collbench.measure import preview
from collbench.plan.worlds import Topology, layouts_for
from collbench.ranks import world
from collbench.ranks.launcher import Launcher

MPIEXEC = Launcher("mpiexec", 0, 4, "PMI_RANK")


def launched(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Make this process one of the ranks on these hosts."""
    found: Any = SimpleNamespace(size=len(hosts), hosts=hosts)
    monkeypatch.setattr(world, "open_launch", lambda teardown: found)


def test_nodes_are_those_on_which_a_launcher_started_the_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, "a", "a", "b", "b")
    (layout,), _ = layouts_for(Topology(nodes=(2,)), preview.hosts_of(MPIEXEC, 4))
    assert str(layout) == "2x2"
    assert preview.hosts_of(None, 2) == ("here", "here")


def test_ranks_that_are_no_world_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, "a")
    with pytest.raises(UsageError, match="each is a separate MPI world"):
        preview.hosts_of(MPIEXEC, 4)
