"""Why a backend cannot run a workload on this machine."""

from __future__ import annotations

from collbench import backends
from collbench.plan.problem import Workload


def refusal(work: Workload, name: str) -> str | None:
    """What the machine lacks, or what the backend refuses anywhere; None where it can run."""
    backend = backends.find(name)
    return backend.missing() or backend.refuses(work)
