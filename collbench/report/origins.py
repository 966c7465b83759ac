"""The sections of origins: machine and versions, the commands, and the rows themselves."""

from __future__ import annotations

import gzip
import os
import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from collbench.errors import UsageError
from collbench.report.inputs import Warn
from collbench.report.markup import Html, joined, tag
from collbench.report.sections import MOST_ROWS, Section
from collbench.report.tables import table_html
from collbench.results.facts import commands_of, facts_of, variables_of
from collbench.results.records import FACTS
from collbench.tables import table_of, words
from collbench.views.naming import readable

CALLED: Mapping[str, str] = {
    "started": "started", "host": "hosts", "gpu": "GPU", "cpu": "CPU", "driver": "CUDA driver", "cuda": "CUDA runtime",
    "mpi": "MPI", "nccl": "NCCL", "nvshmem": "NVSHMEM", "git": "collbench",
}  # fmt: skip


def machine_section(files: Sequence[Path], warn: Warn) -> Section:
    """What the sidecars say of machines, versions and variables, and the commands that made the files."""
    parts = [part for path in files for part in _of_file(path, warn, len(files) > 1)]
    none = tag("p", "No file has a sidecar, which would say on which machine and with which versions it was measured.")
    return Section("machine", "Machine, versions and commands", joined(parts or [none]))


def _of_file(path: Path, warn: Warn, named: bool) -> list[Html]:
    try:
        facts, variables, commands = facts_of(path), variables_of(path), commands_of(path)
    except UsageError as error:
        warn(str(error))
        return []
    rows = [(CALLED[name], value) for name in FACTS if (value := _values(each[name] for each in facts.values()))]
    rows += [*variables.items()]
    head = [tag("h3", readable(path.name))] if named and (rows or commands) else []
    table = [table_html(table_of("", words("fact", "value"), rows))] if rows else []
    lines = [f"collbench {shlex.join(command)}" for command in commands]
    said = [tag("p", "To measure it again:"), *(tag("pre", tag("code", line)) for line in lines)] if lines else []
    return [*head, *table, *said]


def _values(values: Iterable[str | None]) -> str:
    """The distinct values; of more than two times, the first and the last."""
    found = list(dict.fromkeys(filter(None, values)))
    return (
        ", ".join(found)
        if len(found) < 3
        else f"{found[0]} to {found[-1]}"
        if found == sorted(found)
        else ", ".join(found)
    )


def data_section(files: Sequence[Path], rows: int, folder: Path) -> Section:
    """The files: in the page, compressed, or above MOST_ROWS rows as links relative to the page's ``folder``."""
    links = [tag("li", _packed(path) if rows <= MOST_ROWS else _link(path, folder)) for path in files]
    outside = (
        "" if rows <= MOST_ROWS else f"They have more than {MOST_ROWS:,} rows, and are beside this page, not in it."
    )
    note = [tag("p", outside, class_="note")] if outside else []
    return Section("data", "Results files", joined([tag("ul", *links), *note]))


def _packed(path: Path) -> Html:
    name = readable(path.name)
    content = b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()
    href = f"data:application/gzip;base64,{content}"
    return tag("a", name, href=Html(href), download=f"{name}.gz", data_packed=True)


def _link(path: Path, folder: Path) -> Html:
    """A link that no browser takes for an address of another kind, whatever the name of the file."""
    return tag("a", readable(path.name), href=f"./{quote(os.path.relpath(path, folder))}")
