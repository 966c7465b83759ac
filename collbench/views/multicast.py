"""The sentence under tables and charts where backends could have used NVLink multicast, but were kept from it."""

from __future__ import annotations

from collections.abc import Iterable

from collbench.results.records import Record


def remark(records: Iterable[Record]) -> list[str]:
    """A line with the backends of these rows that were kept from multicast on GPUs that have it; [] if none was, or it
    is unknown."""
    names = sorted({record.backend for record in records if record.param.get("multicast") == "off"})
    if not names:
        return []
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return [f"NVLink multicast was switched off for {listed}, though these GPUs have it: with it, they may be faster."]
