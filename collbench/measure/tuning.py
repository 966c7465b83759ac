"""Tuning: times all candidates once, the fastest again on fresh launches, and records the winners in the table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from collbench import registry
from collbench.errors import UsageError, exit_of
from collbench.host.gpus import gpu_missing
from collbench.measure.goal import Fixed
from collbench.measure.progress import Progress
from collbench.measure.request import SweepRequest
from collbench.measure.sweep import Ended, on_own_ranks
from collbench.plan.layout import Layout
from collbench.plan.sweep import Sweep, contest_of, contests_text, problems
from collbench.plan.worlds import Topology, layouts_for
from collbench.ranks.mpiexec import find_mpiexec
from collbench.results.files import ResultFile, samples_path, sidecar_path
from collbench.results.records import Record
from collbench.results.writing import replace_text
from collbench.tables import counted
from collbench.tune import finals
from collbench.tune import table as tuned
from collbench.tune.finals import Field, Verdict
from collbench.views import summary


@dataclass(frozen=True)
class TuneRequest:
    """One call of ``tune``.

    ``sweep`` holds the problems, the time limit per case and the seed; its only backend is the one to tune. The
    ``finalists`` fastest candidates of each problem are measured again on ``launches`` fresh launches. Results are
    named after ``prefix``; winners are written to ``table``.
    """

    sweep: Sweep
    topology: Topology
    ranks: int
    finalists: int
    launches: int
    prefix: Path
    table: Path

    @property
    def backend(self) -> str:
        """The backend to tune."""
        return self.sweep.backends[0]

    def stage_path(self, number: int) -> Path:
        """The results file of a stage, 1 or 2."""
        return self.prefix.with_name(f"{self.prefix.name}-{number}.csv")


@dataclass(frozen=True)
class Tuned:
    """The outcome of tuning: exit code, verdicts, and a sentence where the ranks ended early."""

    code: int
    verdicts: tuple[Verdict, ...] = ()
    cut_short: str = ""


class EndedEarlyError(Exception):
    """The ranks of a stage ended before all of its cases had a row."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(f"{ended.why} Finished rows are in {ended.path}, and the table is unchanged.".lstrip())
        self.code = ended.code


def check(request: TuneRequest) -> None:
    """Raise UsageError where the backend cannot run here, a results file exists or the table cannot be read, before
    anything is measured."""
    backend = request.backend
    if registry.is_of_kernels(backend) and (reason := gpu_missing()):
        raise UsageError(f"{backend} cannot be tuned here: {reason}.")  # launch shapes are those of a GPU
    if reason := registry.find(backend).missing():
        raise UsageError(f"{backend} cannot run here: {reason}.")
    find_mpiexec()
    tuned.load(request.table)
    paths = [request.stage_path(number) for number in (1, 2)]
    files = (each for path in paths for each in (path, samples_path(path), sidecar_path(path)))
    if taken := next((each for each in files if each.exists()), None):
        raise UsageError(f"{taken} exists; give another --results.")


def run(request: TuneRequest, field: Field) -> Tuned:
    """Run both stages; returns the verdicts and writes the winners to the table."""
    try:
        _, nominations = _stage(request, 1, field, 1)
        chosen = finals.finalists(field, nominations, request.finalists)
        path, rows = _stage(request, 2, chosen, request.launches) if chosen else (None, [])
    except EndedEarlyError as ended:
        return Tuned(ended.code, cut_short=str(ended))
    found = finals.verdicts(chosen, rows, request.launches)
    if path and found:
        new = _entries(request.backend, found, json.loads(sidecar_path(path).read_text(encoding="utf-8")))
        tuned.save(request.table, tuned.merge(tuned.load(request.table), new))
    return Tuned(exit_of({record.status for record in (*nominations, *rows)}), tuple(found))


def _stage(request: TuneRequest, number: int, field: Field, launches: int) -> tuple[Path, list[Record]]:
    """Run a sweep of the candidates in ``field``; returns its file and rows. Raises EndedEarlyError."""
    path = request.stage_path(number)
    ResultFile.create(path, force=False)
    listed = tuple(contest_of(problem, names) for problem, names in field.items())
    contests = path.with_suffix(".contests.json")
    replace_text(contests, contests_text(listed))
    cases, fresh = counted(sum(map(len, field.values())), "case"), "launches" if launches > 1 else "launch"
    click.echo(f"stage {number}: {cases}, {launches} {fresh}, results in {path}", err=True)
    sweep = replace(request.sweep, launches=launches, contests=listed)
    stage = SweepRequest(sweep, Fixed(launches), request.topology, path, resume=True, mixed=False, force=False, argv=())
    progress = Progress(quiet=False)
    ended = on_own_ranks(stage, request.ranks, progress, _arguments(request, contests, launches))
    progress.end()
    records = list(ended.records or ())
    # Remarks on timed rows matter in the finals; those of all candidates would be too many.
    reasons = summary.why_not(record for record in records if record.status != "ok" or launches > 1)
    if reasons:
        click.echo("\n".join(reasons), err=True)
    if ended.records is None or ended.why:
        raise EndedEarlyError(ended)
    return path, records


def _arguments(request: TuneRequest, contests: Path, launches: int) -> list[str]:
    """The command line of a stage's ranks."""
    sweep, topology = request.sweep, request.topology
    shapes = [f"{nodes}x{each}" for nodes, each in topology.layouts]
    options: dict[str, Iterable[object]] = {
        "--collective": sweep.collectives, "--sizes": sweep.sizes, "--dtype": sweep.dtypes, "--op": sweep.ops,
        "--gpus" if topology.on_gpus else "--ranks": topology.ranks, "--nodes": topology.nodes, "--layout": shapes,
        "--max-seconds": [sweep.max_seconds], "--launches": [launches], "--seed": [sweep.seed],
        "--timeout": [sweep.timeout], "--contests": [contests],
    }  # fmt: skip
    words = ((option, ",".join(map(str, values))) for option, values in options.items())
    return ["sweep", *(word for option, value in words if value for word in (option, value))]


def field_of(request: TuneRequest) -> Field:
    """The candidates of each problem that has several; raises UsageError where no problem has."""
    layouts, _ = layouts_for(request.topology, ["here"] * request.ranks)
    backend = registry.find(request.backend)
    able = [
        problem
        for problem in problems(request.sweep, layouts)
        if not problem.refusal() and not backend.refuses(problem)
    ]
    field = {problem: names for problem in able if len(names := registry.candidates(backend, problem)) > 1}
    if not field:
        raise UsageError(f"{request.backend} cannot be tuned: {_nothing_to_choose(request, layouts)}.")
    return field


def _nothing_to_choose(request: TuneRequest, layouts: tuple[Layout, ...]) -> str:
    backend = registry.find(request.backend)
    refused = (problem.refusal() or backend.refuses(problem) for problem in problems(request.sweep, layouts))
    return next(filter(None, refused), "it has only one candidate for each problem")


def _entries(backend: str, found: Sequence[Verdict], sidecar: dict[str, Any]) -> tuned.Table:
    """The verdicts as a table, under the keys that the sidecar of the run gives."""
    last, kind = sidecar["launches"][-1], registry.find(backend).DEVICE
    entries: tuned.Table = {}
    for each in found:
        row = each.record
        key = tuned.key_of(
            backend, row.collective, row.dtype, row.op, row.nodes, row.gpus_per_node, row.fabric,
            last["ranks"][0][kind], last["versions"], row.hidden or 0,
        )  # fmt: skip
        spec, us = (each.best, each.best_us) if each.replaces else (row.backend, each.default_us)
        choice = tuned.Choice(row.bytes, spec, us, row.backend, each.default_us, each.launches, row.run_id)
        entries = tuned.merge(entries, {key: (choice,)})
    return entries
