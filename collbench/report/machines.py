"""Rows by the model of machine that they were measured on: unlike machines share no table, chart or sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from collbench.results.facts import Facts
from collbench.results.records import Record
from collbench.views.runs import Run, known_facts

Machines = Mapping[str, Sequence[Run]]  # runs by the model of machine, "" for an unknown one


def machine_in(facts: Iterable[Facts]) -> str:
    """The models of the GPUs, else of the CPUs, of these launches; "" where none is known."""
    return ", ".join(dict.fromkeys(name for each in facts if (name := each["gpu"] or each["cpu"])))


def machine_of(path: Path) -> str:
    """The machine that the sidecar of a file names; "" without one that can be read."""
    return machine_in(known_facts(path, lambda words: None).values())


def machine_of_run(run: Run) -> str:
    """The machines that the sidecars of its files name; "" where none is known."""
    return ", ".join(dict.fromkeys(filter(None, map(machine_of, dict.fromkeys(run.files.values())))))


def unlike(before: Run, after: Run) -> list[str]:
    """A warning where two runs, B before and A after, are known to be of different machines; else []."""
    a, b = machine_of_run(after), machine_of_run(before)
    if not a or not b or a == b:
        return []
    return [f"UNLIKE MACHINES: A ran on {a}, B on {b}; ratios between them compare machines."]


def apart(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs by machine, each file with its own; {} for none. Two runs stay together: they were given to be compared.
    Rows of an unknown machine belong to the only known one, if there is one."""
    if not runs:
        return {}
    *before, last = runs
    names = {path: machine_of(path) for path in dict.fromkeys(last.files.values())}
    known = [*dict.fromkeys(filter(None, names.values()))]
    if before or len(known) < 2:
        return {", ".join(known): [*runs]}
    found: dict[str, list[Record]] = {}
    for row in last.records:
        found.setdefault(names[last.files[row]], []).append(row)
    return {machine: [replace(last, records=rows)] for machine, rows in found.items()}
