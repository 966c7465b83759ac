"""Series of nights as a CSV file with a row for each night and a column for each case, for tools that find change
points."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from collbench.plan.layout import VIRTUAL
from collbench.results.nights import VERSIONS, Night
from collbench.results.series import Series
from collbench.views.naming import words_of

ATTRIBUTES = ("commit", "machine", *VERSIONS)


def change_point_csv(nights: Sequence[Night], series: Sequence[Series]) -> str:
    """``time`` (UTC, ISO 8601), the attributes of a night, and for each series its latency in microseconds.

    It is the layout that the CSV importer of Apache Otava, formerly Hunter, reads: a time column, attributes, and a
    number in every cell of a metric, or the import fails (https://github.com/apache/otava, docs/CSV.md and
    ``CsvImporter`` in
    otava/importer.py, commit 2ac165c). A night without a point therefore repeats the point before it, and
    the nights before the first point that one, as Otava itself does for missing values from other sources
    (``fill_missing`` in otava/analysis.py). Latencies are better when lower: give the metrics ``direction: -1``. The
    name of a column depends on its case and machine alone.
    """
    used = [night for night in nights if any(point.night is night for each in series for point in each.points)]
    columns = [_filled(used, each) for each in series]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", *ATTRIBUTES, *map(column_of, series)])
    for place, night in enumerate(used):
        writer.writerow([night.time.isoformat(), *_attributes(night), *(column[place] for column in columns)])
    return out.getvalue()


def is_ours(path: Path) -> bool:
    """Whether a file begins as `change_point_csv` does, so that it may be replaced."""
    head = ",".join(("time", *ATTRIBUTES))
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(len(head)) == head


def _attributes(night: Night) -> list[str]:
    return [night.commit, night.machine, *(night.versions.get(name, "") for name in VERSIONS)]


def column_of(series: Series) -> str:
    """The name of a series' column: backend, bytes, the words of its case, and the machine, without blanks."""
    record = series.record
    virtual = "virtual" if record.fabric.endswith(VIRTUAL) else ""
    words = (record.backend, str(record.bytes), *words_of(replace(record, fabric=virtual)), series.machine)
    return ".".join(re.sub(r"[^A-Za-z0-9_:=@-]+", "_", word).strip("_") for word in words if word)


def _filled(nights: Iterable[Night], series: Series) -> list[float]:
    """The latency of each night, or that of the nearest earlier night that has one, else of the first."""
    known = {point.night.path: point.us for point in series.timed if point.us is not None}
    last = next(iter(known.values()))
    found = []
    for night in nights:
        last = known.get(night.path, last)
        found.append(last)
    return found
