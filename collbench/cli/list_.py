"""The command ``list``: what there is, what is missing here, and how to get it."""

from __future__ import annotations

import json

from collbench import registry
from collbench.plan.collectives import COLLECTIVES, OPS
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import MODES
from collbench.slurm import profiles
from collbench.tables import aligned


def _backends() -> list[dict[str, str | None]]:
    found = []
    for name in registry.names():
        backend = registry.find(name)
        found.append({"name": name, "on": backend.DEVICE, "missing": backend.missing(), "times": backend.SUMMARY})
    return found


def show(as_json: bool) -> str:
    """Backends with their state on this machine, then collectives, types, operations, modes and profiles."""
    found = _backends()
    others = {
        "collectives": list(COLLECTIVES),
        "dtypes": list(DTYPES),
        "ops": list(OPS),
        "modes": list(MODES),
        "profiles": profiles.names(),
    }
    if as_json:
        return json.dumps({"backends": found, **others}, indent=1)
    table = [["backend", "on", "here", "times"]]
    table += [[str(x["name"]), str(x["on"]), "no" if x["missing"] else "yes", str(x["times"])] for x in found]
    reasons: dict[str, list[str]] = {}
    for each in found:
        if each["missing"]:
            reasons.setdefault(each["missing"], []).append(str(each["name"]))
    missing = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    missing += registry.hidden().values()
    lines = [f"{name}: {', '.join(values)}" for name, values in others.items()]
    return "\n".join([aligned(table), "", *missing, *([""] if missing else []), *lines])
