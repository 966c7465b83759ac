"""The passes through a model that a batch of requests takes: prefill, decode, and with speculation drafts and
verification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from collbench.errors import UsageError

MOST = 1 << 40  # requests, or tokens of one
MOST_CHUNKS = 100_000
DRAFT = "draft"  # the kind of the passes of a draft model


@dataclass(frozen=True)
class Pass:
    """One pass: ``tokens`` of all requests before padding, and the ``rows`` of logits that it yields.

    ``kind`` is prefill (also where tokens of other requests ride along), decode, verify or draft.
    """

    kind: str
    tokens: int
    rows: int


@dataclass(frozen=True)
class Batch:
    """``requests`` prompts of ``prompt`` tokens each, of which each is to yield ``output`` tokens.

    ``chunk``: a pass has at most so many tokens; None for a prefill in one pass. ``guesses``: tokens that a pass
    verifies beside the next one. ``drafted``: a draft model makes them, in as many passes with a token of each request.
    """

    requests: int
    prompt: int
    output: int
    chunk: int | None = None
    guesses: int = 0
    drafted: bool = False

    def __post_init__(self) -> None:
        for flag, value, least in (
            ("--batch", self.requests, 1), ("--prompt", self.prompt, 1), ("--output", self.output, 1),
            ("--speculate", self.guesses, 0), ("--chunk", self.width if self.chunk is None else self.chunk, 1),
        ):  # fmt: skip
            if value < least:
                raise UsageError(f"{flag} is {value}; it must be at least {least}.")
            if value > MOST:
                raise UsageError(f"{flag} is more than {MOST}; give a smaller number.")
        if self.drafted and not self.guesses:
            raise UsageError("--draft needs guesses to make; give --speculate too.")
        if self.chunk is not None and self.chunk < self.requests * self.width:
            raise UsageError(
                f"--chunk {self.chunk} does not hold the {self.requests * self.width} tokens of a decode step of the "
                "whole batch."
            )
        if self.chunk is not None and self.requests * self.prompt > MOST_CHUNKS * self.chunk:
            raise UsageError(f"--chunk {self.chunk} makes more than {MOST_CHUNKS} passes; give a larger one.")

    @property
    def width(self) -> int:
        """Tokens of one request in a decode step."""
        return self.guesses + 1

    def decode(self, requests: int) -> Pass:
        """The decode step of so many requests; every token that is verified needs its logits (D)."""
        tokens = requests * self.width
        return Pass("verify" if self.guesses else "decode", tokens, tokens)

    def _drafts(self, requests: int, steps: int) -> dict[Pass, int]:
        """The passes of a draft model before so many decode steps of so many requests (D)."""
        passes = self.guesses * steps if self.drafted and requests else 0
        return {Pass(DRAFT, requests, requests): passes} if passes else {}

    def _steps(self, requests: int, steps: int) -> dict[Pass, int]:
        """So many decode steps of so many requests, with the passes of a draft model before them."""
        return {**self._drafts(requests, steps), self.decode(requests): steps} if steps else {}

    def passes(self) -> dict[Pass, int]:
        """Every pass in the order of first use, and how many there are; with speculation the most, as no guess is
        right."""
        if self.chunk is not None:
            return self._chunked(self.chunk)
        prefill = Pass("prefill", self.requests * self.prompt, self.requests)
        return {prefill: 1, **self._steps(self.requests, self.output - 1)}

    def least_decode_passes(self) -> int:
        """Decode steps where every guess is right."""
        return -(-(self.output - 1) // self.width)

    def _decoding(self, left: list[int]) -> Counter[Pass]:
        """Decode steps until every request has its tokens, of which ``left`` are missing."""
        found: Counter[Pass] = Counter()
        done = 0
        for place, tokens in enumerate(sorted(left)):
            if tokens > done:
                found.update(self._steps(len(left) - place, tokens - done))
                done = tokens
        return found

    def _chunked(self, chunk: int) -> dict[Pass, int]:
        """Decode tokens first, then prompts one after another, until a pass has ``chunk`` tokens."""
        found: Counter[Pass] = Counter()
        left: list[int] = []
        for prompts, finished in self._fillings(chunk, left):
            active = [place for place, tokens in enumerate(left) if tokens]
            found.update(self._drafts(len(active), 1))
            rows = len(active) * self.width + prompts.requests
            found[Pass("prefill", len(active) * self.width + prompts.tokens, rows)] += 1
            for place in active:
                left[place] -= 1
            left += [self.output - 1] * finished
        found.update(self._decoding(left))
        return dict(found)

    def _fillings(self, chunk: int, left: list[int]) -> Iterator[tuple[_Share, int]]:
        """What prompts take of each pass, and how many of them are then complete, while ``left`` changes."""
        sent, total = 0, self.requests * self.prompt
        while sent < total:
            room = chunk - self.width * sum(1 for tokens in left if tokens)
            until = min(total, sent + room)
            touched = -(-until // self.prompt) - sent // self.prompt if until > sent else 0
            yield _Share(until - sent, touched), until // self.prompt - sent // self.prompt
            sent = until


@dataclass(frozen=True)
class _Share:
    """The tokens of prompts in a pass, and the requests that they belong to."""

    tokens: int
    requests: int
