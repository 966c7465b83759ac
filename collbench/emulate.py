"""The command ``verify --emulate``: kernels under many seeds of the emulator, in processes that they may crash."""

from __future__ import annotations

import multiprocessing
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import product

import click

from collbench import prove, registry
from collbench.backends._kernels import KernelBackend
from collbench.errors import UsageError
from collbench.kernels import host_compiler
from collbench.kernels.files import find_kernels
from collbench.kernels.kernel import Kernel
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout, parse_layout
from collbench.plan.problem import Workload
from collbench.plan.worlds import Topology, layouts_for
from collbench.stories import Outcome
from collbench.verify_options import VerifyGiven

LAYOUTS = ("1x4", "2x2", "3x2", "7x1", "5x4")
# Bytes: one element, a cell with a tail, more than a round of all threads, and sizes that are no multiple of anything.
SIZES = (2, 4, 30, 1026, 2048, 4100)
BLOCK = 5  # seeds that a process tries before it reports


@dataclass(frozen=True)
class Trial:
    """One kernel on one layout, with what its seeds draw from."""

    backend: str
    layout: Layout
    dtypes: tuple[str, ...]
    ops: tuple[str, ...]
    sizes: tuple[int, ...]
    seeds: range


@dataclass(frozen=True)
class Result:
    """What came of some seeds: ``calls`` checked, and the seeds to play again to see the first that failed, how and
    why; ``status`` as in a record."""

    calls: int
    failed: range = range(0)
    status: str = "ok"
    words: str = ""
    story: tuple[str, ...] = ()


def try_seeds(trial: Trial, seeds: Sequence[int]) -> Result:
    """These seeds, up to the first that fails; runs in a process of its own. Seed 0 of a trial is told once more with a
    rank that never comes."""
    from collbench import emulation
    from collbench.errors import CannotRunError
    from collbench.kernels.sources import KernelError

    backend = registry.find(trial.backend)
    assert isinstance(backend, KernelBackend), trial.backend
    kernel = backend.kernel
    calls = 0
    for seed in seeds:
        this = range(seed, seed + 1)
        scene = emulation.draw_scene(trial.layout, seed, trial.dtypes, trial.ops, trial.sizes)
        scenes = [scene] + ([emulation.alone(scene, seed % trial.layout.size)] if seed == trial.seeds.start else [])
        for each in scenes:
            try:
                verdict = emulation.play(kernel, each)
            except KernelError as error:
                return Result(calls, this, "failed", str(error))
            except (CannotRunError, MemoryError) as error:
                return Result(calls, this, "skipped", str(error))
            if verdict.wrong:
                return Result(calls, this, "wrong", verdict.wrong, (str(each), *verdict.story))
            calls += verdict.calls
    return Result(calls)


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
    prove.report(found, given.as_json)
    for line in failures:
        click.echo(line, err=given.as_json)
    return prove.exit_code(found)


def tried(trial: Trial, patience: float) -> Iterator[Result]:
    """Results of all seeds of a trial, some at a time, on all cores; a process that dies or never ends is a failure.

    Who dies takes the others along: what was not done is done again, each block by itself, up to the one that dies.
    """
    blocks = [trial.seeds[at : at + BLOCK] for at in range(0, len(trial.seeds), BLOCK)]
    workers = min(len(blocks), len(os.sched_getaffinity(0)))
    lost: list[range] = []
    for block, found in _results(trial, blocks, workers, patience):
        if found:
            yield found
        else:
            lost.append(block)
    for block in sorted(lost, key=min):
        ((_, found),) = _results(trial, [block], 1, patience)
        yield found or Result(0, block, "wrong", "the process that ran it crashed")
        if not found:
            return


def _results(
    trial: Trial, blocks: Sequence[range], workers: int, patience: float
) -> Iterator[tuple[range, Result | None]]:
    """Each block with what came of it, None where the processes died before it was done."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(try_seeds, trial, block): block for block in blocks}
        while waiting:
            done, _ = wait(waiting, timeout=patience, return_when=FIRST_COMPLETED)
            if not done:
                running = sorted(waiting.values(), key=min)[:workers]
                late = range(running[0].start, running[-1].stop)
                yield late, Result(0, late, "wrong", f"no answer in {patience:g} s")
                break
            for one in done:
                block = waiting.pop(one)
                yield block, None if isinstance(one.exception(), BrokenProcessPool) else one.result()
        for process in multiprocessing.active_children() if waiting else []:
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)


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
