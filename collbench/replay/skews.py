"""How late ranks are in a replay: the delays before the compute of each layer's parts and of the head."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.llm.order import Work
from collbench.plan.skew import Skew
from collbench.replay.plan import Plan


@dataclass(frozen=True)
class Delays:
    """The delays of one launch, drawn once for every gap, which is the place of a ``Work`` in the sequence of a stage:
    those of a graph are fixed."""

    plan: Plan
    skew: Skew
    seed: int
    launch: int

    def of_rank(self, rank: int) -> list[float]:
        """Seconds by which a rank is late in each gap of its stage."""
        return [each[rank] for each in self._of_stage(self.plan.stage_of(rank))]

    def _of_stage(self, stage: int) -> list[tuple[float, ...]]:
        """For each gap of a stage, the seconds of every rank of the launch."""
        gaps = [sum(isinstance(event, Work) for event in events) for events in self.plan.stages]
        first, ranks = sum(gaps[:stage]), self.plan.parallel.ranks
        return [self.skew.delays(self.seed, self.launch, first + gap, ranks) for gap in range(gaps[stage])]

    @property
    def earliest(self) -> float:
        """Seconds by which the first rank of a stage to arrive is late, summed over all gaps of all stages."""
        return sum(min(each) for each in self._by_members())

    @property
    def latest(self) -> float:
        """The same of the last rank: what a pass waits for at least, where ranks meet after every gap."""
        return sum(max(each) for each in self._by_members())

    def _by_members(self) -> list[list[float]]:
        """For each gap, the seconds of the ranks of its stage."""
        members = [
            [rank for rank in range(self.plan.parallel.ranks) if self.plan.stage_of(rank) == stage]
            for stage in range(self.plan.parallel.pp)
        ]
        return [
            [each[rank] for rank in members[stage]] for stage in range(len(members)) for each in self._of_stage(stage)
        ]
