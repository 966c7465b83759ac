"""The command line: all commands together."""

from __future__ import annotations

import click

from collbench import __version__
from collbench.cli.compare import compare
from collbench.cli.doctor import doctor
from collbench.cli.list_ import list_
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
    collbench sweep                      ranks of its own: one per GPU, or 4 on a machine without GPUs
    mpiexec -n 8 collbench sweep         the ranks of a launcher
    collbench plot results/RUN.csv       charts
    collbench verify                     correctness alone, under stress
    """


for command in (sweep, tune, submit, verify, plot, compare, list_, doctor):
    cli.add_command(command)
