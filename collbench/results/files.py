"""Results on disk: rows and their samples, written as soon as they are known, overwritten only on request."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError
from collbench.results.records import Record, dump, parse, read
from collbench.results.samples import sample_lines
from collbench.results.writing import append_text, replace_text, writing

SCHEMA = 1  # of the sidecar
ENDED = "the job ended"
LONGEST_NAME = 240  # bytes; those beside it have a longer name, and file systems allow 255
AGAIN = ", for the second time"
HEAD = "row,sample,latency_us\n"


def samples_path(path: Path) -> Path:
    """Path of the samples of the results file ``path``."""
    return path.with_suffix(".samples.csv")


def sidecar_path(path: Path) -> Path:
    """Path of the sidecar of the results file ``path``: its environment, as JSON."""
    return path.with_suffix(".json")


def doing_path(path: Path) -> Path:
    """Path of the note that holds the cases in progress; empty between cases, removed when the launch is complete."""
    return path.with_suffix(".doing")


def check_name(path: Path) -> None:
    """Raise UsageError where ``path`` cannot name a results file and the files beside it."""
    if path.suffix != ".csv" or path.stem.endswith(".samples"):
        raise UsageError(f"{path} does not name a results file: it ends in .csv, but not in .samples.csv.")
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise UsageError(f"{path} has too long a name; the files beside it have longer ones.")


def _how_to_go_on(path: Path, taken: Path) -> str:
    if taken == path:
        return f"{taken} exists; give another -o, --resume to continue it, or --force to replace it."
    return f"{taken} exists, but {path} does not; restore it, give another -o, or --force to begin anew."


def _check_sidecar(path: Path) -> None:
    """Raise UsageError where a file of the sidecar's name is something else, which must not be replaced."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a damaged one may be replaced
        return
    except OSError as error:
        raise UsageError(f"{path} cannot be replaced: {error.strerror}; move it, or give another -o.") from None
    if not (isinstance(content, dict) and "launches" in content):
        raise UsageError(f"{path} is not a sidecar of collbench and would be replaced; move it, or give another -o.")


def _remove(path: Path) -> None:
    with writing(path):
        path.unlink(missing_ok=True)


def ended_job(record: Record) -> bool:
    """Whether the case ended its job: it hung, its ranks crashed, or one of them raised an error."""
    return record.status == "timeout" or (record.status == "failed" and ENDED in record.reason)


def in_progress(path: Path) -> list[Record]:
    """The cases in progress in the results file ``path``, as the rows that they get if the job ends in them twice; []
    between cases."""
    note = doing_path(path)
    return parse(read(note), note, True) if note.exists() and note.stat().st_size else []


def explain(path: Path, why: str) -> None:
    """Add why the job ended to the reasons of the cases in progress in the results file ``path``."""
    noted = in_progress(path)
    again = [AGAIN if record.reason.endswith(AGAIN) else "" for record in noted]
    reasons = (f"{record.reason.removesuffix(end)}: {why}{end}" for record, end in zip(noted, again, strict=True))
    if noted:
        records = [dataclasses.replace(record, reason=words) for record, words in zip(noted, reasons, strict=True)]
        replace_text(doing_path(path), dump(records))


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


def renew(path: Path) -> list[Record]:
    """The finished rows of the results file ``path``; a truncated last row is dropped from it, and columns that an
    earlier version did not write are added. Raises UsageError if it is not valid."""
    text = read(path)
    records = parse(text, path, drop_cut_row=True)
    if dump(records) != text:
        replace_text(path, dump(records))
    return records


@dataclass
class ResultFile:
    """An open results file of ``rows`` rows; appends rows and their samples, each synced to disk at once.

    ``retried`` identifies the cases in progress when an earlier job ended: they are retried once.
    """

    path: Path
    rows: int = 0
    retried: frozenset[tuple[object, ...]] = frozenset()

    @classmethod
    def create(cls, path: Path, force: bool) -> ResultFile:
        """A new results file at ``path``; UsageError if one exists, unless ``force``."""
        check_name(path)
        taken = next((each for each in (path, samples_path(path), sidecar_path(path)) if each.exists()), None)
        if taken and not force:
            raise UsageError(_how_to_go_on(path, taken))
        _check_sidecar(sidecar_path(path))
        for leftover in (sidecar_path(path), doing_path(path)):
            _remove(leftover)
        replace_text(samples_path(path), HEAD)
        replace_text(path, dump(()))
        return cls(path)

    @classmethod
    def resume(cls, path: Path) -> tuple[ResultFile, list[Record]]:
        """The results file at ``path`` and its finished rows, renewed."""
        records = renew(path)
        if not samples_path(path).exists():
            replace_text(samples_path(path), HEAD)
        _drop_samples(samples_path(path), len(records))
        file = cls(path, len(records))
        noted = in_progress(path)
        given_up = [record for record in noted if record.reason.endswith(AGAIN)]
        for record in given_up:
            file.append(record)
        file.retried = frozenset((each.launch, *each.identity) for each in noted if each not in given_up)
        return file, [*records, *given_up]

    def begin(self, records: Iterable[Record]) -> None:
        """Note the cases in progress as ``records``, the rows that they get if the job ends in them twice."""
        replace_text(doing_path(self.path), dump(map(self._noted, records)))

    def _noted(self, record: Record) -> Record:
        again = AGAIN if (record.launch, *record.identity) in self.retried else ""
        return dataclasses.replace(record, reason=f"{record.reason}{again}")

    def append(self, record: Record, samples_us: Iterable[float] = ()) -> None:
        """Append a row after its samples (microseconds), both synced to disk; the note of its case is cleared."""
        append_text(samples_path(self.path), "".join(_sample_lines(self.rows, samples_us)))
        append_text(self.path, dump([record], header=False))
        self.rows += 1
        if doing_path(self.path).exists():
            left = [each for each in in_progress(self.path) if each.identity != record.identity]
            replace_text(doing_path(self.path), dump(left) if left else "")

    def clear(self) -> None:
        """Note that no case is in progress, though the launch is not complete."""
        replace_text(doing_path(self.path), "")

    def start(self) -> None:
        """Begin a launch: create the note, whose existence marks the launch as incomplete."""
        doing_path(self.path).touch()

    def end(self) -> None:
        """End the launch: remove the note."""
        _remove(doing_path(self.path))


class Tail:
    """The rows of a results file that another process appends to, as they arrive."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def new(self) -> list[Record]:
        """The complete rows since the last call, all of them at first."""
        text = read(self._path)
        end = text.rfind("\n") + 1
        head, body = text[: text.find("\n") + 1], text[max(self._read, text.find("\n") + 1) : end]
        self._read = end
        return parse(head + body, self._path, drop_cut_row=True) if body else []


def _drop_samples(path: Path, rows: int) -> None:
    """Keep the samples of the first ``rows`` rows; later ones belong to an unfinished row."""
    if path.exists():
        replace_text(path, "".join([HEAD, *(line.text for line in sample_lines(path) if line.row < rows)]))


def default_path(ranks: int | None) -> Path:
    """The default results file: ``results/``, named by time, machine and, if known, ranks."""
    shape = f"-{ranks}r" if ranks else ""
    return Path("results") / f"{time.strftime('%Y%m%dT%H%M%S')}-{platform.node()}{shape}.csv"
