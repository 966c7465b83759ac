"""The request behind one call of ``sweep``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from collbench.measure.goal import Goal
from collbench.plan.origin import Origin
from collbench.plan.sweep import Sweep
from collbench.plan.worlds import Topology


@dataclass(frozen=True)
class SweepRequest:
    """One call of ``sweep``: the sweep, its goal, its worlds and its results file.

    ``resume`` continues an existing file, even under other conditions if ``mixed``; ``force`` replaces it. ``argv`` is
    recorded in the sidecar, and so is ``origin``, the file that its options are from.
    """

    sweep: Sweep
    goal: Goal
    topology: Topology
    path: Path
    resume: bool
    mixed: bool
    force: bool
    argv: tuple[str, ...]
    origin: Origin | None = None
