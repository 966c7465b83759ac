"""The ranks of a command: those of a launcher, or those that it starts on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collbench.measure.request import SweepRequest
    from collbench.measure.sweep import Ended
    from collbench.plan.worlds import Topology
    from collbench.ranks.launcher import Launcher
    from collbench.ranks.start import Child


@dataclass(frozen=True)
class Ranks:
    """``number`` ranks, None if a launcher does not say; ``child`` where another command of ours started this rank."""

    started_by: Launcher | None
    child: Child | None
    number: int | None

    @property
    def launcher(self) -> str:
        """The launcher that a user started them with; "" where collbench starts them."""
        return self.started_by.name if self.started_by and self.child is None else ""

    def run(self, request: SweepRequest, quiet: bool) -> Ended:
        """Run the request on these ranks, and report progress unless ``quiet``."""
        from collbench.measure.progress import Progress
        from collbench.measure.sweep import on_own_ranks, on_these_ranks
        from collbench.ranks.start import CPU_RANKS

        progress = Progress(quiet or self.child is not None)
        try:
            if self.started_by:
                return on_these_ranks(request, self.started_by, self.child, progress)
            return on_own_ranks(request, self.number or CPU_RANKS, progress)
        finally:
            progress.end()


def ranks_for(topology: Topology) -> Ranks:
    """The ranks of this command for the worlds of ``topology``; those of a launcher end with it from now on.

    Raises UsageError where this machine cannot start as many as the worlds need.
    """
    from collbench.ranks import lifeline, start

    started_by, child = start.launch_of(os.environ), start.child_of(os.environ)
    if started_by:
        lifeline.end_with_launcher(child.starter if child else None)
    return Ranks(started_by, child, started_by.size if started_by else start.ranks_to_start(topology))
