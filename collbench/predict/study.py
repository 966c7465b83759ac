"""Predictions for all splits, batches and sources over numbers of nodes, and the best of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from collbench.errors import UsageError
from collbench.fit.estimate import Estimate, Latencies
from collbench.llm.spec import Spec
from collbench.predict.amdahl import speedup_of
from collbench.predict.communication import Pricing
from collbench.predict.compute import Compute
from collbench.predict.gpus import Gpu
from collbench.predict.outcome import Outcome, Range, outcome
from collbench.predict.splits import NO_ROOM, Accepted, Refused, splits


@dataclass(frozen=True)
class Question:
    """What is asked: a model on an engine, numbers of nodes, batches, sources of latencies (the first is the baseline),
    the source of prefills (None: each its own), and how long a rank computes. ``gpu`` limits the memory."""

    spec: Spec
    nodes: Sequence[int]
    batches: Sequence[int]
    sources: Sequence[Latencies]
    compute: Compute
    prefill: Latencies | None = None
    gpu: Gpu | None = None


@dataclass(frozen=True)
class Study:
    """All outcomes, and what has none, in the order of the question."""

    question: Question
    outcomes: Sequence[Outcome]
    refused: Sequence[Refused]

    @property
    def baseline(self) -> str:
        """The name of the first source."""
        return self.question.sources[0].name

    @cached_property
    def by_place(self) -> dict[tuple[tuple[int, int, int], str], Outcome]:
        """Outcomes by world and source."""
        return {(each.world, each.source): each for each in self.outcomes}

    def base(self, found: Outcome) -> Outcome | None:
        """The baseline's on the same split; None where there is none."""
        return self.by_place.get((found.world, self.baseline))

    def speedup(self, found: Outcome) -> Range | None:
        """Of a decode step over the baseline's on the same split; None where there is none."""
        base = self.base(found)
        return speedup_of(base.decode, found.decode) if base and base.decode and found.decode else None

    def share(self, found: Outcome) -> Range | None:
        """The share of communication in the decode step of the baseline on the same split, which bounds a speed-up."""
        base = self.base(found)
        return base.decode.share if base and base.decode else None

    def why_none(self, source: str, batch: int, nodes: int) -> str:
        """In few words why no split of a batch has a prediction: none fits into memory, or other reasons."""
        here = [each for each in self.refused if (each.spec.batch, each.nodes) == (batch, nodes)]
        found = [each.why for each in here if each.source in {"", source}]
        return "does not fit" if all(why.startswith(NO_ROOM) for why in found) else "none"

    def best(self, source: str, batch: int, nodes: int) -> list[Outcome]:
        """The splits of a batch over so many nodes, from the fastest decode step (of prefill, where one token is asked
        for)."""
        found = [each for each in self.outcomes if (each.source, *each.world[:2]) == (source, batch, nodes)]
        return sorted(found, key=lambda each: duration(each).us)


def duration(found: Outcome) -> Estimate:
    """What splits are ranked by: a decode step, or the prefill where one token is asked for."""
    return found.times[-1].whole


def study(question: Question) -> Study:
    """Predict everything that was asked for. Raises UsageError where nothing has a prediction, with the first reason,
    and for two sources of one name."""
    names = [source.name for source in question.sources]
    if len(set(names)) < len(names):
        raise UsageError(f"two sources are called {max(names, key=names.count)}; give each source once.")
    found = list(_all(question))
    outcomes = [each for each in found if isinstance(each, Outcome)]
    refused = [each for each in found if isinstance(each, Refused)]
    if not outcomes:
        raise UsageError(f"nothing can be predicted: {refused[0].why}")
    return Study(question, outcomes, refused)


def _all(question: Question) -> Iterator[Outcome | Refused]:
    pricings = [Pricing(source) for source in question.sources]
    early = Pricing(question.prefill) if question.prefill else None
    for batch in question.batches:
        for nodes in question.nodes:
            for each in splits(replace(question.spec, batch=batch), nodes, question.gpu):
                yield from _of_split(each, pricings, early, question.compute)


def _of_split(
    split: Accepted | Refused, pricings: Iterable[Pricing], early: Pricing | None, compute: Compute
) -> Iterator[Outcome | Refused]:
    if isinstance(split, Refused):
        yield split
        return
    for pricing in pricings:
        try:
            yield outcome(split.spec, split.listing, split.nodes, pricing, early or pricing, compute)
        except UsageError as error:
            yield Refused(split.spec, split.nodes, pricing.source.name, str(error))
