"""Entry point: runs the command line, prints errors on rank 0 only, and aborts all ranks together."""

from __future__ import annotations

import os
import sys
import traceback

import click

from collbench.cli.main import cli
from collbench.errors import INTERRUPTED, Exit, OutputError, UsageError
from collbench.ranks.launcher import speaks
from collbench.ranks.start import launch_of


def _abort_ranks(code: int) -> None:
    """Abort every rank of a running MPI job; no effect where MPI is not running."""
    if "mpi4py.MPI" not in sys.modules:
        return
    from mpi4py import MPI

    if MPI.Is_initialized() and not MPI.Is_finalized() and MPI.COMM_WORLD.Get_size() > 1:
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(code)


def main() -> None:
    """Console script ``collbench``. An exception on one rank aborts all ranks, which would otherwise wait for ever."""
    first = speaks(launch_of(os.environ))
    if not first:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - only rank 0 prints
    try:
        code = cli.main(prog_name="collbench", standalone_mode=False)
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
    except Exception:
        traceback.print_exc()
        _abort_ranks(Exit.FAILED)
        code = Exit.FAILED
    sys.exit(int(code or 0))


if __name__ == "__main__":
    main()
