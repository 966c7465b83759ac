"""Names of charts: after the files of their rows, and by the words in which they differ."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from collbench.results.records import Record

Words = tuple[str, ...]


def words_of(record: Record) -> Words:
    """Words that identify the panel of a record, short enough for a file name."""
    dtype, shape = record.dtype.replace("float", "f"), (f"{record.ranks}r", f"{record.nodes}n")
    place, spread = "inplace" if record.in_place else "", "uneven" if record.gpus_per_node is None else ""
    where = (*shape, spread, record.fabric, record.pair, *_more(record))
    return (record.collective, record.op, dtype, record.mode, record.cache, place, *where, record.skew)


def _more(record: Record) -> Words:
    """What few cases have: rows, and groups side by side."""
    return f"{record.hidden}h" if record.hidden else "", f"{record.groups}groups" if record.groups else ""


def suffixes(keys: Sequence[Words]) -> list[str]:
    """Endings of file names: the words in which the keys differ, numbered where two would be equal."""
    differ = [index for index, column in enumerate(zip(*keys, strict=True)) if len(set(column)) > 1]
    found: list[str] = []
    for key in keys:
        words = [re.sub(r"[^A-Za-z0-9_.-]+", "_", key[index]) for index in differ]
        name = "-".join(["", *filter(None, words)])
        found.append(name if name not in found else f"{name}-{len(found)}")
    return found


def stem_of(files: Iterable[Path]) -> str:
    """The names of up to three files, joined by +; of more, the first one and how many others there are."""
    stems = list(dict.fromkeys(path.stem for path in files))
    return "+".join(stems if len(stems) <= 3 else [stems[0], f"{len(stems) - 1}_more"])


def readable(name: str) -> str:
    """The name of a file with a mark for each byte that is no text in UTF-8, or does not show: no chart holds them."""
    text = os.fsencode(name).decode(errors="replace")
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
