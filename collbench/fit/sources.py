"""Sources of latencies by their text: ``csv:results/x.csv#nvrar``, ``fit:slingshot-11#nccl``, ``engine:vllm``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from collbench.errors import UsageError, pick
from collbench.fit.engines import Engine
from collbench.fit.estimate import Latencies
from collbench.fit.fitted import FittedRows
from collbench.fit.forecasts import GRAMMAR as FORECAST
from collbench.fit.forecasts import parse_forecast
from collbench.fit.measured import Measured, timed_cases
from collbench.fit.profiles import PROFILES, Profiled
from collbench.plan.layout import VIRTUAL
from collbench.results.footing import level
from collbench.results.records import Record, load
from collbench.results.selection import select

GRAMMAR = (
    "csv:FILE#BACKEND (measured), fit:FILE#BACKEND (a law fitted to it; in both ?COLUMN=VALUE,... after FILE selects "
    f"rows), fit:PROFILE#BACKEND (of {', '.join(PROFILES)}), engine:ENGINE, {FORECAST}"
)


def parse_source(text: str) -> Latencies:
    """The source that ``text`` names, as GRAMMAR has it. Raises UsageError for other text, and for a file without rows
    of the backend."""
    kind, sign, rest = text.partition(":")
    if not sign or not rest:
        raise UsageError(f"{text!r} is not a source of latencies; write {GRAMMAR}.")
    return _KINDS[pick("source of latencies", kind, _KINDS)](rest)


def _measured(text: str) -> Measured:
    return Measured(*rows_of(text))


def _fitted(text: str) -> Latencies:
    profile, _, backend = text.partition("#")
    if profile in PROFILES:
        return Profiled(profile, backend)
    if not profile.partition("?")[0].endswith(".csv"):
        pick("profile or results file", profile, PROFILES)
    return FittedRows(*rows_of(text))


def rows_of(text: str) -> tuple[tuple[Record, ...], str, str]:
    """The rows that ``FILE?COLUMN=VALUE,...#BACKEND`` selects, their backend, and the path of the file. Rows of virtual
    nodes and of ranks that are late are left out unless their fabric or skew is asked for. Raises UsageError for other
    text and where no row is left."""
    place, sign, backend = text.partition("#")
    path, _, query = place.partition("?")
    if not (sign and backend and path):
        raise UsageError(f"{text!r} names no backend; write FILE#BACKEND.")
    conditions = [_condition(part) for part in query.split(",") if part]
    records = level(load(Path(path)))
    kept = select([row for row in records if not row.is_job], conditions)
    if not kept:
        raise UsageError(f"{path} has no rows; run the sweep again.")
    pick(f"backend in {path}:", backend, {row.backend for row in kept})
    asked = {name for name, _ in conditions}
    kept = [row for row in kept if "fabric" in asked or not row.fabric.endswith(VIRTUAL)]
    kept = [row for row in kept if "skew" in asked or not row.skew]
    if not timed_cases(kept, backend):
        raise UsageError(
            f"{path} has no sound latency of {backend}; rows of virtual nodes and of --skew count only where they are "
            f"asked for, as in {path}?skew=20us#{backend}."
        )
    return tuple(kept), backend, path


def _condition(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"{text!r} is not a condition; write COLUMN=VALUE, for example mode=chain.")
    return name.strip(), value.strip()


_KINDS: Mapping[str, Callable[[str], Latencies]] = MappingProxyType({
    "csv": _measured, "fit": _fitted, "engine": Engine, "forecast": parse_forecast,
})  # fmt: skip
