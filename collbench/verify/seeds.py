"""Run the seeds of a trial in worker processes, which a faulty kernel may crash."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collbench import registry
from collbench.plan.layout import Layout

if TYPE_CHECKING:
    from collbench.verify.casts import Cast

BLOCK = 5  # seeds per task of a worker process
PER_CAST = 40  # seeds that share a cast, whose kernels a compiler takes seconds for


@dataclass(frozen=True)
class Trial:
    """One kernel on one layout, and the types, operations and sizes (bytes) that its seeds draw from."""

    backend: str
    layout: Layout
    dtypes: tuple[str, ...]
    ops: tuple[str, ...]
    sizes: tuple[int, ...]
    seeds: range


@dataclass(frozen=True)
class Result:
    """The result of some seeds: ``calls`` checked, ``status`` as in a results file, and of the first failure the seeds
    that reproduce it (``failed``), its description (``words``), and its scene and waits (``details``)."""

    calls: int
    failed: range = range(0)
    status: str = "ok"
    words: str = ""
    details: tuple[str, ...] = ()


def try_seeds(trial: Trial, seeds: Sequence[int]) -> Result:
    """Run these seeds up to the first that fails, in a worker process. The first seed of a trial also runs with a
    silent rank."""
    from collbench.errors import CannotRunError
    from collbench.kernels.sources import KernelError
    from collbench.verify.playing import run_scene
    from collbench.verify.scenes import draw_scene, with_silent_rank

    casts: dict[int, Cast] = {}
    calls = 0
    for seed in seeds:
        this, number = range(seed, seed + 1), seed // PER_CAST
        cast = casts.setdefault(number, casts.get(number) or _cast(trial, number))
        scene = draw_scene(cast, seed)
        runs = [scene]
        if seed == trial.seeds.start:
            runs.append(with_silent_rank(scene, seed % trial.layout.size))
        for each in runs:
            try:
                verdict = run_scene(each)
            except KernelError as error:
                return Result(calls, this, "failed", str(error))
            except (CannotRunError, MemoryError) as error:
                return Result(calls, this, "skipped", str(error))
            if verdict.wrong:
                status = "timeout" if verdict.hang else "wrong"
                return Result(calls, this, status, verdict.wrong, (str(each), *verdict.waits))
            calls += verdict.calls
    return Result(calls)


def _cast(trial: Trial, number: int) -> Cast:
    from collbench.verify.casts import cast_of

    kernel, ours = registry.kernel_of(trial.backend), map(registry.kernel_of, registry.own_kernels())
    assert kernel is not None, trial.backend
    others = [each for each in ours if each is not None]
    return cast_of(kernel, others, trial.layout, trial.dtypes, trial.ops, trial.sizes, number)


def run_trial(trial: Trial, patience: float) -> Iterator[Result]:
    """Run all seeds of a trial on all cores, and yield results; a crash or hang of a worker is a failure.

    A crash breaks the pool, and other blocks with it; these run again one at a time, up to the one that crashes.
    ``patience`` is in seconds without any result.
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
    """Each block with its result, None if a crash broke the pool first."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(try_seeds, trial, block): block for block in blocks}
        while waiting:
            done, _ = wait(waiting, timeout=patience, return_when=FIRST_COMPLETED)
            if not done:
                running = sorted(waiting.values(), key=min)[:workers]
                late = range(running[0].start, running[-1].stop)
                yield late, Result(0, late, "timeout", f"no answer in {patience:g} s")
                break
            for one in done:
                block = waiting.pop(one)
                yield block, None if isinstance(one.exception(), BrokenProcessPool) else one.result()
        for process in multiprocessing.active_children() if waiting else []:
            process.kill()
        # Waited for: at exit, Python 3.11 writes to the pipe of a thread that is just closing it.
        pool.shutdown(wait=True, cancel_futures=True)
