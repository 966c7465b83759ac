"""Rows by the model of machine that they were measured on: unlike machines share no table, chart or sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from collbench.results.facts import Facts, machine_in
from collbench.results.records import Record
from collbench.views.runs import Run, known_facts

Machines = Mapping[str, Sequence[Run]]  # runs by the model of machine, "" for an unknown one


def machine_of(path: Path) -> str:
    """The machine that the sidecar of a file names; "" without one that can be read."""
    return machine_in(known_facts(path, lambda words: None).values())


def machine_of_run(run: Run) -> str:
    """The machines of the rows of a run that are shown; "" where none is known."""
    return machine_in(run.facts[row] for row in run.records if row in run.facts)


def unlike(sides: Mapping[str, str]) -> list[str]:
    """A warning where the machines of sides, by the names of the sides, are known to differ; else []."""
    named: dict[str, list[str]] = {}
    for side, machine in sides.items():
        named.setdefault(machine, []).append(side)
    on = [f"{' and '.join(names)} on {machine}" for machine, names in named.items() if machine]
    if len(on) < 2:
        return []
    first = on[0].replace(" on ", " ran on ", 1)
    return [f"UNLIKE MACHINES: {', '.join([first, *on[1:]])}; ratios between them compare machines."]


def unlike_backends(rows: Iterable[Record], facts: Mapping[Record, Facts]) -> list[str]:
    """`unlike` for the backends of one run, as of logs in one file, where no machine timed them all."""
    timed: dict[str, list[Facts]] = {}
    for row in rows:
        if row.latency_us_median is not None and row in facts:
            timed.setdefault(row.backend, []).append(facts[row])
    machines = {backend: machine_in(some) for backend, some in timed.items()}
    known = [set(machine.split(", ")) for machine in machines.values() if machine]
    return unlike(machines) if known and not set.intersection(*known) else []


def unlike_sides(sides: Sequence[Run], rows: Iterable[Record]) -> list[str]:
    """`unlike` for two runs, A and B, or `unlike_backends` for the ``rows`` of one that are compared."""
    if len(sides) > 1:
        return unlike(dict(zip("AB", map(machine_of_run, sides), strict=True)))
    return unlike_backends(rows, sides[0].facts)


def apart(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs by machine, each file with its own; {} for none. Two runs stay together: they were given to be compared.
    Rows of an unknown machine belong to the only known one, if there is one."""
    if not runs:
        return {}
    *before, last = runs
    names = _machines(last)
    known = [*dict.fromkeys(filter(None, names.values()))]
    if before or len(known) < 2:
        return {", ".join(known): [*runs]}
    found: dict[str, list[Record]] = {}
    for row in last.records:
        found.setdefault(names[row], []).append(row)
    return {machine: [replace(last, records=rows)] for machine, rows in found.items()}


def _machines(run: Run) -> dict[Record, str]:
    """The machine of each row: that of all rows of its file, or where no file is known, of its run_id."""
    origins: dict[Record, Path | str] = {row: run.files.get(row, row.run_id) for row in run.records}
    facts: dict[Path | str, list[Facts]] = {}
    for row, origin in origins.items():
        facts.setdefault(origin, []).extend([run.facts[row]] if row in run.facts else [])
    names = {origin: machine_in(some) for origin, some in facts.items()}
    return {row: names[origin] for row, origin in origins.items()}
