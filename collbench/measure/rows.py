"""Turns the outcome of a case into its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from collbench import registry
from collbench.backends import Backend
from collbench.host.multicast import reader_of
from collbench.host.transports import NVLS
from collbench.measure.timing import Track
from collbench.plan.bounds import bound_seconds, find_link
from collbench.plan.layout import Layout
from collbench.plan.problem import Case, Problem
from collbench.plan.sweep import Skip
from collbench.results.records import Record
from collbench.results.slowest import slowest_of
from collbench.results.statistics import summarise

MICRO = 1e6


@dataclass(frozen=True)
class Row:
    """A record and its samples, in microseconds."""

    record: Record
    samples_us: tuple[float, ...] = ()


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one launch. ``fabric`` returns the name of the interconnect of a layout for a kind of device;
    ``devices`` maps each kind to the name of its processor, ``hosts`` each rank of the launch to its host;
    ``multicast_off`` are the libraries that were kept from NVLink multicast on GPUs that have it; ``conflicts`` the
    variables for which the job's profile and its environment had different values."""

    run_id: str
    launch: int
    devices: Mapping[str, str]
    fabric: Callable[[str, Layout], str]
    hosts: tuple[str, ...]
    multicast_off: frozenset[str] = frozenset()
    conflicts: tuple[str, ...] = ()

    def _blank(self, case: Case, status: str, reason: str) -> Record:
        problem = case.problem
        return Record(
            run_id=self.run_id,
            launch=self.launch,
            collective=problem.collective.name,
            backend=case.backend,
            dtype=problem.dtype.name,
            op=problem.op,
            bytes=problem.bytes or problem.size,
            count=problem.count,
            ranks=problem.layout.size,
            nodes=problem.layout.node_count,
            gpus_per_node=problem.layout.per_node,
            fabric=self.fabric(registry.find(case.spec).DEVICE, problem.layout),
            mode=problem.mode,
            in_place=problem.in_place,
            params=f"cache={problem.cache}",
            status=status,
            reason=reason,
            pair=problem.layout.pair,
            hidden=problem.hidden or None,
            groups=len(problem.layout.groups) if problem.layout.beside else None,
            skew=str(problem.skew or ""),
        )

    def skipped(self, skip: Skip) -> Row:
        """The row of a case that cannot run."""
        return Row(self._blank(skip.case, "skipped", skip.reason))

    def failed(self, case: Case, error: str) -> Row:
        """The row of a case that failed with ``error``."""
        return Row(self._blank(case, "failed", error))

    def timeout(self, case: Case, state: str) -> Row:
        """The row of a case that hung in ``state``."""
        return Row(self._blank(case, "timeout", state))

    def wrong(self, case: Case, wrong: int, words: str) -> Row:
        """The row of a case with wrong answers; it has no latency."""
        return Row(replace(self._blank(case, "wrong", words), wrong=wrong))

    def timed(
        self,
        case: Case,
        backend: Backend,
        track: Track,
        own: Mapping[str, str],
        wire_bytes: float | None,
        remarks: Iterable[str],
        proven: bool,
    ) -> Row:
        """The row of a case with right answers and a latency. ``own``: the backend's own entries of ``params``."""
        samples = np.array(track.seconds)
        us = summarise(samples * MICRO)
        problem = case.problem
        params = {
            "cache": problem.cache,
            "calls": str(track.operation.rounds.calls),
            **({"late": str(track.late)} if track.late else {}),
            **own,
            **({"multicast": "off"} if self._lacks_multicast(case.backend, own) else {}),
            **({"conflicts": "+".join(self.conflicts)} if self.conflicts else {}),
        }
        record = replace(
            self._blank(case, "ok", "; ".join(remark for remark in remarks if remark)),
            params=";".join(f"{name}={text}" for name, text in params.items()),
            samples=len(samples),
            warmups=track.warmups,
            latency_us_median=us.median,
            latency_us_ci_low=us.ci_low if np.isfinite(us.ci_low) else None,
            latency_us_ci_high=us.ci_high if np.isfinite(us.ci_high) else None,
            latency_us_mean=float(np.mean(track.means)) * MICRO,
            latency_us_min=us.min,
            latency_us_p05=us.p05,
            latency_us_p95=us.p95,
            latency_us_p99=us.p99,
            latency_us_max=us.max,
            wire_bytes=wire_bytes,
            error_units=track.units if proven else None,
            wrong=0 if proven else None,
            **(self._of_late_ranks(track) if problem.skew else self._of_all_ranks(problem, us.median, backend, track)),
        )
        return Row(record, tuple(float(value) for value in samples * MICRO))

    def _lacks_multicast(self, backend: str, own: Mapping[str, str]) -> bool:
        """Whether the backend's library was kept from multicast; a transport that has it says otherwise."""
        return reader_of(backend) in self.multicast_off and NVLS not in own.get("transport", "")

    def _of_late_ranks(self, track: Track) -> dict[str, Any]:
        """The columns of a case whose ranks arrive one after another."""
        return {"first_us_median": float(np.median(track.firsts)) * MICRO}

    def _of_all_ranks(self, problem: Problem, us: float, backend: Backend, track: Track) -> dict[str, Any]:
        """The columns of a case whose ranks arrive together and that takes ``us`` microseconds."""
        algbw = problem.bytes / (us / MICRO) / 1e9
        return {
            "algbw_gb_s": algbw, "busbw_gb_s": algbw * problem.collective.bus_factor(problem.layout.size),
            "bound_us": self._bound(problem, backend.DEVICE), **self._slowest(problem.layout, track),
        }  # fmt: skip

    def _slowest(self, layout: Layout, track: Track) -> dict[str, Any]:
        """The columns of the slowest rank; {} where none stands out."""
        found = slowest_of(np.array(track.by_rank))
        if found is None:
            return {}
        rank = layout.everyone[found.rank]
        return {
            "slowest_rank": rank, "slowest_host": self.hosts[rank], "slowest_share": found.share,
            "slowest_ratio": found.ratio,
        }  # fmt: skip

    def _bound(self, problem: Problem, kind: str) -> float | None:
        link = find_link(self.devices[kind], self.fabric(kind, problem.layout))
        return (
            bound_seconds(problem.collective.name, problem.bytes, problem.layout.size, link) * MICRO if link else None
        )
