"""Entry point: runs the command line, prints errors on rank 0 only, and aborts all ranks together."""

from __future__ import annotations

import os
import sys
import traceback

import click

from collbench.cli.main import cli
from collbench.errors import INTERRUPTED, Exit, OutputError, UsageError
from collbench.host import terminal
from collbench.ranks.launcher import speaks
from collbench.ranks.start import launch_of
from collbench.results.writing import OUT_OF_SPACE


def _abort_ranks(code: int) -> None:
    """Abort every rank of a running MPI job; no effect where MPI is not running."""
    if "mpi4py.MPI" not in sys.modules:
        return
    from mpi4py import MPI

    if MPI.Is_initialized() and not MPI.Is_finalized() and MPI.COMM_WORLD.Get_size() > 1:
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(code)


def _report(error: Exception) -> None:
    """Say on standard error what ended this rank: one sentence where output was lost, nothing where nobody reads it."""
    if isinstance(error, BrokenPipeError):
        return
    if isinstance(error, OSError) and error.errno in OUT_OF_SPACE:
        print(f"collbench: {error.filename or 'standard output'} cannot be written: {error.strerror}.", file=sys.stderr)
    else:
        traceback.print_exc()


def _let_go() -> None:
    """Drop output that cannot be written, or Python would report it once more at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    """Console script ``collbench``. An exception on one rank aborts all ranks, which would otherwise wait for ever."""
    terminal.repair()
    first = speaks(launch_of(os.environ))
    if not first:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - only rank 0 prints
    try:
        code = cli.main(prog_name="collbench", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as mistake:
        if first:
            print(f"collbench: {mistake.format_message()}", file=sys.stderr)
        code = mistake.exit_code
    except UsageError as mistake:
        if first:
            print(f"collbench: {mistake}", file=sys.stderr)
        code = Exit.USAGE
    except OutputError as failure:
        if first:
            print(f"collbench: {failure}", file=sys.stderr)
        code = Exit.FAILED
    except (KeyboardInterrupt, click.Abort):
        _abort_ranks(INTERRUPTED)
        code = INTERRUPTED
    except Exception as error:
        _report(error)
        _abort_ranks(Exit.FAILED)
        code = Exit.FAILED
    _let_go()
    sys.exit(int(code or 0))


if __name__ == "__main__":
    main()
