"""The command ``collbench``, with all subcommands."""

from __future__ import annotations

import click

from collbench import __version__
from collbench.cli.check import check
from collbench.cli.compare import compare
from collbench.cli.doctor import doctor
from collbench.cli.fit import fit
from collbench.cli.history import history
from collbench.cli.list_ import list_
from collbench.cli.llm import llm
from collbench.cli.llm_replay import replay
from collbench.cli.plot import plot
from collbench.cli.submit import submit
from collbench.cli.sweep import sweep
from collbench.cli.tune import tune
from collbench.cli.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="collbench")
def cli() -> None:
    """Time collectives on GPUs and CPUs, prove every answer, compare backends.

    \b
    collbench sweep                      start one rank per GPU, or 4 without GPUs, and time all backends
    mpiexec -n 8 collbench sweep         the same on the ranks of a launcher
    collbench plot results/RUN.csv       draw charts
    collbench check --candidate MINE --baseline nvrar    faster, slower or the same, with an exit code
    collbench verify                     check correctness under stress
    """


for command in (sweep, tune, submit, verify, check, plot, compare, fit, history, llm, list_, doctor):
    cli.add_command(command)
llm.add_command(replay)
