"""Tokens per second of a model on one world: what passes take, and the share of communication in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from collbench.errors import UsageError
from collbench.fit.estimate import Estimate
from collbench.llm.listing import Listing
from collbench.llm.passes import DRAFT, Pass
from collbench.llm.spec import Spec
from collbench.predict.communication import Pricing
from collbench.predict.compute import Compute
from collbench.predict.sums import total, weakest


@dataclass(frozen=True)
class Range:
    """A number without a unit, and the range that its parts leave it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Time:
    """Communication and computation (microseconds) that follow one another."""

    communication: Estimate
    compute: Estimate

    @property
    def whole(self) -> Estimate:
        """Both together."""
        return total([(1, self.communication), (1, self.compute)])

    @property
    def share(self) -> Range:
        """The share of communication, f; 0 of nothing."""
        sent, done = self.communication, self.compute
        return Range(_share(sent.us, done.us), _share(sent.low, done.high), _share(sent.high, done.low))


def _share(sent: float, done: float) -> float:
    return sent / (sent + done) if sent else 0.0


@dataclass(frozen=True)
class Outcome:
    """A batch on one split of a model over ``nodes``: ``prefill`` is the time of all passes that read prompts, None for
    the reason in ``lacks``; ``decode`` that of one decode step with the passes of a draft model before it, the mean of
    all, None where one token is asked for. ``steps`` is the number of decode steps."""

    spec: Spec
    nodes: int
    source: str
    prefill: Time | None
    decode: Time | None
    steps: int
    lacks: str = ""

    @property
    def ttft(self) -> Estimate | None:
        """Time to the first token of the whole batch: all passes with prompt tokens."""
        return self.prefill.whole if self.prefill else None

    @property
    def tpot(self) -> Estimate | None:
        """Time per output token of each request after the first: one decode step."""
        return self.decode.whole if self.decode else None

    @cached_property
    def latency(self) -> Time | None:
        """From the prompts to the last token."""
        if self.prefill is None or self.decode is None:
            return self.prefill
        return Time(
            total([(1, self.prefill.communication), (self.steps, self.decode.communication)]),
            total([(1, self.prefill.compute), (self.steps, self.decode.compute)]),
        )

    @property
    def times(self) -> list[Time]:
        """Those of prefill and decode that are known."""
        return [time for time in (self.prefill, self.decode) if time]

    @property
    def sends(self) -> bool:
        """Whether there is any communication."""
        return any(time.communication.us for time in self.times)

    @property
    def basis(self) -> str:
        """The weakest basis of all that this rests on."""
        return weakest(time.whole.basis for time in self.times)

    @property
    def basis_of_collectives(self) -> str:
        """The weakest basis of all latencies of collectives."""
        return weakest(time.communication.basis for time in self.times)

    @property
    def world(self) -> tuple[int, int, int]:
        """Batch, nodes and tensor parallelism, which with the GPUs of a node fix the split."""
        return self.spec.batch, self.nodes, self.spec.tp


def outcome(spec: Spec, listing: Listing, nodes: int, decode: Pricing, prefill: Pricing, compute: Compute) -> Outcome:
    """What a batch takes; ``decode`` prices decode steps, ``prefill`` the passes with prompts. Raises UsageError where
    a source has not what a decode step needs, or a prefill without any."""
    early = {one: times for one, times in listing.passes.items() if one.kind == "prefill"}
    late = {one: times for one, times in listing.passes.items() if one.kind != "prefill"}
    steps = sum(times for one, times in late.items() if one.kind != DRAFT)
    later = _mean(_time(listing, late.items(), decode, compute), steps) if steps else None
    try:
        return Outcome(spec, nodes, decode.source.name, _time(listing, early.items(), prefill, compute), later, steps)
    except UsageError as error:
        if later is None:
            raise
        return Outcome(spec, nodes, decode.source.name, None, later, steps, str(error))


Passes = Iterable[tuple[Pass, int]]


def _time(listing: Listing, passes: Passes, pricing: Pricing, compute: Compute) -> Time:
    """What all these passes take, one after another."""
    parallel = listing.deployment.parallel
    sent = total((times, pricing.sum(listing.steps[one], parallel)) for one, times in passes)
    return Time(
        sent, total((times, compute.of(listing.deployment_of(one), listing.batch, one)) for one, times in passes)
    )


def _mean(time: Time, steps: int) -> Time:
    return Time(total([(1 / steps, time.communication)]), total([(1 / steps, time.compute)]))
