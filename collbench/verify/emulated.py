"""The command ``verify --emulate``: run kernels under many seeds of the emulator and collect the outcomes."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from collbench import registry
from collbench.errors import UsageError
from collbench.kernels import host_compiler
from collbench.kernels.files import find_kernels
from collbench.kernels.host_compiler import EMULATED
from collbench.kernels.kernel import Kernel
from collbench.kernels.sources import KernelError
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import MOST_RANKS, Layout, parse_layout
from collbench.plan.problem import Problem
from collbench.plan.worlds import Topology, layouts_for
from collbench.tables import counted
from collbench.verify.casts import HIDDEN
from collbench.verify.outcomes import Outcome
from collbench.verify.seeds import Result, Trial, run_trial

# Up to three steps between nodes, nodes beyond a power of two, and enough ranks that receive their cells in parts.
LAYOUTS = ("1x6", "2x2", "3x2", "6x1", "8x1", "5x4")
FOUND = ("wrong", "timeout")  # statuses of a seed that reproduces a mistake of the kernel
# In bytes: one element, a cell with a tail, several rounds of all threads, several tiles, and sizes without alignment.
SIZES = (2, 4, 30, 1026, 2048, 4100, 20502)


@dataclass(frozen=True)
class EmulateRequest:
    """The options of ``verify --emulate``. None stands for all kernels (``backends``), of any collective
    (``collectives``), for the types and operations that each declares (``dtypes``, ``ops``), and for SIZES (``sizes``,
    in bytes); ``timeout`` is in seconds per block of ``seeds``."""

    topology: Topology
    backends: tuple[str, ...] | None
    collectives: tuple[str, ...] | None
    dtypes: tuple[str, ...] | None
    ops: tuple[str, ...] | None
    sizes: tuple[int, ...] | None
    seeds: range
    timeout: float


@dataclass(frozen=True)
class Emulated:
    """The result: an outcome per kernel and layout, and lines of text that explain each failure."""

    outcomes: tuple[Outcome, ...]
    failures: tuple[str, ...]


def trials(request: EmulateRequest) -> Iterator[Trial | Outcome]:
    """A trial for each kernel and layout, or the outcome ``skipped`` or ``failed`` where it cannot run.

    Raises UsageError for worlds that fit no memory.
    """
    topology = request.topology
    if topology == Topology():
        topology = Topology(layouts=tuple(map(parse_layout, LAYOUTS)))
    ranks = max([nodes * each for nodes, each in topology.layouts] + [*topology.ranks, 2])
    if ranks > MOST_RANKS:
        raise UsageError(f"{ranks} ranks are more than {MOST_RANKS}; give fewer.")
    layouts, misfits = layouts_for(topology, ["here"] * ranks)
    for misfit in misfits:
        print(f"collbench: skipped: {misfit}", file=sys.stderr)
    for name in request.backends or _kernels_of(request):
        for layout in layouts:
            yield _trial(request, name, layout)


def _kernels_of(request: EmulateRequest) -> list[str]:
    """The kernels of the collectives asked for; raises UsageError where there are none."""
    kernels = {name: registry.kernel_of(name) for name in find_kernels()}
    wanted = request.collectives
    found = [name for name, one in kernels.items() if not (wanted and one) or one.file.collective in wanted]
    if not found:
        raise UsageError(f"no kernel implements {', '.join(wanted or ())}; the emulator runs kernels only.")
    return found


def _trial(request: EmulateRequest, name: str, layout: Layout) -> Trial | Outcome:
    kernel = registry.kernel_of(name)
    if kernel is None:
        backend = registry.find(name)
        reason = backend.missing() if isinstance(backend, registry.Unusable) else None
        words = reason or f"{name} is not a kernel file; the emulator runs kernel files only"
        return _outcome(name, layout, request, "skipped", words)
    if request.collectives and kernel.file.collective not in request.collectives:
        words = f"{name} implements {kernel.file.collective}, not {' or '.join(request.collectives)}"
        return _outcome(name, layout, request, "skipped", words)
    able = {each: _refusal(kernel, layout, *each) for each in _wanted(request, kernel)}
    runs = [each for each, reason in able.items() if reason is None]
    reason = host_compiler.missing() or (None if runs else next(filter(None, able.values()), "nothing to run"))
    if reason:
        return _outcome(name, layout, request, "skipped", reason)
    if broken := _broken_compiler():
        return _outcome(name, layout, request, "failed", broken)
    dtypes, ops, sizes = (tuple(dict.fromkeys(each)) for each in zip(*runs, strict=True))
    return Trial(name, layout, dtypes, ops, sizes, request.seeds)


@functools.cache
def _broken_compiler() -> str | None:
    """Why the compiler cannot make the emulator itself, or None; asked once, before each worker process would ask."""
    try:
        host_compiler.runtime_library(EMULATED)
    except KernelError as error:
        return str(error)
    return None


def _wanted(request: EmulateRequest, kernel: Kernel) -> Iterator[tuple[str, str, int]]:
    """Types, operations and sizes to run, without sizes above the kernel's ``max_bytes``."""
    dtypes, most = request.dtypes or kernel.file.dtypes, kernel.file.max_bytes
    sizes = [size for size in request.sizes or SIZES if not (most and size > most)]
    reduces = COLLECTIVES[kernel.file.collective].reduces
    return product(dtypes, (request.ops or kernel.file.ops) if reduces else ("",), sizes or request.sizes or SIZES)


def _refusal(kernel: Kernel, layout: Layout, dtype: str, op: str, size: int) -> str | None:
    what = COLLECTIVES[kernel.file.collective]
    problem = Problem(layout, what, DTYPES[dtype], op if what.reduces else "", size, "chain", "hot", False,
                      HIDDEN[0] if what.normalises else 0)  # fmt: skip
    return problem.refusal() or kernel.refuses(problem)


def _outcome(name: str, layout: Layout, request: EmulateRequest, status: str, reason: str, calls: int = 0) -> Outcome:
    dtypes = ", ".join(request.dtypes or ("all types",))
    story = counted(len(request.seeds), "seed")
    ops = ", ".join(request.ops or ("all operations",))
    return Outcome(str(layout), layout.size, name, "", _collective(name), dtypes, ops, story, calls, status, reason, 0)


def _collective(name: str) -> str:
    """The collective of a kernel; all_reduce for what is none."""
    kernel = registry.kernel_of(name)
    return kernel.file.collective if kernel else "all_reduce"


def run(request: EmulateRequest) -> Emulated:
    """Run every kernel on every layout; print a line on stderr for each."""
    found: list[Outcome] = []
    failures: list[str] = []
    for each in trials(request):
        if isinstance(each, Trial):
            results = list(run_trial(each, request.timeout))
            found.append(_outcome_of(each, request, results))
            failures += _explanation(each, request, results)
            print(f"{each.backend} on {each.layout}: {found[-1].status}", file=sys.stderr, flush=True)
        else:
            found.append(each)
    return Emulated(tuple(found), tuple(failures))


def _seeds(some: range) -> str:
    return f"seed {some[0]}" if len(some) == 1 else f"seeds {some[0]} to {some[-1]}"


def _first_failure(results: Sequence[Result]) -> Result | None:
    return min((each for each in results if each.failed), key=lambda each: each.failed.start, default=None)


def _outcome_of(trial: Trial, request: EmulateRequest, results: Sequence[Result]) -> Outcome:
    calls, first = sum(each.calls for each in results), _first_failure(results)
    if not first:
        return _outcome(trial.backend, trial.layout, request, "ok", "", calls)
    reason = f"{_seeds(first.failed)}: {first.words}" if first.status in FOUND else first.words
    return _outcome(trial.backend, trial.layout, request, first.status, reason, calls)


def _explanation(trial: Trial, request: EmulateRequest, results: Sequence[Result]) -> list[str]:
    """Lines about the first seed that failed: its scene, which rank waited for which, and a command to reproduce it."""
    first = _first_failure(results)
    if not first or first.status not in FOUND:
        return []
    lines = [f"{trial.backend}, {trial.layout}, {_seeds(first.failed)}: {first.words}"]
    lines += [f"  {line}" for line in first.details]
    return [*lines, f"  reproduce: {_command(trial, request, first.failed)}", ""]


def _command(trial: Trial, request: EmulateRequest, seeds: range) -> str:
    layout = f"{trial.layout.node_count}x{trial.layout.per_node}"
    words = ["collbench", "verify", "--emulate", "--backend", trial.backend, "--layout", layout]
    words += ["--dtype", ",".join(request.dtypes)] if request.dtypes else []
    words += ["--op", ",".join(request.ops)] if request.ops else []
    words += ["--sizes", ",".join(map(str, request.sizes))] if request.sizes else []
    return shlex.join([*words, "--seed", str(seeds[0]), "--seeds", str(len(seeds))])
