"""The command ``import``."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collbench.cli import forms
from collbench.cli.groups import Group
from collbench.errors import UsageError
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import ALIASES, DTYPES
from collbench.plan.problem import MODES
from collbench.printer.forms import printed

if TYPE_CHECKING:
    from collbench.foreign.rows import Given
    from collbench.foreign.source import Source


@dataclass(frozen=True)
class GivenOptions:
    """The options that say what a log does not; None for those not given."""

    collective: str | None
    ranks: int | None
    nodes: int | None
    per_node: int | None
    dtype: str | None
    mode: str | None
    fabric: str | None

    @property
    def given(self) -> Given:
        """The same for the package that imports. Raises UsageError for two numbers of nodes."""
        from collbench.foreign.rows import Given, check_name

        if self.fabric is not None:
            check_name(self.fabric)
        if self.nodes and self.per_node:
            raise UsageError("--nodes and --per-node both set the nodes; give one of them.")
        dtype = ALIASES.get(self.dtype or "", self.dtype or "")
        return Given(self.collective or "", self.ranks, self.nodes, self.per_node, dtype, self.mode or "",
                     self.fabric or "")  # fmt: skip


given = Group("given", GivenOptions, [
    click.option("--collective", type=click.Choice(list(COLLECTIVES)), metavar="NAME",
                 help="The collective that was timed."),
    click.option("--ranks", type=click.IntRange(min=1), help="Ranks that took part."),
    click.option("--nodes", type=click.IntRange(min=1), help="Nodes they ran on."),
    click.option("--per-node", type=click.IntRange(min=1), help="Or the ranks on each node."),
    click.option("--dtype", type=click.Choice([*DTYPES, *ALIASES]), metavar="TYPE", help="Type of the elements."),
    click.option("--mode", type=click.Choice(MODES), help="How calls follow each other."),
    click.option("--fabric", help="The network: nvlink, infiniband, slingshot, tcp, shm, ..."),
])  # fmt: skip


@click.command("import", short_help="Turn logs of other benchmarks into a results file.")
@click.argument("logs", nargs=-1, required=True, metavar="[NAME=]LOG...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv",
              help="The results file.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an existing results file.")
@given
@forms.form
def import_(logs: tuple[str, ...], output: Path, force: bool, given: GivenOptions, form: forms.FormOptions) -> None:
    """Write the latencies in LOGs into a results file, which compare, plot, fit and llm predict read.

    A LOG is what nccl-tests or rccl-tests print or write with -J, the output of OSU micro-benchmarks, IMB-MPI1, PARAM's
    comms or MSCCL++, or a table of AIConfigurator (Parquet needs the extra parquet), also in gzip, bzip2 or xz; its
    content decides which. Rows get the name of the library that was timed, or NAME. Several logs of the same cases are
    launches; logs of different versions need different NAMEs.

    The other options say what a log does not, and are an error where it says otherwise. OSU's never has the number of
    ranks and nodes. What is not understood is listed by its lines.
    """
    from collbench.foreign.report import page, plain
    from collbench.foreign.writing import write

    runs = write([_source(text) for text in logs], given.given, output, force, sys.argv[1:])
    shown = page(output, runs)
    click.echo(printed(shown, plain(output, runs), form.chosen))
    forms.publish(f"collbench import: {output}", shown, os.environ)


def _source(text: str) -> Source:
    """The file of ``LOG`` or ``NAME=LOG``; a file whose own name has the sign is found first."""
    from collbench.foreign.rows import check_name
    from collbench.foreign.source import read_source

    name, sign, place = text.partition("=")
    if not sign or os.path.exists(text):
        return read_source(Path(text))
    check_name(name)
    return read_source(Path(place), name)
