"""Rows of the cases of which CSCS publishes figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from samples import timed, untimed

from collbench.results.published import Figures, find
from collbench.results.records import Record

SITE = "cscs-alps"
WORLD = {"ranks": 8, "nodes": 2, "gpus_per_node": 4, "mode": "throughput", "fabric": "slingshot-11", "backend": "nccl"}


def fabric() -> Figures:
    """The figures of 2x4 over the fabric."""
    return find(SITE).figures[0]


def sockets() -> Figures:
    """Those of the same cases over sockets."""
    return find(SITE).figures[1]


def like(
    figures: Figures, factor: float = 1.0, sizes: Iterable[int] = (8, 1 << 20, 1 << 27), **changes: Any
) -> list[Record]:
    """Rows whose mean over ranks is ``factor`` times the figure, and whose slowest rank takes twice as long."""
    means = {size: figures.points[size, False] * factor for size in sizes}
    fields = {**WORLD, **changes}
    return [timed(us * 2, bytes=size, latency_us_mean=us, **fields) for size, us in means.items()]


def skipped(row: Record) -> Record:
    """Another launch of the case, in which it was skipped."""
    fields = {name: getattr(row, name) for name in (*WORLD, "bytes")}
    return untimed("skipped", "no room", launch=row.launch + 1, latency_us_mean=None, **fields)
