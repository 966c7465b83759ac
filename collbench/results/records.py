"""Result rows, one per case and launch, and their CSV format."""

from __future__ import annotations

import csv
import dataclasses
import io
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collbench.errors import UsageError
from collbench.plan.layout import VIRTUAL
from collbench.plan.rms_norm import rows_words
from collbench.plan.sizes import format_size
from collbench.plan.skew import skew_words
from collbench.results.limits import flaw
from collbench.results.lines import Line, lines_of, other_separator, value_of

COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\3\4")  # gzip, bzip2, xz, zstd, zip
SAMPLES = ".samples.csv"  # the end of the name of the file of samples beside a results file
THROTTLED = "clocks throttled"  # in the reason of a row whose clocks were
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

    ``slowest_rank`` (of the launch), on ``slowest_host``, took longest in the fraction ``slowest_share`` of the
    samples, more often than chance allows, ``slowest_ratio`` times as long as the median of the others. None and ""
    where no rank stands out, and in files of earlier versions. ``pair``: the two hosts, joined by ``+``, of a row of
    ``sweep --pairs``, else "". ``hidden``: the elements in a row of the message where the collective normalises rows.
    ``groups``: how many groups of ``ranks`` ranks ran the case at the same time, where more than one; latencies are
    then over the ranks of all of them.

    ``skew``: how late ranks arrive, as in ``--skew``, "" where they arrive together. With it ``latency_us_*`` are from
    the arrival of the last rank, but for ``latency_us_mean``, of which each rank's time begins with its own arrival;
    ``first_us_median`` is from the arrival of the first rank, and bandwidths and ``bound_us``, which are of ranks that
    arrive together, are None.

    A row of another tool, from `collbench import`, has ``tool`` and ``statistic`` in ``params``, and is not proven.
    Its samples are means over ``calls``: with the slowest rank's, ``latency_us_median`` is that of its only sample; a
    tool's figure that is another one, such as a mean over ranks, is ``latency_us_mean``, with an empty median.
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
    slowest_rank: int | None = None
    slowest_host: str = ""
    slowest_share: float | None = None
    slowest_ratio: float | None = None
    pair: str = ""
    hidden: int | None = None
    groups: int | None = None
    skew: str = ""
    first_us_median: float | None = None

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
            self.fabric.endswith(VIRTUAL), self.pair, self.mode, self.in_place, self.cache, self.hidden,
            self.groups, self.skew, self.backend,
        )  # fmt: skip


# Columns that collbench.read adds to those of the file: derived ones, and facts from the sidecar.
ADDED = ("cache", "case_status", "source")
FACTS = ("started", "host", "gpu", "cpu", "driver", "cuda", "mpi", "nccl", "nvshmem", "git", "note")
INDEX = ("", "Unnamed: 0")  # the header of the index that DataFrame.to_csv writes by default
REPLAY = "pass_kind"  # a column of the files of llm replay alone
COLUMNS = tuple(field.name for field in dataclasses.fields(Record))
# Files of earlier versions lack these.
ADDED_LATER = (
    "slowest_rank", "slowest_host", "slowest_share", "slowest_ratio", "pair", "hidden", "groups", "skew",
    "first_us_median",
)  # fmt: skip
REQUIRED = tuple(name for name in COLUMNS if name not in ADDED_LATER)


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


def _check_header(path: Path, header: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in (*COLUMNS, *ADDED, *FACTS, *INDEX)]
    if sign := other_separator(header, COLUMNS[0]):
        raise UsageError(
            f"{path} has {sign} between its cells, as some spreadsheets write; save it with commas, and with points "
            "in numbers."
        )
    if REPLAY in header:
        raise UsageError(f"{path} has steps of `collbench llm replay`, not cases of a sweep; give a file of a sweep.")
    if missing:
        raise UsageError(
            f"{path} is not a results file of collbench: it has no column {missing[0]!r}; "
            "collbench import reads those of other tools."
        )
    if unknown:
        raise UsageError(
            f"{path} was written by a newer collbench: column {unknown[0]!r} is unknown; upgrade collbench."
        )


def parse(text: str, path: Path, drop_cut_row: bool = False) -> list[Record]:
    """Records in the text of a results file; ``path`` is for messages.

    What spreadsheets and pandas change is read: a byte-order mark, blank lines, ``20.0`` for a whole number, ``True``,
    and the columns that `collbench.read` adds, which are ignored. Raises UsageError for an empty file, a foreign or
    newer schema, a cell that is not valid or holds an impossible number, the same launch of a case twice, and a last
    row that is truncated (unless ``drop_cut_row``).
    """
    try:
        lines = lines_of(text)
    except csv.Error as error:
        raise UsageError(f"{path} is not a results file of collbench: {error}.") from None
    if not text:
        raise UsageError(f"{path} is empty: its run wrote no header; run the sweep again.")
    header, *rows = lines or [Line(1, ())]
    _check_header(path, header.cells)
    if rows and (len(rows[-1].cells) < len(header.cells) or not text.endswith("\n")):
        if not drop_cut_row:
            raise UsageError(
                f"{path}, line {rows[-1].number}: the last row is truncated; `collbench sweep --resume -o {path} ...` "
                "drops it and repeats its case."
            )
        rows.pop()
    places = {name: header.cells.index(name) for name in COLUMNS if name in header.cells}
    records = [_record(row, header, places, path) for row in rows]
    _check_once(records, rows, path)
    return records


def _record(line: Line, header: Line, places: Mapping[str, int], path: Path) -> Record:
    if len(line.cells) != len(header.cells):
        raise UsageError(
            f"{path}, line {line.number}: the row has {len(line.cells)} cells, the header {len(header.cells)}; "
            "fix the row."
        )
    cells: dict[str, Any] = {}
    for name, place in places.items():
        try:
            cells[name] = value_of(line.cells[place], *TYPES[name])
        except ValueError as error:
            raise UsageError(f"{path}, line {line.number}, column {name}: {error}; fix or remove the row.") from None
    record = Record(**cells)
    if words := flaw_of(record):
        raise UsageError(f"{path}, line {line.number}, {words}; fix or remove the row.")
    return record


def flaw_of(record: Record) -> str:
    """The first column that holds no number or an impossible one, and why; "" if there is none."""
    return flaw(vars(record), record.is_job)


def _check_once(records: Sequence[Record], lines: Sequence[Line], path: Path) -> None:
    """Raise UsageError if a launch of a case has two rows: they would pass for replicates."""
    first: dict[tuple[object, ...], int] = {}
    for record, line in zip(records, lines, strict=True):
        number = first.setdefault((record.launch, *record.identity), line.number)
        if number != line.number and not record.is_job:
            raise UsageError(
                f"{path}, lines {number} and {line.number}: launch {record.launch} of {case_words(record)} is there "
                "twice; keep one row of it, or one file for each run."
            )


def case_words(record: Record) -> str:
    """The case of a row for a message: backend, collective, size, ranks and mode."""
    kind = (record.collective, rows_words(record.hidden), record.dtype, record.op)
    what = " ".join(filter(None, (record.backend, *kind)))
    where = f"{record.ranks} rank{'s' * (record.ranks != 1)} on {record.nodes} node{'s' * (record.nodes != 1)}"
    where = f"{where} {record.pair}".rstrip()
    how = f"{record.mode}{' in place' if record.in_place else ''}{' cold' if record.cache == 'cold' else ''}"
    how = f"{how} {skew_words(record.skew)}".rstrip()
    return f"{what} {format_size(record.bytes)}, {where}, {how},"


def load(path: Path, drop_cut_row: bool = False) -> list[Record]:
    """Records of a results file; UsageError if it is not valid. ``drop_cut_row`` ignores a truncated last row, for a
    file that is still being written."""
    return parse(read(path), path, drop_cut_row)


def read(path: Path) -> str:
    """The text of a results file; UsageError if it cannot be read, or is the samples file of one."""
    if results := _results_of(path):
        raise UsageError(f"{path} holds the samples of a run; give its results file, {results}.")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; give the path of a results file.") from None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError) and error.object.startswith(COMPRESSED):
            raise UsageError(f"{path} is compressed; unpack it.") from None
        raise UsageError(f"{path} cannot be read as a results file: {error}.") from None


def _results_of(path: Path) -> Path | None:
    """The results file to which a samples file belongs; None for another file."""
    return path.with_name(path.name.removesuffix(SAMPLES) + ".csv") if path.name.endswith(SAMPLES) else None


def without_samples(paths: Iterable[Path]) -> list[Path]:
    """The paths without the samples files whose results file is among them."""
    given = list(paths)
    return [path for path in given if _results_of(path) not in given]


def load_all(paths: Iterable[Path]) -> dict[Record, Path]:
    """Records of several files in their order, each with its file; samples files beside their results file are ignored.

    Raises UsageError if two files contain the same case and launch.
    """
    rows = [(path, record) for path in without_samples(paths) for record in load(path)]
    if found := twice((str(path), (record.launch, *record.identity)) for path, record in rows if not record.is_job):
        raise UsageError(f"{' and '.join(found)} contain the same case; compare them with `collbench compare`.")
    return {record: path for path, record in rows}


def twice(keys: Iterable[tuple[str, tuple[object, ...]]]) -> tuple[str, str] | None:
    """Two sources that share a key, from pairs of source and key; None if each key has one source."""
    found: dict[tuple[object, ...], str] = {}
    for source, key in keys:
        other = found.setdefault(key, source)
        if other != source:
            return other, source
    return None


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
