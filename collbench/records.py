"""Results on disk: one CSV row per case and launch, written as it is known, never overwritten."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collbench.errors import UsageError, pick
from collbench.plan import Case

STATUSES = ("ok", "wrong", "failed", "skipped", "timeout")
VIRTUAL = "-virtual"
AGAIN = ", for the second time"


@dataclass(frozen=True)
class Record:
    """One row: what was run, what became of it, how long it took (microseconds) and how right it was.

    ``latency_us_*`` are over samples of the maximum over ranks, a sample being the mean of ``calls=`` calls (in
    ``params``); ``latency_us_mean`` is the mean over samples and ranks, the figure of nccl-tests. ``warmups`` counts
    samples. ``algbw_gb_s`` and ``busbw_gb_s`` are in 10**9 bytes per second;
    ``wire_bytes`` is what one rank sends, where the backend knows; ``bound_us`` a lower bound of the latency,
    where the link is known; ``error_units`` the largest error in units of u times the sum of magnitudes;
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
        """``params`` taken apart."""
        return dict(item.split("=", 1) for item in self.params.split(";") if "=" in item)

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two rows the same case: everything that was chosen, nothing that came out."""
        return (
            self.collective, self.dtype, self.op, self.bytes, self.ranks, self.nodes, self.gpus_per_node,
            self.fabric.endswith(VIRTUAL), self.mode, self.in_place, self.param.get("cache", "hot"), self.backend,
        )  # fmt: skip


COLUMNS = tuple(field.name for field in dataclasses.fields(Record))
_TYPES = typing.get_type_hints(Record)


def case_identity(case: Case) -> tuple[object, ...]:
    """The identity that the row of ``case`` will have."""
    work = case.workload
    layout = work.layout
    return (
        work.collective.name, work.dtype.name, work.op, work.bytes or work.size, layout.size, layout.node_count,
        layout.per_node, layout.virtual, work.mode, work.in_place, work.cache, case.backend,
    )  # fmt: skip


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("\r\n", "\n").replace("\r", "\n")  # a bare \r is not quoted, and reads as a line's end


def _parse(name: str, text: str) -> Any:
    wanted = _TYPES[name]
    if isinstance(wanted, types.UnionType):
        if text == "":
            return None
        wanted = next(kind for kind in wanted.__args__ if kind is not type(None))
    if wanted is bool:
        return {"true": True, "false": False}[text.lower()]
    return wanted(text)


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    if missing:
        raise UsageError(f"{path} is not a results file of collbench: it has no column {missing[0]!r}.")
    if unknown:
        raise UsageError(
            f"{path} was written by a newer collbench: column {unknown[0]!r} is unknown here; upgrade collbench."
        )


def _is_cut(text: str, row: list[str], header: list[str], last: bool) -> bool:
    return last and (len(row) != len(header) or not text.endswith("\n"))


def parse(text: str, path: Path, drop_cut_row: bool = False) -> list[Record]:
    """Records in the text of a results file; ``path`` is for messages.

    Raises UsageError for an empty file, a foreign or newer schema, a cell that does not parse, and a last row that
    is cut off (unless ``drop_cut_row``).
    """
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise UsageError(f"{path} is not a results file of collbench: {error}.") from None
    if not rows:
        raise UsageError(f"{path} is empty: the run that made it wrote no header; run the sweep again.")
    header, records = rows[0], []
    _check_header(path, header)
    for number, row in enumerate(rows[1:], start=2):
        if _is_cut(text, row, header, last=number == len(rows)):
            if drop_cut_row:
                break
            raise UsageError(
                f"{path}, line {number}: the last row is cut off; `collbench sweep --resume -o {path} ...` "
                "drops it and runs its case again."
            )
        if len(row) != len(header):
            raise UsageError(
                f"{path}, line {number}: a cell does not parse (there are {len(row)}, not {len(header)} cells)."
            )
        try:
            records.append(Record(**{name: _parse(name, row[header.index(name)]) for name in COLUMNS}))
        except (KeyError, ValueError, IndexError) as error:
            raise UsageError(f"{path}, line {number}: a cell does not parse ({error}).") from None
    return records


def load(path: Path) -> list[Record]:
    """Records of a results file; UsageError with what is wrong and what to do otherwise."""
    return parse(_read(path), path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a results file: {error}.") from None


def load_all(paths: Iterable[Path]) -> list[Record]:
    """Records of several files, one after another; UsageError where two files hold the same case and launch."""
    found: dict[tuple[object, ...], Path] = {}
    records = []
    for path in paths:
        rows = load(path)
        for key in {(row.launch, *row.identity) for row in rows}:
            other = found.setdefault(key, path)
            if other != path:
                raise UsageError(f"{other} and {path} hold the same case: `collbench compare` tells them apart.")
        records += rows
    return records


def select(records: Iterable[Record], conditions: Iterable[tuple[str, str]]) -> list[Record]:
    """Records whose columns, as the file writes them, have a wanted value; several for one column are alternatives."""
    wanted: dict[str, set[str]] = {}
    for name, value in conditions:
        wanted.setdefault(pick("column", name, COLUMNS), set()).add(value)
    found = [r for r in records if all(_cell(getattr(r, name)) in values for name, values in wanted.items())]
    if wanted and not found:
        raise UsageError(f"no row has {' and '.join(f'{k}={v}' for k, vs in wanted.items() for v in sorted(vs))}.")
    return found


def dump(records: Iterable[Record], header: bool = True) -> str:
    """CSV text of records."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    for record in records:
        writer.writerow([_cell(value) for value in dataclasses.astuple(record)])
    return out.getvalue()


def samples_path(path: Path) -> Path:
    """Where the samples behind ``path`` are kept."""
    return path.with_suffix(".samples.csv")


def sidecar_path(path: Path) -> Path:
    """Where the environment behind ``path`` is kept."""
    return path.with_suffix(".json")


def doing_path(path: Path) -> Path:
    """Where a run notes the case that it is at; gone when the case has its row."""
    return path.with_suffix(".doing")


@dataclass
class ResultFile:
    """An open run of ``rows`` rows: appends rows and their samples, each flushed to the disk at once.

    ``retried`` is the case in which an earlier job ended: it is tried once more.
    """

    path: Path
    rows: int = 0
    retried: tuple[object, ...] | None = None

    @classmethod
    def create(cls, path: Path, force: bool) -> ResultFile:
        """A new run at ``path``; UsageError where one exists already, unless ``force``."""
        if path.suffix != ".csv":
            raise UsageError(f"{path} does not end in .csv; its samples and sidecar are named after it.")
        taken = next((each for each in (path, samples_path(path), sidecar_path(path)) if each.exists()), None)
        if taken and not force:
            raise UsageError(f"{taken} exists; give another -o, --resume to go on with it, or --force to replace it.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dump(()), encoding="utf-8")
            samples_path(path).write_text("row,sample,latency_us\n", encoding="utf-8")
            for leftover in (sidecar_path(path), doing_path(path)):
                leftover.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}; give another -o.") from None
        return cls(path)

    @classmethod
    def resume(cls, path: Path) -> tuple[ResultFile, list[Record]]:
        """The run at ``path`` and its finished rows; a row that was cut off is dropped from the file."""
        text = _read(path)
        records = parse(text, path, drop_cut_row=True)
        if dump(records) != text:
            scratch = path.with_suffix(".csv.new")
            scratch.write_text(dump(records), encoding="utf-8")
            scratch.replace(path)
        _drop_samples(samples_path(path), len(records))
        file = cls(path, len(records))
        for record in parse(_read(doing_path(path)), doing_path(path), True) if doing_path(path).exists() else ():
            if record.reason.endswith(AGAIN):
                file.append(record)
                records.append(record)
            else:
                file.retried = (record.launch, *record.identity)
        return file, records

    def begin(self, record: Record) -> None:
        """Leave a note of what is being done: the row it gets if nobody lives to write another, twice in a row."""
        if (record.launch, *record.identity) == self.retried:
            record = dataclasses.replace(record, reason=f"{record.reason}{AGAIN}")
        doing_path(self.path).write_text(dump([record]), encoding="utf-8")

    def append(self, record: Record, samples_us: Iterable[float] = ()) -> None:
        """Write the samples behind a row, by its number from 0, then the row; both survive the process."""
        lines = (f"{self.rows},{index},{value:.3f}\n" for index, value in enumerate(samples_us))
        _append(samples_path(self.path), "".join(lines))
        _append(self.path, dump([record], header=False))
        doing_path(self.path).unlink(missing_ok=True)
        self.rows += 1


def _drop_samples(path: Path, rows: int) -> None:
    """Keep the samples of the first ``rows`` rows: later ones belong to a row that was never finished."""
    if not path.exists():
        return
    head, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
    kept = [line for line in lines if line.endswith("\n") and int(line.split(",")[0]) < rows]
    if kept != lines:
        scratch = path.with_suffix(".csv.new")
        scratch.write_text("".join([head, *kept]), encoding="utf-8")
        scratch.replace(path)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
