"""Deployments of built-in models, in few words."""

from __future__ import annotations

from collbench.llm.engines import ENGINES
from collbench.llm.models import find_model
from collbench.llm.parallel import Parallel
from collbench.llm.passes import Pass
from collbench.llm.steps import Deployment, Step, steps_of
from collbench.plan.dtypes import DTYPES

DECODE = Pass("decode", 5, 5)


def deployed(
    model: str, engine: str, tp: int = 1, pp: int = 1, dp: int = 1, ep: int = 1, *, node: int = 8, pads: bool = True,
    dtype: str = "bfloat16", scatters: bool = False, fuses: bool = False, all_to_all: str = "naive",
) -> Deployment:  # fmt: skip
    """A deployment, padded as the engine does unless ``pads`` is False."""
    chosen = ENGINES[engine]
    sizes = chosen.captured if pads else ()
    spread = Parallel(tp, pp, dp, ep, node)
    return Deployment(find_model(model), chosen, spread, DTYPES[dtype], sizes, scatters, fuses, all_to_all)


def brief(steps: list[Step]) -> list[tuple[int, str, int, tuple[int, ...]]]:
    """Stage, collective, count and shape of each step."""
    return [(step.stage, step.operation, step.count, step.shape) for step in steps]


def of(steps: list[Step], operation: str) -> int:
    """How many calls of a collective there are."""
    return sum(step.count for step in steps if step.operation == operation)


def decode(deployment: Deployment, one: Pass = DECODE) -> list[Step]:
    """The collectives of a decode step of five requests."""
    return steps_of(deployment, one)
