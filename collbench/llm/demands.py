"""What an engine asks of collectives, as problems to time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collbench.errors import UsageError
from collbench.llm.listing import Listing
from collbench.llm.spec import Spec
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.demands import Demand
from collbench.plan.layout import Grouping


def demands_of(specs: Iterable[Spec]) -> tuple[Demand, ...]:
    """Every collective of the largest pass of each kind once, with all groups that run it on messages of this size,
    whichever stages they belong to. Raises UsageError where a spec sends nothing."""
    return tuple(dict.fromkeys(demand for spec in specs for demand in _of(spec)))


def _of(spec: Spec) -> Iterator[Demand]:
    found = _groups_of(spec.listing())
    if not found:
        raise UsageError(f"{spec} sends nothing: give it several ranks, as in {spec.model}:tp=8.")
    for (operation, dtype, size, hidden), groups in found.items():
        yield Demand(Grouping(tuple(sorted(groups)), spec.gpus_per_node), operation, dtype, size, hidden)


def _groups_of(listing: Listing) -> dict[tuple[str, str, int, int], set[tuple[int, ...]]]:
    found: dict[tuple[str, str, int, int], set[tuple[int, ...]]] = {}
    for one in listing.shown():
        hidden = listing.deployment_of(one).model.hidden
        for step in listing.steps[one]:
            rows = hidden if COLLECTIVES[step.operation].normalises else 0
            found.setdefault((step.operation, step.dtype.name, step.message_bytes, rows), set()).update(step.groups)
    return found
