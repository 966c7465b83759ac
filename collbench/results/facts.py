"""Facts of each launch from a sidecar: start time, host, hardware, library versions, and a note on the run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from collbench.errors import UsageError
from collbench.results.files import sidecar_path
from collbench.results.records import FACTS

PLAIN = ""  # in place of the backend, or the run: an entry of all backends that are no variants, or of no import
T = TypeVar("T")
Facts = Mapping[str, str | None]  # by the names in FACTS; None if missing from the sidecar


def facts_of(results: Path) -> dict[int, Facts]:
    """The facts of each launch of a results file; {} if it has no sidecar.

    Facts of several jobs of a submission that share a launch number, and of plain backends and variants, are joined by
    commas. Raises UsageError for a sidecar that cannot be read.
    """
    found: dict[int, list[Facts]] = {}
    for (launch, *_), facts in _by_leg(results).items():
        found.setdefault(launch, []).extend(facts)
    return {launch: _merged(facts) for launch, facts in found.items()}


def facts_of_rows(results: Path, rows: Iterable[tuple[int, str, str]]) -> list[Facts]:
    """The facts of the processes that timed each row, given its launch, backend and run_id: those of a variant, and of
    a run that was imported, are its own.

    {} without an entry in the sidecar. Raises UsageError for a sidecar that cannot be read.
    """
    found = {leg: _merged(facts) for leg, facts in _by_leg(results).items()}
    legs = (((launch, backend, PLAIN), (launch, PLAIN, run), (launch, PLAIN, PLAIN)) for launch, backend, run in rows)
    return [next((found[leg] for leg in each if leg in found), {}) for each in legs]


def _by_leg(results: Path) -> dict[tuple[int, str, str], list[Facts]]:
    """The facts of each entry by its launch, for a variant the backend of its rows, and for an import their run_id; {}
    if there is no sidecar."""
    found: dict[tuple[int, str, str], list[Facts]] = {}
    for leg, facts in _entries(results, lambda entry: (_leg(entry), _facts(entry))):
        found.setdefault(leg, []).append(facts)
    return found


def _leg(entry: Mapping[str, Any]) -> tuple[int, str, str]:
    variant, imported = entry.get("variant", {}), entry.get("imported", {})
    return int(entry["launch"]), str(variant.get("backend", PLAIN)), str(imported.get("run_id", PLAIN))


def machine_in(facts: Iterable[Facts]) -> str:
    """The models of the GPUs, else of the CPUs, of these launches, without the vendor of GPUs, which older drivers do
    not name; "" where none is known."""
    found = {each.get("gpu") or each.get("cpu") or "" for each in facts}
    names = {name.removeprefix("NVIDIA ") for joined in found for name in joined.split(", ")}
    return ", ".join(sorted(names - {""}))


def sources_of(results: Path) -> list[str]:
    """The hash of the code's source of each launch that has one, without repeats; errors as in `facts_of`."""
    hashes = _entries(results, lambda entry: _text(entry.get("source_sha256")))
    return list(dict.fromkeys(filter(None, hashes)))


def sets_of(results: Path) -> list[str]:
    """The sets of configuration files that the launches ran, without repeats; errors as in `facts_of`."""
    names = _entries(results, lambda entry: _text(entry["config"]["set"]) if "config" in entry else None)
    return list(dict.fromkeys(filter(None, names)))


def commands_of(results: Path) -> list[tuple[str, ...]]:
    """The command line of each launch that has one, after ``collbench``, without repeats; errors as in `facts_of`."""
    found = _entries(results, lambda entry: tuple(str(word) for word in entry.get("argv", ())))
    return list(dict.fromkeys(filter(None, found)))


def variables_of(results: Path) -> dict[str, str]:
    """The environment variables of all launches that the sidecar has, by name, different values joined by commas;
    errors as in `facts_of`."""
    found: dict[str, dict[str, None]] = {}
    for variables in _entries(results, lambda entry: dict(entry.get("variables", {}))):
        for name, value in variables.items():
            found.setdefault(str(name), {})[str(value)] = None
    return {name: ", ".join(values) for name, values in sorted(found.items())}


def imports_of(results: Path) -> list[tuple[str, str]]:
    """Of rows that were imported, from which file and tool, and what was not understood, in words by name, without
    repeats; errors as in `facts_of`."""
    found = _entries(results, lambda entry: _import(dict(entry.get("imported", {}))))
    return list(dict.fromkeys(pair for pairs in found for pair in pairs))


def _import(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    tool = " ".join(str(entry[name]) for name in ("tool", "version") if entry.get(name))
    words = {
        "imported from": ", ".join(filter(None, [str(entry.get("file") or ""), tool])),
        "measured with": shlex.join(map(str, entry.get("command") or ())),
        "lines not understood": ", ".join(map(str, entry.get("not_understood", ()))),
        "remarks on the import": "; ".join(map(str, entry.get("remarks", ()))),
    }
    return [(name, value) for name, value in words.items() if value]


def _entries(results: Path, read: Callable[[Mapping[str, Any]], T]) -> list[T]:
    """What ``read`` makes of the launches in the sidecar; [] without one."""
    path = sidecar_path(results)
    if not path.exists():
        return []
    try:
        return [read(entry) for entry in json.loads(path.read_text(encoding="utf-8"))["launches"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a sidecar of collbench ({error}); read the results without it.") from None


def _facts(entry: Mapping[str, Any]) -> Facts:
    ranks, versions = entry.get("ranks", ()), entry.get("versions", {})
    gpus = [rank["gpu"] for rank in ranks if "gpu" in rank]
    return {
        "started": _time(entry.get("started")),
        "host": _joined(rank.get("host") for rank in ranks),
        "gpu": _joined(gpu.get("name") for gpu in gpus),
        "cpu": _text(entry.get("machine", {}).get("cpu")),
        "driver": _joined(_cuda(gpu["driver"]) for gpu in gpus if "driver" in gpu),
        "cuda": _joined(_cuda(gpu["runtime"]) for gpu in gpus if "runtime" in gpu),
        "mpi": _text(entry.get("mpi", {}).get("library")),
        "nccl": _joined(gpu.get("nccl") for gpu in gpus) or _text(versions.get("nvidia-nccl-cu13")),
        "nvshmem": _joined(rank.get("nvshmem") for rank in ranks) or _text(versions.get("nvidia-nvshmem-cu13")),
        "git": _text(entry.get("git")),
        "note": _text(entry.get("variables", {}).get("COLLBENCH_NOTE")),
    }


def _text(value: object) -> str | None:
    """The value, which must be text or missing."""
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{value!r} is not text")


def _time(value: object) -> str | None:
    """The value, which must be a time in ISO 8601 or missing."""
    text = _text(value)
    if text:
        datetime.fromisoformat(text)
    return text or None


def _merged(facts: list[Facts]) -> Facts:
    return {**{name: _joined(each[name] for each in facts) for name in FACTS}, "started": facts[0]["started"]}


def _joined(values: Iterable[str | None]) -> str | None:
    """The distinct values, joined by commas; None if there are none."""
    return ", ".join(dict.fromkeys(value for value in values if value)) or None


def _cuda(version: int) -> str:
    """Major.minor of a version as CUDA numbers it: 13020 is 13.2."""
    return f"{version // 1000}.{version % 1000 // 10}"
