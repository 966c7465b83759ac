"""Entry point: runs the command line, prints errors on rank 0 only, and aborts all ranks together."""

from __future__ import annotations

import os
import sys
import time
import traceback

import click

from collbench.cli.main import cli
from collbench.errors import INTERRUPTED, Exit, OutputError, UsageError
from collbench.host import terminal
from collbench.ranks.launcher import speaks
from collbench.ranks.start import launch_of
from collbench.results.writing import OUT_OF_SPACE

SPEAKING_SECONDS = 5.0  # far above what separates the starts of ranks; the first one's exit ends the wait


def _abort_ranks(code: int) -> None:
    """Abort every rank of a running MPI job; no effect where MPI is not running."""
    if _is_running():
        from mpi4py import MPI

        sys.stderr.flush()
        if MPI.COMM_WORLD.Get_size() > 1:
            MPI.COMM_WORLD.Abort(code)


def _is_running() -> bool:
    """Whether this process is a rank of a running MPI job."""
    if "mpi4py.MPI" not in sys.modules:
        return False
    from mpi4py import MPI

    return bool(MPI.Is_initialized() and not MPI.Is_finalized())


def _say(words: str, first: bool) -> None:
    """Print a sentence on the first rank. Before there is a world the others give it time for that, since most
    launchers end all ranks when one exits with an error."""
    launcher = launch_of(os.environ)
    if first:
        print(f"collbench: {words}", file=sys.stderr, flush=True)
    elif launcher and not launcher.waits_for_all and not _is_running():
        time.sleep(SPEAKING_SECONDS)


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
        _say(mistake.format_message(), first)
        code = mistake.exit_code
    except UsageError as mistake:
        _say(str(mistake), first)
        code = Exit.USAGE
    except OutputError as failure:
        _say(str(failure), first)
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
