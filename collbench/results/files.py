"""Results on disk: rows and their samples, written as soon as they are known, overwritten only on request."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError
from collbench.results.records import Record, dump, parse, read
from collbench.results.samples import sample_lines
from collbench.results.writing import append_text, replace_text

SCHEMA = 1  # of the sidecar
AGAIN = ", for the second time"
HEAD = "row,sample,latency_us\n"


def samples_path(path: Path) -> Path:
    """Path of the samples of the results file ``path``."""
    return path.with_suffix(".samples.csv")


def sidecar_path(path: Path) -> Path:
    """Path of the sidecar of the results file ``path``: its environment, as JSON."""
    return path.with_suffix(".json")


def doing_path(path: Path) -> Path:
    """Path of the note that holds the case in progress; empty between cases, removed when the launch is complete."""
    return path.with_suffix(".doing")


def load_samples(path: Path) -> dict[int, list[float]]:
    """Samples (microseconds) of the rows of ``path``, by row number from 0; {} if there are none.

    Raises UsageError for a samples file that cannot be read."""
    found: dict[int, list[float]] = {}
    if samples_path(path).exists():
        for line in sample_lines(samples_path(path)):
            found.setdefault(line.row, []).append(line.latency_us)
    return found


def write_whole(path: Path, rows: Sequence[tuple[Record, Sequence[float]]]) -> None:
    """Write a results file and its samples from ``rows`` (record, samples in microseconds), replacing existing ones."""
    samples = [HEAD, *(line for number, (_, values) in enumerate(rows) for line in _sample_lines(number, values))]
    for target, text in ((samples_path(path), "".join(samples)), (path, dump(record for record, _ in rows))):
        replace_text(target, text)


def _sample_lines(row: int, samples_us: Iterable[float]) -> Iterator[str]:
    return (f"{row},{index},{value:.3f}\n" for index, value in enumerate(samples_us))


@dataclass
class ResultFile:
    """An open results file of ``rows`` rows; appends rows and their samples, each synced to disk at once.

    ``retried`` identifies the case in progress when an earlier job died: it is retried once.
    """

    path: Path
    rows: int = 0
    retried: tuple[object, ...] | None = None

    @classmethod
    def create(cls, path: Path, force: bool) -> ResultFile:
        """A new results file at ``path``; UsageError if one exists, unless ``force``."""
        if path.suffix != ".csv":
            raise UsageError(f"{path} does not end in .csv; its samples and sidecar are named after it.")
        taken = next((each for each in (path, samples_path(path), sidecar_path(path)) if each.exists()), None)
        if taken and not force:
            raise UsageError(f"{taken} exists; give another -o, --resume to continue it, or --force to replace it.")
        replace_text(samples_path(path), HEAD)
        replace_text(path, dump(()))
        for leftover in (sidecar_path(path), doing_path(path)):
            leftover.unlink(missing_ok=True)
        return cls(path)

    @classmethod
    def resume(cls, path: Path) -> tuple[ResultFile, list[Record]]:
        """The results file at ``path`` and its finished rows; a truncated last row is dropped from the file."""
        text = read(path)
        records = parse(text, path, drop_cut_row=True)
        if dump(records) != text:
            replace_text(path, dump(records))
        _drop_samples(samples_path(path), len(records))
        file = cls(path, len(records))
        for record in _noted(doing_path(path)):
            if record.reason.endswith(AGAIN):
                file.append(record)
                records.append(record)
            else:
                file.retried = (record.launch, *record.identity)
        return file, records

    def begin(self, record: Record) -> None:
        """Note the case in progress as ``record``, the row that it gets if the job dies in it twice."""
        if (record.launch, *record.identity) == self.retried:
            record = dataclasses.replace(record, reason=f"{record.reason}{AGAIN}")
        replace_text(doing_path(self.path), dump([record]))

    def append(self, record: Record, samples_us: Iterable[float] = ()) -> None:
        """Append a row after its samples (microseconds), both synced to disk; the note of the case is cleared."""
        append_text(samples_path(self.path), "".join(_sample_lines(self.rows, samples_us)))
        append_text(self.path, dump([record], header=False))
        if doing_path(self.path).exists():
            replace_text(doing_path(self.path), "")
        self.rows += 1

    def start(self) -> None:
        """Begin a launch: create the note, whose existence marks the launch as incomplete."""
        doing_path(self.path).touch()

    def end(self) -> None:
        """End the launch: remove the note."""
        doing_path(self.path).unlink(missing_ok=True)


def _noted(path: Path) -> list[Record]:
    """The case in a note; [] if it is missing or empty."""
    return parse(read(path), path, True) if path.exists() and path.stat().st_size else []


def _drop_samples(path: Path, rows: int) -> None:
    """Keep the samples of the first ``rows`` rows; later ones belong to an unfinished row."""
    if path.exists():
        replace_text(path, "".join([HEAD, *(line.text for line in sample_lines(path) if line.row < rows)]))


def default_path(ranks: int | None) -> Path:
    """The default results file: ``results/``, named by time, machine and, if known, ranks."""
    shape = f"-{ranks}r" if ranks else ""
    return Path("results") / f"{time.strftime('%Y%m%dT%H%M%S')}-{platform.node()}{shape}.csv"
