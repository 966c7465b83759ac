"""The command ``tune``: all candidates once, the best few again on fresh launches, and what wins into the table."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from collbench import registry, tables
from collbench.cli.tune import TuneGiven
from collbench.errors import Exit, UsageError
from collbench.host.gpus import gpu_missing
from collbench.measure.sweep import exit_code, topology_of
from collbench.plan.layout import Layout
from collbench.plan.sizes import DEFAULT_SIZES, format_size, parse_sizes
from collbench.plan.sweep import Sweep, contest_of, contests_text, workloads
from collbench.plan.worlds import layouts_for
from collbench.ranks import launcher
from collbench.ranks.start import launch_ranks, ranks_to_start
from collbench.registry import default_dtypes
from collbench.results.files import ResultFile, default_path, sidecar_path
from collbench.results.records import Record, load
from collbench.tune import finals
from collbench.tune import table as tuned
from collbench.tune.finals import Field, Verdict
from collbench.views import summary


class EndedEarlyError(Exception):
    """The ranks of a stage ended with ``code`` before all of its cases had a row."""

    def __init__(self, code: int, path: Path) -> None:
        super().__init__(
            f"The ranks ended early (code {code}); finished rows are in {path}, the table stays as it was."
        )
        self.code = code


@dataclass(frozen=True)
class Tuner:
    """One call of ``tune``: runs stages on ``ranks`` ranks, whose results are named after ``prefix``."""

    given: TuneGiven
    sweep: Sweep
    ranks: int
    prefix: Path

    def stage(self, number: int, field: Field, launches: int) -> tuple[Path, list[Record]]:
        """Run a sweep in which only the field of a workload competes; its file and rows. Raises ``EndedEarlyError``."""
        path = self.prefix.with_name(f"{self.prefix.name}-{number}.csv")
        ResultFile.create(path, force=False)
        contests = path.with_suffix(".contests.json")
        contests.write_text(contests_text(contest_of(work, names) for work, names in field.items()), encoding="utf-8")
        cases = sum(map(len, field.values()))
        click.echo(f"stage {number}: {cases} cases, launches: {launches}, results in {path}", err=True)
        code = launch_ranks(self.ranks, self._arguments(contests, path, launches), launches)
        records = [] if code == Exit.USAGE else load(path)
        # Remarks on rows that were timed matter in the finals; of all candidates they would be a flood.
        if reasons := summary.why_not(record for record in records if record.status != "ok" or launches > 1):
            click.echo(reasons, err=True)
        if code:
            raise EndedEarlyError(code, path)
        return path, records

    def _arguments(self, contests: Path, path: Path, launches: int) -> list[str]:
        """The command line of a stage's ranks."""
        given, sweep = self.given, self.sweep
        shapes = [f"{nodes}x{each}" for nodes, each in given.layout]
        options: dict[str, Iterable[object]] = {
            "--collective": sweep.collectives, "--sizes": sweep.sizes, "--dtype": sweep.dtypes, "--op": sweep.ops,
            "--ranks": given.ranks, "--gpus": given.gpus, "--nodes": given.nodes, "--layout": shapes,
            "--max-seconds": [given.max_seconds], "--launches": [launches], "--seed": [given.seed],
            "--timeout": [given.timeout], "--contests": [contests], "-o": [path],
        }  # fmt: skip
        words = ((option, ",".join(map(str, values))) for option, values in options.items())
        return ["sweep", *(word for option, value in words if value for word in (option, value)), "--resume"]


def run(given: TuneGiven) -> int:
    """Run the command; returns the exit code."""
    launch = launcher.detect(os.environ)
    if launch:
        raise UsageError(f"tune starts its own ranks, launch after launch; run it without {launch.name}, on one host.")
    sweep, topology = _sweep(given), topology_of(given)
    ranks = ranks_to_start(topology, bool(given.gpus))
    layouts, _ = layouts_for(topology, ["here"] * ranks)
    field = _field(given, sweep, layouts)
    if given.dry_run:
        click.echo(_preview(field, given.as_json))
        return Exit.FINE
    if registry.is_of_kernels(given.backend) and (reason := gpu_missing()):
        raise UsageError(f"{given.backend} cannot be tuned here: {reason}.")  # launch shapes are those of a GPU
    if reason := registry.find(given.backend).missing():
        raise UsageError(f"{given.backend} cannot run here: {reason}.")
    launcher.find_mpiexec()
    table = given.output or tuned.user_path()
    tuned.load(table)  # a table that cannot be read is better known now than in an hour
    unnamed = default_path(ranks)
    prefix = given.results or unnamed.with_name(f"{unnamed.stem}-tune")
    try:
        return _compete(Tuner(given, sweep, ranks, prefix), field, table)
    except EndedEarlyError as ended:
        click.echo(ended, err=True)
        return ended.code


def _compete(tuner: Tuner, field: Field, table: Path) -> int:
    """Both stages, the verdicts, the table."""
    given = tuner.given
    _, nominations = tuner.stage(1, field, 1)
    chosen = finals.finalists(field, nominations, given.finalists)
    path, rows = tuner.stage(2, chosen, given.launches) if chosen else (None, [])
    found = finals.verdicts(chosen, rows, given.launches)
    click.echo(finals.show(found, given.as_json))
    if path and found:
        new = _entries(given.backend, found, json.loads(sidecar_path(path).read_text(encoding="utf-8")))
        tuned.save(table, tuned.merge(tuned.load(table), new))
        click.echo(f"\n{len(found)} sizes in {table}", err=True)
    return exit_code([*nominations, *rows])


def _sweep(given: TuneGiven) -> Sweep:
    """What there is to tune for: the way of calling and the buffers of LLM decoding."""
    return Sweep(
        collectives=(given.collective,),
        backends=(given.backend,),
        sizes=given.sizes or parse_sizes(DEFAULT_SIZES),
        dtypes=given.dtype or default_dtypes([given.backend]),
        ops=given.op,
        modes=("chain",),
        caches=("hot",),
        in_place=(False,),
    )


def _field(given: TuneGiven, sweep: Sweep, layouts: tuple[Layout, ...]) -> Field:
    """All candidates of each workload where there is something to choose from."""
    backend = registry.find(given.backend)
    able = [work for work in workloads(sweep, layouts) if not work.refusal() and not backend.refuses(work)]
    field = {work: names for work in able if len(names := registry.candidates(backend, work)) > 1}
    if not field:
        refused = (work.refusal() or backend.refuses(work) for work in workloads(sweep, layouts))
        reason = next(filter(None, refused), "it has nothing to choose from for what was asked")
        raise UsageError(f"{given.backend} cannot be tuned: {reason}.")
    return field


def _preview(field: Field, as_json: bool) -> str:
    if as_json:
        return contests_text(contest_of(work, names) for work, names in field.items()).rstrip()
    table = [["size", "dtype", "op", "layout", "candidates", "default"]]
    for work, names in field.items():
        table.append([format_size(work.bytes), work.dtype.name, work.op, str(work.layout), str(len(names)), names[0]])
    return f"{tables.aligned(table)}\n\n{sum(map(len, field.values()))} cases to run once"


def _entries(backend: str, found: Sequence[Verdict], sidecar: dict[str, Any]) -> tuned.Table:
    """What was found, under the keys that the run's own files give."""
    last, kind = sidecar["launches"][-1], registry.find(backend).DEVICE
    entries: tuned.Table = {}
    for each in found:
        row = each.record
        key = tuned.key_of(
            backend, row.collective, row.dtype, row.op, row.nodes, row.gpus_per_node, row.fabric,
            last["ranks"][0][kind], last["versions"],
        )  # fmt: skip
        spec, us = (each.best, each.best_us) if each.replaces else (row.backend, each.default_us)
        choice = tuned.Choice(row.bytes, spec, us, row.backend, each.default_us, each.launches, row.run_id)
        entries = tuned.merge(entries, {key: (choice,)})
    return entries
