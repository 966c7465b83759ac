"""A folder with one results file a night: the nights in order, each with its time, commit, machine and versions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collbench.errors import UsageError
from collbench.results.facts import Facts, facts_of, machine_in, sets_of, sources_of
from collbench.results.files import sidecar_path
from collbench.results.records import SAMPLES, Record, jobs, load

VERSIONS = ("driver", "nccl", "nvshmem", "mpi")
PACKED = (".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst", ".csv.zip")
TIME = "%Y%m%dT%H%M%S"  # the beginning of a run_id


@dataclass(frozen=True)
class Night:
    """One results file. ``time`` is the start of its first launch, in UTC; ``commit`` the git revision of the code, or
    the hash of its source, "" if unknown; ``machine`` the model of its GPUs, else of its CPU, "" if unknown;
    ``versions`` by the names in VERSIONS, {} if unknown; ``sets`` those of configuration files."""

    path: Path
    time: datetime
    commit: str
    machine: str
    versions: Mapping[str, str]
    records: tuple[Record, ...]
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nights:
    """The nights of a folder in the order of their times, and a sentence for each file that was left out or lacks
    something."""

    nights: tuple[Night, ...]
    remarks: tuple[str, ...]


def nights_in(folder: Path) -> Nights:
    """The nights of the results files in ``folder``, as `nights_of` has them. Raises UsageError if the folder cannot be
    listed or holds no night."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.is_dir())
    except OSError as error:
        raise UsageError(f"{folder} cannot be listed: {error.strerror}; give a folder of results files.") from None
    packed = [f"left out: {path} is compressed; unpack it." for path in paths if path.name.endswith(PACKED)]
    found = nights_of(path for path in paths if path.suffix == ".csv" and not path.name.endswith(SAMPLES))
    remarks = (*packed, *found.remarks)
    if not found.nights:
        why = f" {remarks[0]}" if remarks else ""
        raise UsageError(f"{folder} holds no results file of a night.{why}")
    return Nights(found.nights, remarks)


def nights_of(paths: Iterable[Path]) -> Nights:
    """The nights of these results files.

    A file without sidecar has the time of its run_id, taken as UTC, and no versions. Files that cannot be read, are not
    results files, have no row of a case, no time, or launches of another file are left out.
    """
    nights: list[Night] = []
    remarks: list[str] = []
    seen: dict[tuple[object, ...], Path] = {}
    for path in paths:
        night, said = _night(path, seen)
        nights += [night] if night else []
        remarks += said
    return Nights(tuple(sorted(nights, key=lambda night: (night.time, night.path))), tuple(remarks))


def _night(path: Path, seen: dict[tuple[object, ...], Path]) -> tuple[Night | None, list[str]]:
    """The night of a file, None if it is left out, and what is to be said; ``seen`` holds the launches of others."""
    try:
        records = load(path)
    except UsageError as error:
        return None, [f"left out: {error}"]
    said = [f"{path}: {words}" for words in jobs(records)]
    cases = tuple(record for record in records if not record.is_job)
    if not cases:
        return None, [*said, f"left out: {path} has no row of a case."]
    keys = [(record.run_id, record.launch, *record.identity) for record in cases]
    if other := next((seen[key] for key in keys if key in seen), None):
        return None, [*said, f"left out: {path} has launches of the same run as {other}; keep one of them."]
    facts, lacks = _facts(path, {record.launch for record in cases})
    time = _started(facts) or _time_of(cases[0].run_id)
    if time is None:
        return None, [*said, f"left out: {path} has no time: {lacks}, and its run_id is {cases[0].run_id!r}."]
    seen.update(dict.fromkeys(keys, path))
    if lacks:
        said.append(f"{path}: {lacks}; its time is that of its run_id, taken as UTC, and what is missing is unknown.")
    return _with_facts(path, time, facts, cases), said


def _facts(path: Path, launches: set[int]) -> tuple[list[Facts], str]:
    """The facts of these launches, and in words what is missing of the sidecar for a time; "" if nothing is."""
    try:
        found = facts_of(path)
    except UsageError as error:
        return [], str(error).split(";")[0]
    facts = [found[launch] for launch in sorted(launches & found.keys())]
    if _started(facts):
        return facts, ""
    return facts, "its sidecar has no time" if found else f"{sidecar_path(path).name} does not exist"


def _started(facts: Iterable[Facts]) -> datetime | None:
    times = [_utc(datetime.fromisoformat(text)) for each in facts if (text := each["started"])]
    return min(times, default=None)


def _utc(time: datetime) -> datetime:
    """The time in UTC; without a zone it counts as UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _time_of(run_id: str) -> datetime | None:
    found = re.match(r"\d{8}T\d{6}", run_id)
    try:
        return datetime.strptime(found[0], TIME).replace(tzinfo=UTC) if found else None
    except ValueError:  # such as month 13
        return None


def _with_facts(path: Path, time: datetime, facts: Sequence[Facts], cases: tuple[Record, ...]) -> Night:
    found = {name: _joined(_brief(each[name] or "") for each in facts) for name in VERSIONS}
    versions = {name: version for name, version in found.items() if version}
    commit = _joined(each["git"] for each in facts) or _joined(f"sha256:{code[:12]}" for code in _sources(path, facts))
    return Night(path, time, commit, machine_in(facts), versions, cases, tuple(sets_of(path) if facts else ()))


def _sources(path: Path, facts: Sequence[Facts]) -> Sequence[str]:
    return sources_of(path) if facts else ()


def _joined(values: Iterable[str | None]) -> str:
    """The distinct values, joined by commas; "" if there are none."""
    return ", ".join(dict.fromkeys(value for value in values if value))


def _brief(version: str) -> str:
    """The version without the build details that MPI libraries add in further lines or after a comma."""
    return version.partition("\n")[0].partition(", package")[0].strip()
