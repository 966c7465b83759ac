"""The results file of an import: all logs are read before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collbench.errors import UsageError
from collbench.foreign.formats import read
from collbench.foreign.rows import Given, Imported, imported
from collbench.foreign.sidecar import text_of
from collbench.foreign.source import Source
from collbench.results.files import ResultFile, check_name, samples_path, sidecar_path, write_whole
from collbench.results.writing import replace_text


def write(sources: Sequence[Source], given: Given, path: Path, force: bool, argv: Sequence[str]) -> list[Imported]:
    """Write the rows of all files, their samples and the sidecar; the runs in the results file.

    Raises UsageError for a file that is not understood or given twice, where something is missing, and for an existing
    results file, unless ``force``.
    """
    check_name(path)
    ours = {each.resolve() for each in (path, sidecar_path(path), samples_path(path))}
    if clash := next((source.path for source in sources if source.path.resolve() in ours), None):
        raise UsageError(f"{clash} would be replaced by {path} or the files beside it; give another -o.")
    first: dict[str, Source] = {}
    for source in sources:
        if (other := first.setdefault(source.sha256, source)) is not source:
            raise UsageError(f"{other.path} and {source.path} have the same content; give one of them.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists; give another -o, or --force to replace it.")
    runs = imported([read(source) for source in sources], given)
    ResultFile.create(path, force)
    write_whole(path, [row for each in runs for row in each.rows])
    replace_text(sidecar_path(path), text_of(runs, argv))
    return runs
