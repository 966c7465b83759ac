"""The command ``collbench``, with all subcommands."""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Any

import click


class Commands(UserDict[str, Any]):
    """Commands by name, each imported when it is asked for: every rank would spend a tenth of its start on the others.
    A command is named like its module, where Python allows that name."""

    def __getitem__(self, name: str) -> click.Command:
        module: str = self.data[name]
        command: click.Command = getattr(import_module(f"collbench.cli.{module}"), module)
        return command


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version, which a checkout asks git for, and exit."""
    if wanted and not context.resilient_parsing:
        from collbench import __version__

        click.echo(f"collbench, version {__version__}")
        context.exit()


COMMANDS = Commands(check="check", compare="compare", doctor="doctor", fit="fit", history="history",
                    **{"import": "import_"}, list="list_", llm="llm", plot="plot", report="report",
                    submit="submit", sweep="sweep", tune="tune", verify="verify")  # fmt: skip


@click.group(commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help="Show the version and exit.")  # fmt: skip
def cli() -> None:
    """Time collectives on GPUs and CPUs, prove every answer, compare backends.

    \b
    collbench sweep                      start one rank per GPU, or 4 without GPUs, and time all backends
    mpiexec -n 8 collbench sweep         the same on the ranks of a launcher
    collbench plot results/RUN.csv       draw charts
    collbench report results/RUN.csv     write one page for a browser
    collbench import LOG -o FILE.csv     results of nccl-tests, OSU, IMB and others as rows of ours
    collbench check --candidate MINE --baseline nvrar    faster, slower or the same, with an exit code
    collbench verify                     check correctness under stress
    """
