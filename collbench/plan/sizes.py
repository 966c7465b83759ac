"""Message sizes as text and in bytes; the only module that interprets K, KB and KiB."""

from __future__ import annotations

import re
from decimal import Decimal

from collbench.errors import UsageError

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?:(?P<unit>[KMG])(?:I?B)?|B)?", re.IGNORECASE)
GRAMMAR = "sizes look like 4K, 1.5M, 4K:64M (doubling), 4K:64M:x4, 1M:8M:+1M, joined by commas"
MOST_SIZES = 10_000
MOST_BYTES = 1 << 63


def parse_size(text: str) -> int:
    """Bytes of a size such as ``4K``, ``1.5M`` or ``100``; K, M and G are binary in any case.

    Raises UsageError for text that is not a valid size, and for one that is zero, is not a whole number of bytes, or is
    more than MOST_BYTES.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a valid size; {GRAMMAR}.")
    size = Decimal(match["number"]) * UNITS[(match["unit"] or "").upper()]
    if size == 0:
        raise UsageError(f"size {text!r} is 0 bytes; the smallest message has 1 byte.")
    if size > MOST_BYTES:
        raise UsageError(f"a size above 8 EiB fits no memory: {text.strip()[:20]}...; {GRAMMAR}.")
    if size != int(size):
        raise UsageError(f"size {text!r} is {size.normalize():f} bytes; give a whole number of bytes.")
    return int(size)


def steps(first: int, last: int, factor: int = 1, add: int = 0) -> tuple[int, ...]:
    """Sizes from ``first`` on, each ``factor`` times the previous one plus ``add``, as far as ``last``, which is among
    them only if a step meets it. Raises UsageError for too many."""
    sizes = []
    while first <= last:
        sizes.append(first)
        if len(sizes) > MOST_SIZES:
            here, there = map(format_size, (sizes[0], last))
            raise UsageError(f"{here} to {there} has more than {MOST_SIZES} sizes; use a larger step.")
        first = first * factor + add
    return tuple(sizes)


def _parse_steps(first: int, last: int, step: str, text: str) -> tuple[int, ...]:
    grows = step[1:]
    if step[:1] in "xX" and re.fullmatch(r"\d{1,18}", grows) and int(grows) >= 2:
        sizes = steps(first, last, int(grows))
    elif step[:1] == "+":
        sizes = steps(first, last, add=parse_size(grows))
    else:
        raise UsageError(f"step {step!r} in {text!r} is not valid; use x2, x4, ... or +1M.")
    return tuple(dict.fromkeys((*sizes, last)))


def _parse_range(text: str) -> tuple[int, ...]:
    first, *rest = text.split(":")
    if not rest:
        return (parse_size(first),)
    if len(rest) > 2:
        raise UsageError(f"size range {text!r} has too many parts; {GRAMMAR}.")
    low, high = parse_size(first), parse_size(rest[0])
    if low > high:
        raise UsageError(f"size range {text!r} is reversed; write {rest[0]}:{first}.")
    return _parse_steps(low, high, rest[1].strip() if len(rest) == 2 else "x2", text)


def parse_sizes(text: str) -> tuple[int, ...]:
    """Bytes of all sizes in a list of sizes and ranges, ascending, without repeats; ranges include both ends."""
    return tuple(sorted({size for part in text.split(",") for size in _parse_range(part.strip())}))


def format_size(size: int) -> str:
    """The size in the largest binary unit that divides it, or in bytes: ``64 KiB``, ``1000 B``."""
    for unit in ("G", "M", "K"):
        if size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]} {unit}iB"
    return f"{size} B"


DEFAULT_SIZES = "4K:64M"
