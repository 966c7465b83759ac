"""The batch systems, by the name of their table in a profile."""

from __future__ import annotations

from collections.abc import Mapping

from collbench.batch import pbs, slurm
from collbench.batch.system import System

SYSTEMS: Mapping[str, System] = {"slurm": slurm, "pbs": pbs}
