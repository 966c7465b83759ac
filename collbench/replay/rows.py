"""Turns the outcome of each part of a replay into its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from collbench.measure.timing import Track
from collbench.replay.plan import Plan
from collbench.replay.request import ReplayRequest
from collbench.replay.voices import Voice
from collbench.results.records import THROTTLED
from collbench.results.replays import CHAIN, ReplayRecord
from collbench.results.statistics import summarise

MICRO = 1e6


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one launch; ``nodes`` are those of the launch, virtual or not. ``conflicts`` are the variables
    for which profile and environment of the job disagree, in ``params`` of every row with communication and a time."""

    request: ReplayRequest
    run_id: str
    launch: int
    nodes: int
    fabric: str
    conflicts: tuple[str, ...] = ()

    def blank(self, backend: str, part: str, status: str, reason: str = "") -> ReplayRecord:
        """A row without a time."""
        request = self.request
        return ReplayRecord(
            run_id=self.run_id,
            launch=self.launch,
            spec=str(request.spec),
            pass_kind=request.one.kind,
            tokens=request.listing.deployment.padded(request.one),
            ranks=request.ranks,
            nodes=self.nodes,
            fabric=self.fabric,
            compute=request.compute,
            spin_us=request.spin_seconds * MICRO if request.compute == "spin" else None,
            backend=backend,
            part=part,
            stage=None,
            what="",
            collective="",
            dtype="",
            bytes=None,
            hidden=None,
            group_ranks=None,
            group_nodes=None,
            groups=None,
            count=1,
            ran_by="",
            params="",
            status=status,
            reason=reason,
        )

    def timed(self, row: ReplayRecord, seconds: Sequence[float]) -> ReplayRecord:
        """``row`` with the times of its samples."""
        us = summarise(np.array(seconds) * MICRO)
        return replace(
            row, samples=len(seconds), us_median=us.median, us_min=us.min, us_p05=us.p05, us_p95=us.p95, us_max=us.max,
            us_ci_low=us.ci_low if np.isfinite(us.ci_low) else None,
            us_ci_high=us.ci_high if np.isfinite(us.ci_high) else None,
        )  # fmt: skip

    def of_track(self, row: ReplayRecord, track: Track) -> ReplayRecord:
        """``row`` as a track leaves it: wrong, without a sample that counts, or timed."""
        if track.wrong:
            return replace(row, status="wrong", reason=f"in timed calls: {track.words}", wrong=track.wrong)
        if not track.seconds:
            return replace(row, status="failed", reason="the host was late for every sample")
        held = f"{THROTTLED}: {track.throttled}" if track.throttled else ""
        reason = "; ".join(filter(None, (row.reason, held)))
        disputed = f"conflicts={'+'.join(self.conflicts)}" if self.conflicts else ""
        params = ";".join(filter(None, (row.params, disputed)))
        return self.timed(replace(row, reason=reason, params=params), track.seconds)

    def of_voice(self, backend: str, part: str, voice: Voice, plan: Plan, answers: int | None) -> ReplayRecord:
        """The row of a part that concerns one collective, without its time."""
        kind, layout = voice.kind, voice.problem.layout
        sender = plan.stage_of(kind.groups[0][0]) + 1 if kind.between_stages else None
        return replace(
            self.blank(backend, part, "ok", voice.why if part == CHAIN else ""),
            what=", ".join(kind.whats),
            collective=kind.operation,
            dtype=kind.dtype.name,
            bytes=kind.size,
            hidden=kind.hidden or None,
            group_ranks=layout.size,
            group_nodes=layout.node_count,
            groups=len(kind.groups),
            stage=sender,
            count=plan.counts[kind],
            ran_by=voice.ran_by,
            params=voice.params,
            answers=answers,
        )
