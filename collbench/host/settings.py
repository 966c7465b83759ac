"""What the script of a job did with settings: where they met others of the environment, and what it gave to its ranks.

The script, jobs/job.sh, leaves both in variables, as lines of cells separated by tabs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collbench.host.environment import is_recorded

CONFLICTS, GIVEN = "COLLBENCH_CONFLICTS", "COLLBENCH_GIVEN"
PREFIXES = ("NCCL_", "FI_", "NVSHMEM_", "MPICH_")  # those of the libraries that a launcher or a container may change


@dataclass(frozen=True)
class Conflict:
    """A variable for which the profile and the environment of its job have different values; "" if the profile unsets
    it. ``kept``: that of the environment stays."""

    name: str
    environment: str
    profile: str
    kept: bool


def conflicts(variables: Mapping[str, str]) -> tuple[Conflict, ...]:
    """The conflicts in this job, by name; () outside a job of ``collbench submit``. Secrets are left out."""
    lines = _lines(variables.get(CONFLICTS, ""), 4)
    found = (Conflict(name, environment, profile, ending == "kept") for name, environment, profile, ending in lines)
    return tuple(sorted((each for each in found if is_recorded(each.name)), key=lambda each: each.name))


def given(variables: Mapping[str, str]) -> dict[str, str] | None:
    """The settings that the job's script gave to its ranks, by name, "" if it unset one; None outside such a job."""
    if GIVEN not in variables:
        return None
    return dict(cells for cells in _lines(variables[GIVEN], 2) if cells[0].startswith(PREFIXES))


def seen(variables: Mapping[str, str]) -> dict[str, str]:
    """The settings of the libraries in PREFIXES that this process has, as ``given`` would write them."""
    return {name: re.sub(r"\s", " ", value) for name, value in variables.items() if name.startswith(PREFIXES)}


def _lines(text: str, cells: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        found = line.split("\t")
        if len(found) == cells:
            yield found
