"""The command ``verify --emulate``: kernels under many seeds of the emulator, in processes that they may crash."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from itertools import product

import click

from collbench import registry
from collbench.backends._kernels import KernelBackend
from collbench.cli.verify import VerifyGiven
from collbench.errors import UsageError
from collbench.kernels import host_compiler
from collbench.kernels.files import find_kernels
from collbench.kernels.kernel import Kernel
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout, parse_layout
from collbench.plan.problem import Workload
from collbench.plan.worlds import Topology, layouts_for
from collbench.verify import outcomes
from collbench.verify.outcomes import Outcome
from collbench.verify.seeds import Result, Trial, tried

LAYOUTS = ("1x4", "2x2", "3x2", "7x1", "5x4")
# Bytes: one element, a cell with a tail, more than a round of all threads, and sizes that are no multiple of anything.
SIZES = (2, 4, 30, 1026, 2048, 4100)


def trials(given: VerifyGiven, topology: Topology) -> Iterator[Trial | Outcome]:
    """What to try, and what cannot be."""
    if given.collective != ("all_reduce",):
        raise UsageError("--emulate proves kernels, and these are all_reduce; leave --collective away.")
    if given.story or given.gpus or given.nodes:
        raise UsageError("--emulate takes --layout or --ranks, and seeds instead of --story; leave the others away.")
    if topology == Topology((), (), ()):
        topology = Topology((), (), tuple(map(parse_layout, LAYOUTS)))
    ranks = max([nodes * each for nodes, each in topology.layouts] + [*topology.ranks, 2])
    layouts, misfits = layouts_for(topology, ["here"] * ranks)
    for misfit in misfits:
        click.echo(f"collbench: left out: {misfit}", err=True)
    for name in given.backend or find_kernels():
        for layout in layouts:
            yield _trial(given, name, layout)


def _trial(given: VerifyGiven, name: str, layout: Layout) -> Trial | Outcome:
    backend = registry.find(name)
    if not isinstance(backend, KernelBackend):
        reason = backend.missing() if isinstance(backend, registry.Unusable) else None
        return _outcome(name, layout, given, "skipped", reason or f"{name} is no kernel file; the emulator runs those")
    able = {each: _refusal(backend.kernel, layout, *each) for each in _wanted(given, backend.kernel)}
    runs = [each for each, reason in able.items() if reason is None]
    reason = host_compiler.missing() or (None if runs else next(filter(None, able.values()), "nothing to run"))
    if reason:
        return _outcome(name, layout, given, "skipped", reason)
    dtypes, ops, sizes = (tuple(dict.fromkeys(each)) for each in zip(*runs, strict=True))
    return Trial(name, layout, dtypes, ops, sizes, range(given.seed, given.seed + given.seeds))


def _wanted(given: VerifyGiven, kernel: Kernel) -> Iterator[tuple[str, str, int]]:
    """Types, operations and sizes; a size that its header rules out for one type is left out for all."""
    dtypes, most = given.dtype or kernel.file.dtypes, kernel.file.max_bytes
    sizes = [size for size in given.sizes or SIZES if not (most and size > most)]
    return product(dtypes, given.op, sizes or given.sizes or SIZES)


def _refusal(kernel: Kernel, layout: Layout, dtype: str, op: str, size: int) -> str | None:
    work = Workload(layout, COLLECTIVES["all_reduce"], DTYPES[dtype], op, size, "chain", "hot", False)
    return work.refusal() or kernel.refuses(work)


def _outcome(name: str, layout: Layout, given: VerifyGiven, status: str, reason: str, calls: int = 0) -> Outcome:
    dtypes = ", ".join(given.dtype or ("all types",))
    story = f"{given.seeds} seeds"
    ops = ", ".join(given.op)
    return Outcome(str(layout), layout.size, name, "", "all_reduce", dtypes, ops, story, calls, status, reason, 0)


def run(given: VerifyGiven, topology: Topology) -> int:
    """Run the command; returns the exit code."""
    found: list[Outcome] = []
    failures: list[str] = []
    for each in trials(given, topology):
        if isinstance(each, Trial):
            results = list(tried(each, given.timeout))
            found.append(_judged(each, given, results))
            failures += _told(each, given, results)
            print(f"{each.backend} on {each.layout}: {found[-1].status}", file=sys.stderr, flush=True)
        else:
            found.append(each)
    outcomes.report(found, given.as_json)
    for line in failures:
        click.echo(line, err=given.as_json)
    return outcomes.exit_code(found)


def _seeds(some: range) -> str:
    return f"seed {some[0]}" if len(some) == 1 else f"seeds {some[0]} to {some[-1]}"


def _first_failure(results: Sequence[Result]) -> Result | None:
    return min((each for each in results if each.failed), key=lambda each: each.failed.start, default=None)


def _judged(trial: Trial, given: VerifyGiven, results: Sequence[Result]) -> Outcome:
    calls, first = sum(each.calls for each in results), _first_failure(results)
    if not first:
        return _outcome(trial.backend, trial.layout, given, "ok", "", calls)
    reason = f"{_seeds(first.failed)}: {first.words}" if first.status == "wrong" else first.words
    return _outcome(trial.backend, trial.layout, given, first.status, reason, calls)


def _told(trial: Trial, given: VerifyGiven, results: Sequence[Result]) -> list[str]:
    """The story of the first seed that failed, and how to see it again."""
    first = _first_failure(results)
    if not first or first.status != "wrong":
        return []
    told = [f"{trial.backend}, {trial.layout}, {_seeds(first.failed)}: {first.words}"]
    told += [f"  {line}" for line in first.story]
    return [*told, f"  again: {_again(trial, given, first.failed)}", ""]


def _again(trial: Trial, given: VerifyGiven, seeds: range) -> str:
    layout = f"{trial.layout.node_count}x{trial.layout.per_node}"
    words = ["collbench", "verify", "--emulate", "--backend", trial.backend, "--layout", layout]
    words += ["--dtype", ",".join(given.dtype)] if given.dtype else []
    words += ["--op", ",".join(given.op)] if given.op != ("sum",) else []
    words += ["--sizes", ",".join(map(str, given.sizes))] if given.sizes else []
    return shlex.join([*words, "--seed", str(seeds[0]), "--seeds", str(len(seeds))])
