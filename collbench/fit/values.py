"""Fits, crossings and predictions as values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collbench.fit.crossings import crossings
from collbench.fit.files import Case, Fitting, Prediction, group_of, grouped, predictions, shape_of
from collbench.fit.fitting import Fit
from collbench.fit.law import BETWEEN, INSIDE
from collbench.fit.lines import BASE


def plain(fittings: Sequence[Fitting], cases: Sequence[Case]) -> dict[str, Any]:
    """Everything as values for JSON; latencies in microseconds, bandwidths in 10**9 bytes per second."""
    return {
        "fits": [_plain_fit(fitting, fit) for fitting in fittings for fit in fitting.fits],
        "crossings": [
            {"file": str(fitting.path), "of": title, "world": shape_of(each.world), "quicker_below": each.small,
             "quicker_above": each.large, "bytes": each.size, "low": each.low, "high": each.high}
            for fitting in fittings for title, fits in grouped(fitting.fits).items() for each in crossings(fits)
        ],
        "predictions": [_plain_prediction(each) for fitting in fittings for each in predictions(fitting, cases)],
        "unfitted": [
            {"file": str(fitting.path), "of": what, "reason": why}
            for fitting in fittings for what, why in fitting.unfitted
        ],
    }  # fmt: skip


def _plain_fit(fitting: Fitting, fit: Fit) -> dict[str, Any]:
    law = fit.law
    return {
        "file": str(fitting.path),
        "backend": fit.curve.backend,
        "of": group_of(fit),
        "algorithms": list(law.family.algorithms),
        "lines": str(law.shape),
        "worlds": [shape_of(world) for world in fit.curve.worlds],
        "sizes": list(fit.curve.sizes),
        "base_us": _ranged(law.interval(BASE)),
        "links": [_plain_line(fit, line) for line in range(law.shape.count)],
        "error_held_out_sizes": fit.size_error,
        "error_held_out_worlds": fit.world_error,
        "no_held_out_sizes": fit.without_size,
        "no_held_out_worlds": fit.without_world,
    }


def _plain_line(fit: Fit, line: int) -> dict[str, Mapping[str, Any]]:
    names = {INSIDE: "in a node", BETWEEN: "between nodes"}
    start = fit.law.shape.slots(line).start - INSIDE
    return {names[place]: _plain_level(fit, start + place) for place in sorted(fit.law.links)}


def _plain_level(fit: Fit, place: int) -> Mapping[str, Any]:
    byte, low, high = fit.law.interval(place + 1)
    return {
        "alpha_us": _ranged(fit.law.interval(place)),
        "gb_s": _ranged(tuple(1e-3 / each for each in (byte, high, low))),
    }


def _ranged(values: Sequence[float]) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), values, strict=True))


def _plain_prediction(each: Prediction) -> dict[str, Any]:
    size, ranks, nodes = each.case
    found = each.estimate
    return {
        "backend": each.fit.curve.backend,
        "of": group_of(each.fit),
        "bytes": size,
        "ranks": ranks,
        "nodes": nodes,
        "predicted_us": found.us if found else None,
        "low_us": found.low if found else None,
        "high_us": found.high if found else None,
        "basis": found.basis if found else None,
        "source": found.source if found else None,
        "reason": each.reason,
    }
