"""The command ``list``."""

from __future__ import annotations

import json

import click

from collbench.plan.collectives import COLLECTIVES, OPS
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import MODES
from collbench.slurm import profiles
from collbench.tables import aligned


def _backends() -> list[dict[str, str | None]]:
    from collbench import registry

    found = []
    for name in registry.names():
        backend = registry.find(name)
        found.append({"name": name, "on": backend.DEVICE, "missing": backend.missing(), "times": backend.SUMMARY})
    return found


def show(as_json: bool) -> str:
    """A table of the backends and whether they can run here, then all other names; or the same as JSON."""
    from collbench.registry import hidden

    found = _backends()
    others = {
        "collectives": list(COLLECTIVES),
        "dtypes": list(DTYPES),
        "ops": list(OPS),
        "modes": list(MODES),
        "profiles": profiles.names(),
    }
    if as_json:
        return json.dumps({"backends": found, **others}, indent=1, allow_nan=False)
    table = [["backend", "on", "here", "times"]]
    table += [[str(x["name"]), str(x["on"]), "no" if x["missing"] else "yes", str(x["times"])] for x in found]
    reasons: dict[str, list[str]] = {}
    for each in found:
        if each["missing"]:
            reasons.setdefault(each["missing"], []).append(str(each["name"]))
    missing = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    missing += hidden().values()
    lines = [f"{name}: {', '.join(values)}" for name, values in others.items()]
    return "\n".join([aligned(table), "", *missing, *([""] if missing else []), *lines])


@click.command("list", short_help="List backends, and what they need to run here.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def list_(as_json: bool) -> None:
    """List backends, collectives, types, operations, modes and profiles.

    For a backend that cannot run here, print the reason and how to install what is missing.
    """
    click.echo(show(as_json))
