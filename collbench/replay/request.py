"""The request behind one call of ``llm replay``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from collbench.errors import UsageError
from collbench.llm.listing import Listing
from collbench.llm.passes import Pass
from collbench.llm.spec import Spec
from collbench.plan.skew import Skew

KINDS = MappingProxyType({"decode": ("decode", "verify"), "prefill": ("prefill",)})  # of passes, by ``which``


@dataclass(frozen=True)
class ReplayRequest:
    """One call of ``llm replay``: a pass of a model on an engine, ``which`` of KINDS, on each of ``backends``, all of
    which are on GPUs or all on CPU ranks; ``rest`` runs what a backend has not.

    ``compute``: what stands between collectives (none, spin, gemm); ``spin_seconds`` of each spin; ``skews``: how late
    ranks are, one after another. ``samples`` of each part, None until the median is known, for ``max_seconds`` at most.
    ``argv`` is recorded in the sidecar.
    """

    spec: Spec
    which: str
    backends: tuple[str, ...]
    rest: str
    compute: str
    spin_seconds: float
    skews: tuple[Skew, ...]
    warmup: int
    samples: int | None
    max_seconds: float
    launches: int
    seed: int
    timeout: float
    path: Path
    resume: bool
    force: bool
    argv: tuple[str, ...]

    @cached_property
    def listing(self) -> Listing:
        """All passes of the spec. Raises UsageError."""
        return self.spec.listing()

    @cached_property
    def one(self) -> Pass:
        """The pass: the largest of its kind. Raises UsageError where there is none."""
        for one in self.listing.shown():
            if one.kind in KINDS[self.which]:
                return one
        raise UsageError(f"{self.spec} has no decode step, since its output is one token; give output=2 or more.")

    @property
    def ranks(self) -> int:
        """Ranks that a launch has."""
        return self.listing.deployment.parallel.ranks
