"""The sections of origins: machine and versions, the commands, and the rows themselves."""

from __future__ import annotations

import gzip
import os
import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from collbench.errors import UsageError
from collbench.report.inputs import Warn
from collbench.report.markup import Html, joined, tag
from collbench.report.sections import MOST_ROWS, Section
from collbench.report.tables import table_html
from collbench.results.facts import commands_of, facts_of, imports_of, variables_of
from collbench.results.records import FACTS
from collbench.tables import table_of, words
from collbench.views.history import few
from collbench.views.naming import readable

CALLED: Mapping[str, str] = {
    "host": "hosts", "gpu": "GPU", "cpu": "CPU", "driver": "CUDA driver", "cuda": "CUDA runtime",
    "mpi": "MPI", "nccl": "NCCL", "nvshmem": "NVSHMEM",
}  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """What the sidecars of files say that were measured alike: facts and variables in rows. ``times`` are the starts of
    launches, ``commits`` the revisions of collbench, ``commands`` the command lines."""

    rows: tuple[tuple[str, str], ...]
    files: tuple[Path, ...]
    times: tuple[str, ...]
    commits: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]

    def html(self, with_names: bool) -> Html:
        """A heading where there are other files, a table, and the commands."""
        rows = [("started", " to ".join(dict.fromkeys((self.times[0], self.times[-1]))))] if self.times else []
        rows += [*self.rows, *([("collbench", few(self.commits, "commit"))] if self.commits else [])]
        head = [tag("h3", few([readable(path.name) for path in self.files], "file"))] if with_names else []
        lines = [tag("pre", tag("code", f"collbench {shlex.join(words)}")) for words in self.commands]
        said = [tag("p", "Commands that made it:"), *lines] if lines else []
        return joined([*head, table_html(table_of("", words("fact", "value"), rows)), *said])


def machine_section(files: Sequence[Path], warn: Warn) -> Section:
    """What the sidecars say of machines, versions and variables, and the commands that made the files; those of files
    that were measured alike together."""
    groups: dict[tuple[tuple[str, str], ...], list[Origin]] = {}
    for found in (_origin(path, warn) for path in files):
        if found:
            groups.setdefault(found.rows, []).append(found)
    parts = [_together(group).html(len(files) > 1) for group in groups.values()]
    none = tag("p", "No file has a sidecar, which would say on which machine and with which versions it was measured.")
    return Section("machine", "Machine, versions and commands", joined(parts or [none]))


def _origin(path: Path, warn: Warn) -> Origin | None:
    """What the sidecar of a file says; None without one, or where it cannot be read."""
    try:
        facts, variables, commands = facts_of(path), variables_of(path), commands_of(path)
        imported = imports_of(path)
    except UsageError as error:
        warn(str(error))
        return None
    known = {name: ", ".join(dict.fromkeys(filter(None, (each[name] for each in facts.values())))) for name in FACTS}
    times = sorted(value for each in facts.values() if (value := each["started"]))
    rows = (
        *((CALLED[name], value) for name, value in known.items() if value and name in CALLED),
        *variables.items(),
        *imported,
    )
    commits = tuple(filter(None, [known["git"]]))
    return Origin(rows, (path,), tuple(times), commits, tuple(commands)) if rows or commands else None


def _together(group: Sequence[Origin]) -> Origin:
    times = sorted(time for each in group for time in each.times)
    commits = dict.fromkeys(commit for each in group for commit in each.commits)
    commands = dict.fromkeys(command for each in group for command in each.commands)
    files = tuple(path for each in group for path in each.files)
    return Origin(group[0].rows, files, tuple(times), tuple(commits), tuple(commands))


def data_section(files: Sequence[Path], folder: Path) -> Section:
    """The files: in the page, compressed, or above MOST_ROWS rows as links relative to the page's ``folder``."""
    contents = {path: path.read_bytes() for path in files}
    if sum(content.count(b"\n") - 1 for content in contents.values()) <= MOST_ROWS:
        links, said = [_packed(path.name, content) for path, content in contents.items()], ""
    else:
        links = [_link(path, folder) for path in files]
        said = f"They have more than {MOST_ROWS:,} rows, and are beside this page, not in it."
    note = [tag("p", said, class_="note")] if said else []
    return Section("data", "Results files", joined([tag("ul", *(tag("li", link) for link in links)), *note]))


def _packed(name: str, content: bytes) -> Html:
    packed = b64encode(gzip.compress(content, mtime=0)).decode()
    href = Html(f"data:application/gzip;base64,{packed}")
    return tag("a", readable(name), href=href, download=f"{readable(name)}.gz", data_packed=True)


def _link(path: Path, folder: Path) -> Html:
    """A link that no browser takes for an address of another kind, whatever the name of the file."""
    return tag("a", readable(path.name), href=f"./{quote(os.fsencode(os.path.relpath(path, folder)))}")
