"""What the numbers of a row may be: finite, and within what can be measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

from collbench.errors import UsageError
from collbench.plan.skew import parse_skew
from collbench.results.lines import Value

# Columns that are never 0; the others are never negative.
POSITIVE = ("ranks", "nodes", "gpus_per_node", "algbw_gb_s", "bound_us", "hidden", "groups", "first_us_median")
LATENCIES = "latency_us_"


def flaw(cells: Mapping[str, Value], is_job: bool) -> str:
    """The first column of a row that holds no number or an impossible one, and why; "" if there is none. A row of a job
    has no size."""
    found = (f"column {name}: {why}" for name, value in cells.items() if (why := _impossible(name, value, is_job)))
    return next(found, "") or _outside(cells) or _no_skew(str(cells.get("skew") or ""))


def _no_skew(text: str) -> str:
    """What is wrong with a text that is not empty and not a skew, or is not written as others are."""
    if not text:
        return ""
    try:
        plain = str(parse_skew(text))
    except UsageError:
        return f"column skew: {text!r} is not a skew such as 20us or 20us:3"
    return "" if plain == text else f"column skew: {text!r} is written {plain}"


def _impossible(name: str, value: Value, is_job: bool) -> str:
    if isinstance(value, (str, bool)) or value is None:
        return ""
    if not math.isfinite(value):
        return f"{value} is not a number"
    positive = name.startswith(LATENCIES) or name in POSITIVE or (name == "bytes" and not is_job)
    if value < 0 or (positive and value == 0):
        return f"{value} is impossible, it is {'above' if positive else 'at least'} 0"
    return ""


def _outside(cells: Mapping[str, Value]) -> str:
    """What is wrong with an interval that does not contain its median; "" for a missing one."""
    low, middle, high = (cells.get(f"{LATENCIES}{name}") for name in ("ci_low", "median", "ci_high"))
    if isinstance(middle, float) and isinstance(low, float) and low > middle:
        return f"column {LATENCIES}ci_low: {low} is above the median, {middle}"
    if isinstance(middle, float) and isinstance(high, float) and high < middle:
        return f"column {LATENCIES}ci_high: {high} is below the median, {middle}"
    return ""
