"""Continuing a results file: the launches that its sidecar describes, and the refusal of other conditions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from collbench.errors import UsageError
from collbench.measure import conditions
from collbench.measure.request import SweepRequest
from collbench.plan.layout import Layout
from collbench.plan.variants import defined
from collbench.results.files import sidecar_path

Facts = dict[str, Any]
_SHAPES: Mapping[str, type] = {"launch": int, "sweep": dict, "mpi": dict, "versions": dict, "ranks": list}
_VARIANT: Mapping[str, type] = {"name": str, "backend": str, "variables": dict}


class RefusedError(UsageError):
    """The results file was measured under other conditions. Raised on all ranks, which then end in good order; other
    errors end the job."""


def read_launches(results: Path) -> list[Facts]:
    """The entries of the launches in a sidecar, [] if there is none. Raises UsageError for one that cannot be read."""
    path = sidecar_path(results)
    try:
        launches = json.loads(path.read_text(encoding="utf-8"))["launches"]
        for entry in launches:
            _check_entry(entry)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a sidecar of collbench ({error}); restore it, or give another -o.") from None
    return list(launches)


def _check_entry(entry: Any) -> None:
    """Raise TypeError or KeyError for an entry without the facts that conditions are compared by."""
    for name, shape in _SHAPES.items():
        if type(entry[name]) is not shape:
            raise TypeError(f"{name!r} of a launch is not of its type")
    for name, shape in _VARIANT.items() if "variant" in entry else ():
        if type(entry["variant"][name]) is not shape:
            raise TypeError("a variant is not of its type")
    for rank in entry["ranks"]:
        if not all(isinstance(each, dict) for each in (rank, rank.get("gpu", {}), rank.get("cpu", {}))):
            raise TypeError("a rank is not of its type")


def check_options(request: SweepRequest, entries: Sequence[Facts], layouts: Sequence[Layout]) -> None:
    """Raise RefusedError where the last launch had other options, a check had other worlds than ``layouts``, or a
    variant is not what it was, before anything is opened."""
    _check_variants(request, entries)
    if entries and not request.mixed:
        now = {"sweep": asdict(request.sweep), "goal": request.goal.facts, "worlds": worlds_of(layouts)}
        refuse(request, conditions.changed_options(entries[-1], now))


def worlds_of(layouts: Sequence[Layout]) -> list[str]:
    """The worlds of a launch, as its entry has them."""
    return [str(layout) for layout in layouts]


def _check_variants(request: SweepRequest, entries: Sequence[Facts]) -> None:
    """Raise RefusedError where rows of another definition have the name of a variant, or of a backend: they would pass
    for launches of one case."""
    known = {entry["variant"]["name"]: entry["variant"] for entry in entries if "variant" in entry}
    for variant in request.sweep.variants:
        then, now = known.get(variant.label), variant.facts
        if then and then != now:
            raise RefusedError(
                f"{request.path} has rows of another variant {variant.label}: {_shown(then)}, now {_shown(now)}. Give "
                "this one another name."
            )
        if any(variant.name in entry["sweep"].get("backends", ()) for entry in entries):
            raise RefusedError(f"{variant.name} is a plain backend in {request.path}; name the variant otherwise.")
    for then in known.values():
        if then["backend"] in request.sweep.backends:
            raise RefusedError(f"{then['backend']} names a variant in {request.path}; define it with --variant.")


def _shown(variant: Facts) -> str:
    return defined(variant["backend"], list(variant["variables"].items()))


def refuse(request: SweepRequest, differences: Sequence[str]) -> None:
    """Raise RefusedError with the ``differences``, if there are any."""
    if differences:
        rest = "" if request.goal.facts else ", or add --mixed to continue with launches under these"
        raise RefusedError(
            f"{request.path} was measured under other conditions: {'; '.join(differences)}. Give another -o{rest}."
        )
