"""The command ``list``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from collbench.cli import forms
from collbench.jobs import profiles
from collbench.plan.collectives import COLLECTIVES, OPS
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import MODES
from collbench.printer.forms import Form, printed
from collbench.tables import Page, notes_of, table_of, words


def _backends() -> list[dict[str, str | None]]:
    from collbench import registry

    found = []
    for name in registry.names():
        backend = registry.find(name)
        found.append({"name": name, "on": backend.DEVICE, "missing": backend.missing(), "times": backend.SUMMARY})
    return found


def show(form: Form) -> str:
    """A table of the backends and whether they can run here, what is missing, and all other names."""
    found = _backends()
    others = {
        "collectives": list(COLLECTIVES),
        "dtypes": list(DTYPES),
        "ops": list(OPS),
        "modes": list(MODES),
        "profiles": profiles.names(),
    }
    rows = [[str(x["name"]), str(x["on"]), "no" if x["missing"] else "yes", str(x["times"])] for x in found]
    table = table_of("", words("backend", "on", "here", "times"), rows)
    lines = [f"{name}: {', '.join(values)}" for name, values in others.items()]
    return printed(Page((table,), notes_of(_missing(found), lines)), {"backends": found, **others}, form)


def _missing(found: Iterable[Mapping[str, str | None]]) -> list[str]:
    """A line for each reason why backends cannot run here, then what cannot be a backend."""
    from collbench.registry import hidden

    reasons: dict[str, list[str]] = {}
    for each in found:
        if each["missing"]:
            reasons.setdefault(each["missing"], []).append(str(each["name"]))
    return [*(f"{', '.join(names)}: {reason}" for reason, names in reasons.items()), *hidden().values()]


@click.command("list", short_help="List backends, and what they need to run here.")
@forms.form
def list_(form: forms.FormOptions) -> None:
    """List backends, collectives, types, operations, modes and profiles.

    For a backend that cannot run here, print the reason and how to install what is missing.
    """
    click.echo(show(form.chosen))
