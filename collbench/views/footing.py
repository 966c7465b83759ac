"""The sentences under tables and charts that have rows of other tools: what each latency is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collbench.results.footing import JOINED, LEVELLED, TOOL, kind_of
from collbench.results.records import Record


def has_foreign(records: Iterable[Record]) -> bool:
    """Whether another tool measured one of these rows."""
    return any(row.param.get(TOOL) for row in records)


def remark(records: Sequence[Record]) -> list[str]:
    """`statement`, and a warning where latencies are not of one kind. [] for rows of collbench alone."""
    return [*statement(records), *(_warning(_timed(records)) if has_foreign(records) else [])]


def _timed(records: Iterable[Record]) -> list[Record]:
    return [row for row in records if row.latency_us_median is not None]


def statement(records: Iterable[Record]) -> list[str]:
    """What the latency of each backend is, where another tool measured one of them, and whose network is not known. []
    for rows of collbench alone."""
    timed = _timed(records)
    if not has_foreign(timed):
        return []
    kinds: dict[str, dict[str, None]] = {}
    for row in timed:
        kinds.setdefault(kind_of(row), {})[row.backend] = None
    stated = "; ".join(f"{_listed(list(names))}: {kind}" for kind, names in kinds.items())
    unknown = list(dict.fromkeys(row.backend for row in timed if row.param.get(JOINED)))
    return [
        f"Latencies are, of {stated}.",
        *([f"The network of {_listed(unknown)} is not known; it is taken for that of the others."] if unknown else []),
    ]


def _warning(rows: Sequence[Record]) -> list[str]:
    """That means and slowest ranks stand beside each other."""
    means = list(dict.fromkeys(row.backend for row in rows if row.param.get(LEVELLED)))
    others = list(dict.fromkeys(row.backend for row in rows if not row.param.get(LEVELLED)))
    if not (means and others):
        return []
    return [
        f"NOT OF ONE KIND: {_listed(others)} by the slowest rank, {_listed(means)} not: the slowest rank takes "
        "longest, so that ratios between them favour the latter."
    ]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
