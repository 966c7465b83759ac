"""Communication of a pass: each collective of a listing, priced by a source of latencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from collbench.errors import UsageError
from collbench.fit.estimate import ASSUMED, Estimate, Latencies
from collbench.llm.parallel import Parallel
from collbench.llm.steps import Step
from collbench.predict.sums import Counted, total

PLAIN = {"all_reduce_rms_norm": "all_reduce"}  # what stands in for a fused collective without a latency
Key = tuple[str, int, int, int]  # collective, bytes, ranks, nodes
Place = tuple[int, int]  # ranks of a group, and the nodes that they are spread over


@dataclass(frozen=True)
class Pricing:
    """A source of latencies, and what the collectives of a pass cost by it.

    Nothing overlaps: one batch is in flight, so that stages run one after another, and a rank computes or communicates.
    Of groups side by side, the slowest counts.
    """

    source: Latencies
    _found: dict[Key, Estimate] = field(default_factory=dict, compare=False, repr=False)  # many stages ask the same

    def steps(self, steps: Iterable[Step], parallel: Parallel) -> list[Counted]:
        """The latency (microseconds) of each collective, and how often it runs. Raises UsageError where the source has
        none."""
        return [(step.count, self._step(step, parallel)) for step in steps]

    def sum(self, steps: Iterable[Step], parallel: Parallel) -> Estimate:
        """The communication (microseconds) of a pass, over all stages."""
        return total(self.steps(steps, parallel))

    def _step(self, step: Step, parallel: Parallel) -> Estimate:
        places = {place_of(group, parallel) for group in step.groups}
        return max((self._at(step, *place) for place in places), key=lambda each: each.us)

    def _at(self, step: Step, each: int, nodes: int) -> Estimate:
        found = self._looked_up((step.operation, step.message_bytes, each * nodes, nodes))
        if each * nodes == step.ranks:
            return found
        source = f"{found.source}, as if {step.ranks} ranks were {each * nodes}"
        return replace(found, basis=ASSUMED, source=source)

    def _looked_up(self, key: Key) -> Estimate:
        if key not in self._found:
            self._found[key] = _latency(self.source, *key)
        return self._found[key]


def place_of(group: tuple[int, ...], parallel: Parallel) -> Place:
    """The most ranks of a group on one node, and the nodes of the group; more than its ranks in all where they are
    spread unevenly."""
    members = Counter(map(parallel.node_of, group))
    return max(members.values()), len(members)


def _latency(source: Latencies, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
    """The latency of a collective, of a fused one that the source lacks that of its plain part, as assumed."""
    try:
        return source.of(operation, size, ranks, nodes)
    except UsageError:
        if operation not in PLAIN:
            raise
    plain = PLAIN[operation]
    found = source.of(plain, size, ranks, nodes)
    return replace(found, basis=ASSUMED, source=f"{found.source}, {plain} in place of {operation}")
