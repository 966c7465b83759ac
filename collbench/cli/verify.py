"""The command ``verify``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from collbench.cli import forms, params
from collbench.cli.groups import Group
from collbench.errors import UsageError
from collbench.plan.collectives import COLLECTIVES
from collbench.printer.forms import Form, printed
from collbench.verify.stories import HIDDEN, STORIES

if TYPE_CHECKING:
    from collbench.verify.outcomes import Outcome

WIDTH = max(map(len, STORIES))
STORY_LIST = "\n".join(["\b", "Stories:", *(f"  {story.name:{WIDTH}}  {story.about}" for story in STORIES.values())])


@dataclass(frozen=True)
class SubjectOptions:
    """The options that select what to prove; None for those not given."""

    collective: tuple[str, ...]
    dtype: tuple[str, ...] | None
    op: tuple[str, ...]
    sizes: tuple[int, ...] | None
    hidden: tuple[int, ...] | None


@dataclass(frozen=True)
class StressOptions:
    """The options for the stories on ranks and for the seeds of the emulator."""

    story: tuple[str, ...] | None
    rounds: int
    seed: int
    timeout: float
    emulate: bool
    seeds: int


subjects = Group("subjects", SubjectOptions, [
    click.option("--collective", default="all_reduce", show_default=True, help="Collectives to prove.",
                 type=params.names("collective", lambda: list(COLLECTIVES))),
    params.dtype,
    params.op,
    click.option("--sizes", type=params.SIZES, help="Message sizes, as for sweep.  [default: powers of two and sizes "
                 "with remainders, up to 1M, on GPUs 16M]"),
    click.option("--hidden", type=params.HIDDEN, help="Elements in a row, of all_reduce_rms_norm.  "
                 f"[default: {','.join(map(str, HIDDEN))}]"),
])  # fmt: skip
stress = Group("stress", StressOptions, [
    click.option("--story", help="Stories to run, see below.  [default: all]",
                 type=params.names("story", lambda: list(STORIES))),
    click.option("--rounds", default=1, show_default=True, type=click.IntRange(min=1),
                 help="Number of times that every story runs with every kind of data."),
    click.option("--seed", default=1, show_default=True, type=int,
                 help="Random seed for delays and the order of calls; with --emulate, the first seed."),
    params.timeout,
    click.option("--emulate", is_flag=True, help="Emulate kernels on this processor, without GPUs or MPI; seeds decide "
                 "the order of threads and stores.  [default: all kernels, on layouts 1x6, 2x2, 3x2, 6x1, 8x1, 5x4]"),
    click.option("--seeds", default=20, show_default=True, type=click.IntRange(min=1),
                 help="Number of seeds to run with --emulate."),
])  # fmt: skip


@click.command(short_help="Prove every answer under stress, without timing.", epilog=STORY_LIST)
@click.option("--backend", type=params.BACKENDS, help="Backends to prove.  [default: all that can run here, on GPUs "
              "if there are any, else on CPUs]")  # fmt: skip
@params.worlds
@subjects
@stress
@forms.form
@click.pass_context
def verify(
    context: click.Context, backend: tuple[str, ...] | None, worlds: params.WorldOptions, subjects: SubjectOptions,
    stress: StressOptions, form: forms.FormOptions,
) -> None:  # fmt: skip
    """Prove every answer under stress: calls without barriers, graph replay, late ranks, misaligned buffers, NaN.

    Under mpiexec or srun, use the launcher's ranks, even if several share a GPU; otherwise start ranks on this machine.
    """
    if stress.emulate:  # what is not given is drawn, or that of each kernel
        given = {name: context.get_parameter_source(name) for name in ("op", "collective")}
        subjects = replace(subjects, **{
            name: () for name, source in given.items() if source is not click.core.ParameterSource.COMMANDLINE
        })  # fmt: skip
    run = _emulate if stress.emulate else _on_ranks
    context.exit(run(backend, worlds, subjects, stress, form.chosen))


def _on_ranks(
    backend: tuple[str, ...] | None,
    worlds: params.WorldOptions,
    subjects: SubjectOptions,
    stress: StressOptions,
    form: Form,
) -> int:
    from collbench.ranks import endings, lifeline, start
    from collbench.registry import default_backends, default_dtypes
    from collbench.verify.subjects import VerifyRequest
    from collbench.verify.verify import OUTCOMES, on_own_ranks, on_these_ranks

    started_by, child = start.launch_of(os.environ), start.child_of(os.environ)
    if started_by is None:
        proven = on_own_ranks(start.ranks_to_start(worlds.topology), params.canonical_words(sys.argv[1:]))
    else:
        lifeline.end_with_launcher(child.starter if child else None)
        names = backend or default_backends(subjects.collective)
        request = VerifyRequest(
            topology=worlds.topology, backends=names, collectives=subjects.collective,
            dtypes=subjects.dtype or default_dtypes(names, subjects.collective), ops=subjects.op, sizes=subjects.sizes,
            hidden=params.hidden_for(subjects.collective, subjects.hidden),
            stories=stress.story or tuple(STORIES), rounds=stress.rounds, seed=stress.seed, timeout=stress.timeout,
        )  # fmt: skip
        into = Path(os.environ[OUTCOMES]) if child else None
        proven = on_these_ranks(request, started_by, into, lambda found, out: _report(found, form, out))
    if proven.outcomes is not None:
        _report(proven.outcomes, form)
    if proven.cut_short:
        click.echo(endings.cause(proven.code), err=True)
    return proven.code


def _emulate(
    backend: tuple[str, ...] | None,
    worlds: params.WorldOptions,
    subjects: SubjectOptions,
    stress: StressOptions,
    form: Form,
) -> int:
    from collbench.verify import emulated
    from collbench.verify.outcomes import exit_code

    if stress.story or worlds.gpus or worlds.nodes or subjects.hidden:
        raise UsageError("--emulate draws stories and rows; omit --story, --hidden, --gpus and --nodes.")
    found = emulated.run(emulated.EmulateRequest(
        topology=worlds.topology, backends=backend, collectives=subjects.collective or None,
        dtypes=subjects.dtype, ops=subjects.op or None,
        sizes=subjects.sizes, seeds=range(stress.seed, stress.seed + stress.seeds), timeout=stress.timeout,
    ))  # fmt: skip
    _report(found.outcomes, form)
    for line in found.failures:
        click.echo(line, err=form is not Form.PLAIN)
    return exit_code(found.outcomes)


def _report(found: Sequence[Outcome], form: Form, out: TextIO | None = None) -> None:
    from collbench.verify.outcomes import page, plain

    click.echo(printed(page(found), plain(found), form), file=out)
