"""The command ``llm replay``."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collbench.cli import forms, params
from collbench.cli.groups import Group
from collbench.errors import UsageError
from collbench.llm.spec import Spec, parse_spec
from collbench.plan.skew import Skew, parse_skews
from collbench.printer.forms import Form, printed

if TYPE_CHECKING:
    from collbench.replay.replay import Ended
    from collbench.replay.request import ReplayRequest

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3}
LONGEST_SPIN = 1.0


def parse_spin(text: str) -> float:
    """Seconds from a time such as ``10us`` or ``1.5ms``; UsageError for any other text."""
    unit = next((unit for unit in UNITS if text.endswith(unit)), "")
    try:
        seconds = float(text.removesuffix(unit)) * UNITS[unit]
    except (KeyError, ValueError):
        raise UsageError(f"{text!r} is not a time; write a number and its unit, such as 10us.") from None
    if not 0 < seconds <= LONGEST_SPIN:
        raise UsageError(f"a spin of {text} is not above 0 and at most 1 s.")
    return seconds


def with_none(skews: tuple[Skew, ...]) -> tuple[Skew, ...]:
    """These skews, and none at all, which the others are compared with; () for ()."""
    return tuple(dict.fromkeys((Skew(0), *skews))) if skews else ()


@dataclass(frozen=True)
class What:
    """The options that say what is replayed."""

    which: str
    backend: tuple[str, ...] | None
    rest: str | None
    compute: str
    spin: float | None
    skew: tuple[Skew, ...]


@dataclass(frozen=True)
class How:
    """The options of the measurement."""

    warmup: int
    samples: int | None
    max_seconds: float
    launches: int


@dataclass(frozen=True)
class Target:
    """The options for the results file."""

    output: Path | None
    force: bool
    resume: bool

    @property
    def path(self) -> Path:
        """The results file, without symlinks. Raises UsageError for options that contradict each other."""
        named = f"{time.strftime('%Y%m%dT%H%M%S')}-{platform.node()}-replay.csv"
        return params.results_file(self.output, self.force, self.resume) or Path("results") / named


what = Group("what", What, [
    click.option("--pass", "which", type=click.Choice(("decode", "prefill")), default="decode", show_default=True,
                 help="A decode step, or a prefill; with chunk=N in SPEC its largest chunk."),
    click.option("--backend", type=params.BACKENDS, help="Backends to replay it with.  [default: nccl,nccl-symm,nvrar, "
                 "or on CPU ranks mpi]"),
    click.option("--rest", type=params.Parsed("backend", params.backend_spec, params.backend_names),
                 help="Backend that runs the collectives that one of --backend has not.  [default: nccl, on CPU ranks "
                 "mpi]"),
    click.option("--compute", type=click.Choice(("none", "spin", "gemm")), default="none", show_default=True,
                 help="What stands between the collectives: nothing, a spin, or the model's matrix products."),
    click.option("--spin", type=params.Parsed("time", parse_spin), metavar="TIME",
                 help="Length of each spin of --compute spin: for the attention and the MLP of each layer, and the "
                 "head.  [default: 10us]"),
    click.option("--skew", type=params.Parsed("TIME[:RANK],...", parse_skews), default=(), metavar="TIME[:RANK],...",
                 help="Also with ranks that are late before each attention, each MLP and the head: each by a random "
                 "time up to this, or where a rank is given that one alone, by just this."),
])  # fmt: skip
how = Group("how", How, [
    click.option("--warmup", default=10, show_default=True, type=click.IntRange(min=0),
                 help="Minimum number of calls before timing."),
    click.option("--samples", type=click.IntRange(min=1), help="Samples per part.  [default: until the median is known "
                 "to 1 %]"),
    click.option("--max-seconds", default=1.0, show_default=True, type=params.POSITIVE,
                 help="Time limit for the samples of one part, in seconds."),
    click.option("--launches", default=1, show_default=True, type=click.IntRange(min=1),
                 help="Independent launches, recorded in one file."),
])  # fmt: skip
target = Group("target", Target, [
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Results file.  "
                 "[default: results/<time>-<machine>-replay.csv]"),
    click.option("--force", is_flag=True, help="Replace the results file."),
    click.option("--resume", is_flag=True, help="Add launches to the results file."),
])  # fmt: skip


@click.command(short_help="Time the collectives of a decode step in their order.")
@click.argument("spec", type=params.Parsed("spec", parse_spec))
@what
@how
@params.ordering
@target
@forms.form
@click.option("--quiet", is_flag=True, help="Do not report progress.")
@click.pass_context
def replay(
    context: click.Context, spec: Spec, what: What, how: How, ordering: params.OrderingOptions, target: Target,
    form: forms.FormOptions, quiet: bool,
) -> None:  # fmt: skip
    """Time the collectives of one pass of SPEC in their order, as one CUDA graph on each rank, and prove the answers.

    SPEC is a model on an engine, such as llama-3.1-70b:tp=8:batch=8:fuse-norms, with the options of `collbench llm
    steps` as keys. Prints microseconds a pass in communication beside the sum of the latencies of its collectives.
    On a machine without GPUs, CPU ranks do the same in host memory.
    """
    from collbench.cli.ranks import ranks_for
    from collbench.plan.worlds import Topology
    from collbench.replay.replay import on_own_ranks, on_these_ranks

    request = request_of(spec, what, how, ordering, target)
    ranks = ranks_for(Topology(ranks=(request.ranks,)))
    if ranks.started_by:
        ended = on_these_ranks(request, ranks.started_by, ranks.child)
    else:
        ended = on_own_ranks(request, lambda words: None if quiet else click.echo(f"collbench: {words}", err=True))
    if ended.records is not None:
        _report(ended, form.chosen)
    context.exit(ended.code)


def request_of(spec: Spec, what: What, how: How, ordering: params.OrderingOptions, target: Target) -> ReplayRequest:
    """The request of these options. Raises UsageError."""
    from collbench.host.gpus import gpu_count
    from collbench.registry import find
    from collbench.replay.checks import check
    from collbench.replay.request import ReplayRequest

    if what.spin is not None and what.compute != "spin":
        raise UsageError("--spin is for --compute spin; give both.")
    backends = what.backend or (("nccl", "nccl-symm", "nvrar") if gpu_count() else ("mpi",))
    rest = "nccl" if find(backends[0]).DEVICE == "gpu" else "mpi"
    request = ReplayRequest(
        spec=spec,
        which=what.which,
        backends=backends,
        rest=what.rest or rest,
        compute=what.compute,
        spin_seconds=what.spin or 10e-6,
        skews=with_none(what.skew),
        warmup=how.warmup,
        samples=how.samples,
        max_seconds=how.max_seconds,
        launches=how.launches,
        seed=ordering.seed,
        timeout=ordering.timeout,
        path=target.path,
        resume=target.resume,
        force=target.force,
        argv=tuple(params.canonical_words(sys.argv[1:])),
    )
    check(request)
    return request


def _report(ended: Ended, form: Form) -> None:
    """Print tables on stdout, the path of the file on stderr."""
    from collbench.views import replays

    records = ended.records or ()
    page = replays.page(records)
    click.echo(printed(page, replays.data(records), form))
    forms.publish(f"collbench llm replay: {ended.path}", page, os.environ)
    rows = f"{len(records)} row{'s' * (len(records) != 1)}"
    click.echo(f"\n{rows} in {ended.path}", err=True)
    if ended.why:
        click.echo(ended.why, err=True)
