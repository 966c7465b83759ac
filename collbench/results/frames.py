"""Conversion of results files to one tidy pandas DataFrame, and of such a frame to records."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from collbench.errors import UsageError
from collbench.results.cases import cases
from collbench.results.facts import facts_of_rows
from collbench.results.lines import value_of
from collbench.results.records import (
    ADDED,
    COLUMNS,
    FACTS,
    REPLAY,
    REQUIRED,
    SAMPLES,
    TYPES,
    Record,
    flaw_of,
    load,
    twice,
    without_samples,
)

Source = str | Path
# No categories: grouping by several would add combinations that were never measured.
_DTYPES = {str: "string", bool: "bool", float: "float64", int: "int64"}
DTYPES: Mapping[str, str] = {
    **{name: "Int64" if (kind, empty) == (int, True) else _DTYPES[kind] for name, (kind, empty) in TYPES.items()},
    **dict.fromkeys((*ADDED, *FACTS), "string"),
    "started": "datetime64[ns, UTC]",
}


def read(*sources: Source | Iterable[Source], sidecar: bool = False) -> pd.DataFrame:
    """Results files as one DataFrame, one row per case and launch, in the order of the files.

    Args:
        sources: paths, folders (their ``*.csv``) and globs, or iterables of them. ``*.samples.csv`` are
            ignored; other CSV files in a folder or glob that are not results files are skipped with a warning.
        sidecar: also add facts of each launch from the sidecars: ``started`` (datetime64, UTC), and as strings
            ``host``, ``gpu``, ``cpu``, ``driver`` (the newest CUDA that it runs), ``cuda`` (the runtime), ``mpi``,
            ``nccl``, ``nvshmem``, ``git``; missing where a file has no sidecar, or the sidecar no such fact.

    Returns:
        The columns of the file, in its units (``latency_us_*`` in microseconds, ``*_gb_s`` in 10**9 bytes per second,
        ``bytes`` in bytes), then ``cache`` (hot or cold), ``case_status`` and ``source`` (the path as given or found).
        Text is ``string``; counts are ``int64``, or ``Int64`` where a cell may be empty (``gpus_per_node``,
        ``samples``, ``warmups``, ``wrong``, ``slowest_rank``, ``hidden``, ``groups``); other numbers are ``float64``
        with NaN for an empty cell; ``in_place`` is ``bool``. ``status`` is that of one launch, ``case_status`` that of
        the case over all its launches in the file; use latencies only where it is ``ok``. ``slowest_*`` are empty where
        no rank stands out, and in files of earlier versions, ``hidden`` where a message has no rows, ``groups`` where
        there is one group, ``skew`` and ``first_us_median`` where ranks arrive together: take rows of one skew at a
        time.

    Two runs may contain the same case: ``run_id`` and ``source`` distinguish them, and `compare` and `plot` take the
    rows of one run at a time. Raises UsageError if two files contain the same launch of the same run, such as a file
    and its copy; if no file is found; and for a file that is not a results file, is truncated, or is of a newer
    collbench.

    Example:
        >>> df = read("results/cpu-4ranks.csv")
        >>> df.groupby("backend").latency_us_median.min().round(1).to_dict()
        {'mpi': 72.0, 'mpi-nvrar': 106.2}
    """
    found = _found(sources)
    for path in found.foreign:
        warnings.warn(f"{path} is not a results file of collbench; skipped.", stacklevel=2)
    loaded = {path: load(Path(path)) for path in found.ours}
    if not loaded:
        raise UsageError("found no results file to read; give files, folders or globs such as results/*.csv.")
    keys = ((source, (row.run_id, row.launch, *row.identity)) for source, rows in loaded.items() for row in rows)
    if same := twice(keys):
        raise UsageError(f"{' and '.join(same)} contain the same launch of the same run; read only one of them.")
    parts = [_with_facts(frame_of(rows, source), source, sidecar) for source, rows in loaded.items()]
    return pd.concat(parts, ignore_index=True)


def frame_of(records: Sequence[Record], source: str = "") -> pd.DataFrame:
    """The frame of the rows of one file, with the columns of `read`."""
    statuses = {case.record.identity: case.status for case in cases(records)}
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in records] for name in COLUMNS}
    columns["cache"] = [row.cache for row in records]
    columns["case_status"] = [statuses.get(row.identity, row.status) for row in records]
    columns["source"] = [source] * len(records)
    return pd.DataFrame({name: pd.Series(values, dtype=DTYPES[name]) for name, values in columns.items()})


def records_of(frame: pd.DataFrame) -> list[Record]:
    """The records of the rows of a frame from `read`; rows may be a selection, and added columns are ignored.

    Raises UsageError for a frame that lacks a column of a results file or a required cell, for a number that is
    impossible, and for the same launch of the same case twice.
    """
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise UsageError(f"the frame has no column {missing[0]!r}; pass rows of a frame from collbench.read.")
    names = [name for name in COLUMNS if name in frame.columns]
    rows = zip(*(_values(frame, name) for name in names), strict=True)
    records = [Record(**dict(zip(names, cells, strict=True))) for cells in rows]
    if words := next(filter(None, map(flaw_of, records)), ""):
        raise UsageError(f"the frame, {words}; fix or remove the row.")
    _check_once(records, frame["source" if "source" in frame.columns else "run_id"].astype(str).tolist())
    return records


def _values(frame: pd.DataFrame, name: str) -> list[Any]:
    empty = frame[name].isna()
    if empty.any() and not TYPES[name][1]:
        raise UsageError(f"column {name!r} of the frame has an empty cell; pass rows of a frame from collbench.read.")
    cells = zip(frame[name].tolist(), empty, strict=True)
    try:  # as text, since a frame may hold 20.0 for 20 and "false" for False
        return [None if gone else value_of(str(value), *TYPES[name]) for value, gone in cells]
    except ValueError as error:
        raise UsageError(f"the frame, column {name}: {error}; fix or remove the row.") from None


def _check_once(records: Sequence[Record], sources: Sequence[str]) -> None:
    rows = [(source, row) for source, row in zip(sources, records, strict=True) if not row.is_job]
    if same := twice((source, (row.launch, *row.identity)) for source, row in rows):
        raise UsageError(
            f"{' and '.join(same)} contain the same case; pass the rows of one, as in df[df.source == {same[0]!r}], "
            "or compare the two."
        )
    if len({(row.launch, *row.identity) for _, row in rows}) < len(rows):
        raise UsageError(
            "the frame contains a launch of a case twice; remove the copies, for example with df.drop_duplicates()."
        )


@dataclass(frozen=True)
class Found:
    """Paths of results files, and of other CSV files in the same folders and globs."""

    ours: tuple[str, ...]
    foreign: tuple[str, ...] = ()


def _found(sources: Iterable[Source | Iterable[Source]]) -> Found:
    """The files that ``sources`` name, without repeats."""
    given = [each for source in sources for each in ([source] if isinstance(source, Source) else source)]
    parts = [_files(str(source)) for source in without_samples(map(Path, given))]
    ours = {Path(path).resolve(): path for part in parts for path in part.ours}
    return Found(tuple(ours.values()), tuple(dict.fromkeys(path for part in parts for path in part.foreign)))


def _files(source: str) -> Found:
    if os.path.isdir(source):
        return _sorted_out(map(str, Path(source).glob("*.csv")))
    if os.path.exists(source) or not glob.has_magic(source):
        return Found((source,))
    matches = glob.glob(source, recursive=True)
    if not matches:
        raise UsageError(f"{source} matches no file; give the path of a results file, or another glob.")
    return _sorted_out(matches)


def _sorted_out(paths: Iterable[str]) -> Found:
    """CSV files except those of samples and of replays, split into results files and others."""
    names = sorted(path for path in paths if path.endswith(".csv") and not path.endswith(SAMPLES))
    heads = {path: _head(path) for path in names if not os.path.isdir(path)}
    tables = {path: head for path, head in heads.items() if REPLAY not in head}
    ours = tuple(path for path, head in tables.items() if not head or COLUMNS[0] in head)
    return Found(ours, tuple(path for path in tables if path not in ours))


def _head(path: str) -> list[str]:
    """The columns in the header. None of an empty file, which a run that died at once leaves, and of one that cannot be
    opened: reading it says why."""
    try:
        with Path(path).open(encoding="utf-8-sig", errors="replace") as file:
            return [name for name in re.split(r"[,;\t]", file.readline().rstrip("\r\n")) if name]
    except OSError:
        return []


def _with_facts(frame: pd.DataFrame, source: str, sidecar: bool) -> pd.DataFrame:
    """The frame with the facts of each launch from the sidecar of its file, if ``sidecar``."""
    if not sidecar:
        return frame
    facts = facts_of_rows(Path(source), zip(frame["launch"], frame["backend"], frame["run_id"], strict=True))
    found = {name: [each.get(name) for each in facts] for name in FACTS}
    texts = {name: pd.Series(values, dtype="string") for name, values in found.items()}
    started = pd.to_datetime(texts["started"], utc=True, format="ISO8601")
    started = pd.to_datetime(texts["started"], utc=True, format="ISO8601")
    return frame.assign(**{**texts, "started": started.astype("datetime64[ns, UTC]")})
