"""Skews: how much later than others ranks arrive at a collective."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from collbench.errors import UsageError

UNITS = MappingProxyType({"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000})  # nanoseconds
LONGEST = 1_000_000_000  # nanoseconds
GRAMMAR = "skews look like 0,5us,20us (random, of every rank) and 20us:3 (all of it, rank 3 alone)"
_SKEW = re.compile(r"(?:0|(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>ns|us|µs|ms|s))(?::(?P<rank>\d{1,18}))?")


@dataclass(frozen=True)
class Skew:
    """How late ranks arrive: every rank by a random time, uniform up to ``nanoseconds`` and drawn anew for each sample,
    or where ``rank`` is given that rank alone, by just ``nanoseconds``."""

    nanoseconds: int
    rank: int | None = None

    def __str__(self) -> str:
        """``0``, ``20us`` or ``20us:3``: equal skews have equal texts."""
        time = f"{(Decimal(self.nanoseconds) / 1000).normalize():f}us" if self.nanoseconds else "0"
        return time if self.rank is None else f"{time}:{self.rank}"

    @property
    def us(self) -> float:
        """Microseconds."""
        return self.nanoseconds / 1e3

    def delays(self, seed: int, launch: int, sample: int, ranks: int) -> tuple[float, ...]:
        """Seconds by which each of ``ranks`` ranks is late: the same on all ranks, which need not communicate.

        Skews of one sample are the same draws on other scales, and backends are delayed alike, so that differences
        between them are not chance.
        """
        seconds = self.nanoseconds / 1e9
        if self.rank is not None:
            return tuple(seconds * (rank == self.rank) for rank in range(ranks))
        draw = random.Random(f"{seed}/skew/{launch}/{sample}")
        return tuple(seconds * draw.random() for _ in range(ranks))


def parse_skew(text: str) -> Skew:
    """A skew such as ``0``, ``20us``, ``1.5ms`` or ``20us:3``. Raises UsageError."""
    match = _SKEW.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a skew; {GRAMMAR}.")
    time = Decimal(match["number"] or 0) * UNITS[match["unit"] or "s"]
    if time > LONGEST or time != int(time):
        raise UsageError(f"skew {text!r} is not a whole number of nanoseconds up to 1s.")
    rank = match["rank"]
    return Skew(int(time), int(rank) if rank and time else None)


def parse_skews(text: str) -> tuple[Skew, ...]:
    """The skews of a list, ascending, without repeats; ``20us,3`` is read as ``20us:3``, for times need a unit.

    Raises UsageError, also for ``20us,0``, which could be rank 0 or no skew.
    """
    words: list[str] = []
    for word in (part.strip() for part in text.split(",")):
        words.append(f"{words.pop()}:{word}" if _is_rank_of(words, word, text) else word)
    return tuple(sorted(set(map(parse_skew, words)), key=lambda skew: order(str(skew))))


def _is_rank_of(before: list[str], word: str, text: str) -> bool:
    """Whether ``word`` is the rank of the skew before it. Raises UsageError where it could be no skew as well."""
    if not word.isdecimal() or not before or before[-1] == "0" or ":" in before[-1]:
        return False
    if word == "0":
        time = before[-1]
        raise UsageError(f"{time},0 in {text!r} has two meanings; write {time}:0 for rank 0, or 0,{time}.")
    return True


def skew_words(text: str) -> str:
    """``skew 20us``, "" where ranks arrive together."""
    return f"skew {text}" if text else ""


def order(text: str) -> tuple[int, int]:
    """A sort key for skews as text: none, random ones, those of one rank; of each the short ones first."""
    if not text:
        return -2, 0
    skew = parse_skew(text)
    return -1 if skew.rank is None else skew.rank, skew.nanoseconds
