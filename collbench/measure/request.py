"""What one call of ``sweep`` is to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from collbench.plan.sweep import Sweep
from collbench.plan.worlds import Topology


@dataclass(frozen=True)
class SweepRequest:
    """What one call of ``sweep`` is to do: the sweep, on which worlds, into which file.

    ``resume`` continues a file that exists, ``force`` replaces it; ``argv`` is for the record.
    """

    sweep: Sweep
    topology: Topology
    path: Path
    resume: bool
    force: bool
    argv: tuple[str, ...]
