"""Result rows, one per case and launch, and their CSV format."""

from __future__ import annotations

import csv
import dataclasses
import io
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collbench.errors import UsageError, pick
from collbench.plan.layout import VIRTUAL

JOB = "(job)"  # the backend of a row that describes a job, not a case


@dataclass(frozen=True)
class Record:
    """One row: a case, its status, latencies (microseconds) and correctness.

    ``latency_us_*`` are over samples of the maximum over ranks, a sample being the mean of ``calls=`` calls (in
    ``params``); ``latency_us_mean`` is the mean over samples and ranks, the figure of nccl-tests. ``warmups`` counts
    samples. ``algbw_gb_s`` and ``busbw_gb_s`` are in 10**9 bytes per second;
    ``wire_bytes`` is what one rank sends, None if unknown; ``bound_us`` a lower bound of the latency, None
    if the link is unknown; ``error_units`` the largest error in units of u times the sum of magnitudes;
    ``wrong`` the number of wrong elements.
    """

    run_id: str
    launch: int
    collective: str
    backend: str
    dtype: str
    op: str
    bytes: int
    count: int
    ranks: int
    nodes: int
    gpus_per_node: int | None
    fabric: str
    mode: str
    in_place: bool
    params: str
    status: str
    reason: str
    samples: int | None = None
    warmups: int | None = None
    latency_us_median: float | None = None
    latency_us_ci_low: float | None = None
    latency_us_ci_high: float | None = None
    latency_us_mean: float | None = None
    latency_us_min: float | None = None
    latency_us_p05: float | None = None
    latency_us_p95: float | None = None
    latency_us_p99: float | None = None
    latency_us_max: float | None = None
    algbw_gb_s: float | None = None
    busbw_gb_s: float | None = None
    wire_bytes: float | None = None
    bound_us: float | None = None
    error_units: float | None = None
    wrong: int | None = None

    @property
    def param(self) -> dict[str, str]:
        """``params`` as a dictionary."""
        return dict(item.split("=", 1) for item in self.params.split(";") if "=" in item)

    @property
    def cache(self) -> str:
        """``hot`` if buffers stay in the cache, ``cold`` if the cache is flushed before their use."""
        return self.param.get("cache", "hot")

    @property
    def is_job(self) -> bool:
        """Whether the row describes a job that did not finish, not a case."""
        return self.backend == JOB

    @property
    def identity(self) -> tuple[object, ...]:
        """The key of the case: equal for its rows of all launches; chosen values only, no measured ones."""
        return (
            self.collective, self.dtype, self.op, self.bytes, self.ranks, self.nodes, self.gpus_per_node,
            self.fabric.endswith(VIRTUAL), self.mode, self.in_place, self.cache, self.backend,
        )  # fmt: skip


COLUMNS = tuple(field.name for field in dataclasses.fields(Record))


def _column_type(hint: Any) -> tuple[type, bool]:
    if isinstance(hint, types.UnionType):
        return next(kind for kind in hint.__args__ if kind is not type(None)), True
    return hint, False


# For each column: the type of its values, and whether a cell may be empty.
TYPES: Mapping[str, tuple[type, bool]] = {
    name: _column_type(hint) for name, hint in typing.get_type_hints(Record).items()
}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return (
        str(value).replace("\r\n", "\n").replace("\r", "\n")
    )  # csv does not quote a bare \r, which reads as a line break


def _parse(name: str, text: str) -> Any:
    kind, may_be_empty = TYPES[name]
    if may_be_empty and text == "":
        return None
    if kind is bool:
        return {"true": True, "false": False}[text.lower()]
    return kind(text)


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    if missing:
        raise UsageError(f"{path} is not a results file of collbench: it has no column {missing[0]!r}.")
    if unknown:
        raise UsageError(
            f"{path} was written by a newer collbench: column {unknown[0]!r} is unknown; upgrade collbench."
        )


def _is_cut(text: str, row: list[str], header: list[str], last: bool) -> bool:
    return last and (len(row) != len(header) or not text.endswith("\n"))


def parse(text: str, path: Path, drop_cut_row: bool = False) -> list[Record]:
    """Records in the text of a results file; ``path`` is for messages.

    Raises UsageError for an empty file, a foreign or newer schema, a cell that is not valid, and a last row that
    is truncated (unless ``drop_cut_row``).
    """
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise UsageError(f"{path} is not a results file of collbench: {error}.") from None
    if not rows:
        raise UsageError(f"{path} is empty: its run wrote no header; run the sweep again.")
    header, records = rows[0], []
    _check_header(path, header)
    for number, row in enumerate(rows[1:], start=2):
        if _is_cut(text, row, header, last=number == len(rows)):
            if drop_cut_row:
                break
            raise UsageError(
                f"{path}, line {number}: the last row is truncated; `collbench sweep --resume -o {path} ...` "
                "drops it and repeats its case."
            )
        if len(row) != len(header):
            raise UsageError(
                f"{path}, line {number}: the row has {len(row)} cells, the header {len(header)}; fix the row."
            )
        try:
            records.append(Record(**{name: _parse(name, row[header.index(name)]) for name in COLUMNS}))
        except (KeyError, ValueError, IndexError) as error:
            raise UsageError(f"{path}, line {number}: a cell is not valid ({error}); fix or remove the row.") from None
    return records


def load(path: Path, drop_cut_row: bool = False) -> list[Record]:
    """Records of a results file; UsageError if it is not valid. ``drop_cut_row`` ignores a truncated last row, for a
    file that is still being written."""
    return parse(read(path), path, drop_cut_row)


def read(path: Path) -> str:
    """The text of a results file; UsageError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; give the path of a results file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a results file: {error}.") from None


def load_all(paths: Iterable[Path]) -> list[Record]:
    """Records of several files, in their order; UsageError if two of them contain the same case and launch."""
    rows = [(str(path), record) for path in paths for record in load(path)]
    if found := twice((source, (record.launch, *record.identity)) for source, record in rows if not record.is_job):
        raise UsageError(f"{' and '.join(found)} contain the same case; compare them with `collbench compare`.")
    return [record for _, record in rows]


def twice(keys: Iterable[tuple[str, tuple[object, ...]]]) -> tuple[str, str] | None:
    """Two sources that share a key, from pairs of source and key; None if each key has one source."""
    found: dict[tuple[object, ...], str] = {}
    for source, key in keys:
        other = found.setdefault(key, source)
        if other != source:
            return other, source
    return None


def select(records: Iterable[Record], conditions: Iterable[tuple[str, str]]) -> list[Record]:
    """Records that match (column, value) conditions, values as in the file; several on one column are alternatives."""
    wanted: dict[str, set[str]] = {}
    for name, value in conditions:
        wanted.setdefault(pick("column", name, COLUMNS), set()).add(value)
    found = [r for r in records if all(_cell(getattr(r, name)) in values for name, values in wanted.items())]
    if wanted and not found:
        raise UsageError(f"no row has {' and '.join(f'{k}={v}' for k, vs in wanted.items() for v in sorted(vs))}.")
    return found


def jobs(records: Iterable[Record]) -> list[str]:
    """Status and reason of the jobs that did not finish, without repeats."""
    return list(dict.fromkeys(f"{record.status}: {record.reason}" for record in records if record.is_job))


def dump(records: Iterable[Record], header: bool = True) -> str:
    """CSV text of records."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    for record in records:
        writer.writerow([_cell(value) for value in dataclasses.astuple(record)])
    return out.getvalue()
