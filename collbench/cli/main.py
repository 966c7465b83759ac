"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from collbench import __version__
from collbench.cli import params
from collbench.cli import submit as submit_options
from collbench.cli import tune as tune_options
from collbench.cli import verify as verify_options
from collbench.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="collbench")
def cli() -> None:
    """Time collectives on GPUs and CPUs, prove every answer, compare backends.

    \b
    collbench sweep                      ranks of its own: one per GPU, or 4 on a machine without GPUs
    mpiexec -n 8 collbench sweep         the ranks of a launcher
    collbench plot results/RUN.csv       charts
    collbench verify                     correctness alone, under stress
    """


def _stack(decorators: list[Callable[[F], F]]) -> Callable[[F], F]:
    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


@cli.command(short_help="Time every backend on every case.")
@_stack(params.SWEEP)
@click.pass_context
def sweep(context: click.Context, /, **given: Any) -> None:
    """Time every backend on every case; CSV and sidecar into results/, table on stdout.

    Under mpiexec or srun it uses the ranks it is given; otherwise it starts its own.
    """
    from collbench.measure.sweep import run

    context.exit(run(params.Given(**given), sys.argv[1:]))


@cli.command(short_help="Find the fastest parameters of a backend for each size.")
@_stack(tune_options.TUNE)
@click.pass_context
def tune(context: click.Context, /, **given: Any) -> None:
    """Time all candidates of a backend once, the fastest few of each size again on fresh launches beside the default,
    and write what is faster beyond noise into the table that the backend chooses from.
    """
    from collbench.measure.tuning import run

    context.exit(run(tune_options.TuneGiven(**given)))


@cli.command(short_help="The same sweep as Slurm jobs.", context_settings={"ignore_unknown_options": True})
@_stack(submit_options.SUBMIT)
@click.pass_context
def submit(context: click.Context, /, **given: Any) -> None:
    """Write a job script for each node count, submit, follow, and gather all rows into one results file.

    All options that are not listed here are those of `collbench sweep`.

    \b
    collbench submit --profile perlmutter --account m1234 --nodes 2,4,8 --sizes 4K:64M --launches 3 --wait
    collbench submit --wait -o results/RUN.csv       follow again, and gather
    collbench submit --resume -o results/RUN.csv     submit again what did not come to its end
    """
    from collbench.slurm.submit import run

    wanted = submit_options.SubmitGiven(**given)
    meant = sweep.make_context(context.command_path, list(wanted.words)).params
    context.exit(run(wanted, params.Given(**meant)))


@cli.command(short_help="Prove every answer under stress; time nothing.", epilog=verify_options.TOLD)
@_stack(verify_options.VERIFY)
@click.pass_context
def verify(context: click.Context, /, **given: Any) -> None:
    """Correctness alone, under stress: calls without barriers, graph replay, late ranks, odd buffers, NaN and more.

    Under mpiexec or srun it uses the ranks it is given, also where several share a GPU; otherwise it starts its own.
    """
    from collbench.verify.verify import run

    context.exit(run(verify_options.VerifyGiven(**given), sys.argv[1:]))


@cli.command(short_help="Draw charts from results.")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("plots"),
              show_default=True, help="Folder for the charts.")  # fmt: skip
@click.option("--baseline", help="Backend that speed-ups are measured against.  [default: nccl, else mpi]",
              shell_complete=params.complete_backend)  # fmt: skip
@params.ONLY
def plot(results: tuple[Path, ...], output: Path, baseline: str | None, only: tuple[tuple[str, str], ...]) -> None:
    """Latency with speed-up, bus bandwidth, scaling over ranks and a best-backend map, as PNG and SVG."""
    from collbench.results.records import load_all, select
    from collbench.views.figures import draw_all

    for path in draw_all(select(load_all(results), only), output, results[0].stem, baseline):
        click.echo(path)


@cli.command(short_help="Ratios between two backends or two files.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--backend", "names", shell_complete=params.complete_backend,
              help="With one file: two backends, A,B.  [default: every other against nccl, else mpi]  "
              "With two files: only these.")  # fmt: skip
@params.ONLY
@click.option("--json", "form", flag_value="json", help="JSON instead of a table.")
@click.option("--markdown", "form", flag_value="markdown", help="The table in Markdown.")
def compare(a: Path, b: Path | None, names: str | None, only: tuple[tuple[str, str], ...], form: str | None) -> None:
    """How many times slower A is than B, with a 95 % interval, for every case that both have. A case that was wrong,
    failed or timed out in any launch is shown without a verdict, and why."""
    from collbench.results.records import jobs, load, select
    from collbench.views.comparison import compare_backends, compare_files, names_of
    from collbench.views.ratios import show

    chosen = names_of(names or "")
    one, *other = [select(load(path), only) for path in (a, b) if path]
    found = compare_files(one, other[0], chosen) if other else compare_backends(one, chosen)
    if found.judged or found.unjudged:
        click.echo(show(found, form))
    for words in jobs([*one, *(other[0] if other else [])]):
        click.echo(f"left out: {words}", err=True)
    if not found.judged:
        raise UsageError(f"{a}{f' and {b}' if b else ''}: no case was timed on both sides.")


@cli.command("list", short_help="Backends and what is missing here.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def list_(as_json: bool) -> None:
    """Backends, collectives and types; for what cannot run here, the reason and how to get it."""
    from collbench.cli.list_ import show

    click.echo(show(as_json))


@cli.command(short_help="Check MPI, launcher and GPUs of this machine.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a list.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """What would keep a sweep from running here, and the cure. Also under a launcher: mpiexec -n 4 collbench doctor."""
    from collbench.doctor.examine import examine, show

    findings = examine()
    click.echo(show(findings, as_json))
    context.exit(1 if any(not finding.fine for finding in findings) else 0)
