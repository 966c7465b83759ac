"""The sidecar of imported rows: an entry for each run, in the form of those of a sweep, with the source of its rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from collbench import __version__
from collbench.foreign.formats import spans
from collbench.foreign.rows import Imported, run_id_of
from collbench.results.files import SCHEMA

_MOST_SPANS = 200


def text_of(runs: Sequence[Imported], argv: Sequence[str]) -> str:
    """The JSON of a sidecar."""
    first = run_id_of(runs[0].reading, runs[0].run)
    content = {"schema": SCHEMA, "run_id": first, "launches": [_entry(each, argv) for each in runs]}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _entry(each: Imported, argv: Sequence[str]) -> dict[str, Any]:
    """The facts of a run under the names that a sweep uses, and what was imported under a name of its own."""
    facts = {name: value for name, value in each.run.facts.items() if value}
    command = facts.pop("argv", None)
    return {
        "launch": each.launch,
        **facts,
        "argv": list(argv),
        "imported": {
            "file": each.reading.source.path.name,
            "sha256": each.reading.source.sha256,
            "tool": each.run.tool,
            "version": each.run.version,
            "statistics": _statistics(each),
            "run_id": run_id_of(each.reading, each.run),
            **({"command": command} if command else {}),
            "not_understood": spans(each.reading.missed)[:_MOST_SPANS],
            "remarks": list(each.reading.remarks),
            "collbench": __version__,
        },
    }


def _statistics(each: Imported) -> list[str]:
    found: Iterable[str] = (f"mean over calls, {case.statistic}" for case in each.run.cases)
    return list(dict.fromkeys(found))
