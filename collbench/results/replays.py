"""Results of replays: a CSV file with one row for each launch, backend and part of a replay."""

from __future__ import annotations

import csv
import dataclasses
import io
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from collbench.errors import UsageError
from collbench.results.lines import Value, lines_of, value_of

COMMUNICATION, STEP, LAYERS, HEAD, CHAIN, WITHOUT, SKEWED = (
    "communication",
    "step",
    "layers",
    "head",
    "chain",
    "without",
    "skewed",
)
PARTS = (COMMUNICATION, STEP, LAYERS, HEAD, CHAIN, WITHOUT, SKEWED)
COMPUTES = ("none", "spin", "gemm")


@dataclass(frozen=True)
class ReplayRecord:
    """One part of a replay in one launch; ``us_*`` are microseconds, over samples of the maximum over ranks.

    ``spec`` is the model on its engine, as in ``llm.spec``; ``tokens`` are those of the pass after padding. ``part``:
    COMMUNICATION, all collectives of a pass; STEP, the same with what is computed between them; LAYERS, what a stage
    computes in its ``count`` layers, and HEAD, in the head; CHAIN, one call of a collective that the pass runs
    ``count`` times over all stages; WITHOUT, the pass without that one; SKEWED, the pass, with compute if there is
    any, whose ranks are late by ``skew`` before each part that computes: ``first_late_us`` sums up by how much the
    first of a stage are, ``last_late_us`` the last.

    ``stage`` counts from 1, of a send that of the sender; None where a row is of all. ``bytes`` is the message, the
    larger of a rank's two buffers, ``ran_by`` the backend that runs the collective, which differs from ``backend``
    where that has it not. ``answers``: how many of the ``count`` calls have outputs that are judged, the last ones of
    a stage; ``wrong``: wrong elements.
    """

    run_id: str
    launch: int
    spec: str
    pass_kind: str
    tokens: int
    ranks: int
    nodes: int
    fabric: str
    compute: str
    spin_us: float | None
    backend: str
    part: str
    stage: int | None
    what: str
    collective: str
    dtype: str
    bytes: int | None
    hidden: int | None
    group_ranks: int | None
    group_nodes: int | None
    groups: int | None
    count: int
    ran_by: str
    params: str
    status: str
    reason: str
    samples: int | None = None
    us_median: float | None = None
    us_ci_low: float | None = None
    us_ci_high: float | None = None
    us_min: float | None = None
    us_p05: float | None = None
    us_p95: float | None = None
    us_max: float | None = None
    skew: str = ""
    first_late_us: float | None = None
    last_late_us: float | None = None
    answers: int | None = None
    wrong: int | None = None

    @property
    def setting(self) -> tuple[object, ...]:
        """What is equal in all rows that may be compared."""
        return self.spec, self.pass_kind, self.tokens, self.ranks, self.nodes, self.compute, self.spin_us

    @property
    def kind(self) -> tuple[object, ...]:
        """What identifies a collective of a replay; a send has a row for each of its stages."""
        return self.collective, self.dtype, self.bytes, self.hidden, self.group_ranks, self.what


COLUMNS = tuple(field.name for field in dataclasses.fields(ReplayRecord))
REQUIRED = {field.name for field in dataclasses.fields(ReplayRecord) if field.default is dataclasses.MISSING}


def _column_type(hint: Any) -> tuple[type, bool]:
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return (kinds[0], True) if kinds else (hint, False)


TYPES: Mapping[str, tuple[type, bool]] = MappingProxyType(
    {name: _column_type(hint) for name, hint in typing.get_type_hints(ReplayRecord).items()}
)


def dump(records: Iterable[ReplayRecord], header: bool = True) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(getattr(record, name)) for name in COLUMNS] for record in records)
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else " ".join(str(value).split())


def load(path: Path) -> list[ReplayRecord]:
    """The rows of a file that ``collbench llm replay`` wrote, which may lack columns that came later. Raises UsageError
    for any other file."""
    try:
        lines = lines_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from None
    header = lines[0].cells if lines else ()
    if not REQUIRED <= set(header) <= set(COLUMNS):
        raise UsageError(f"{path} was not written by collbench llm replay: its columns are others.")
    return [_record(f"{path}, line {line.number}", header, line.cells) for line in lines[1:]]


def _record(where: str, header: tuple[str, ...], cells: tuple[str, ...]) -> ReplayRecord:
    if len(cells) != len(header):
        raise UsageError(f"{where}: the row has {len(cells)} cells, not {len(header)}; is it cut off?")
    values: dict[str, Value] = {}
    for name, text in zip(header, cells, strict=True):
        try:
            values[name] = value_of(text, *TYPES[name])
        except ValueError as error:
            raise UsageError(f"{where}, column {name}: {error}; fix or remove the row.") from None
    record = ReplayRecord(**typing.cast("dict[str, Any]", values))
    if record.part not in PARTS or record.compute not in COMPUTES:
        raise UsageError(f"{where}: part {record.part!r} or compute {record.compute!r} is unknown; upgrade collbench.")
    return record
