"""Options of ``tune``; imports nothing heavy, so that --help is quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from collbench.cli.params import DTYPE, OP, ORDER, POSITIVE, SIZES, WORLDS, Parsed, backend_names, backend_spec
from collbench.errors import pick
from collbench.plan.collectives import COLLECTIVES

FEWEST_LAUNCHES = 3  # with two, an interval over launches spans everything


@dataclass(frozen=True)
class TuneGiven:
    """The options of ``tune`` as they were given; None where nothing was."""

    backend: str
    collective: str
    sizes: tuple[int, ...] | None
    dtype: tuple[str, ...] | None
    op: tuple[str, ...]
    ranks: tuple[int, ...]
    gpus: tuple[int, ...]
    nodes: tuple[int, ...]
    layout: tuple[tuple[int, int], ...]
    finalists: int
    launches: int
    max_seconds: float
    seed: int
    timeout: float
    results: Path | None
    output: Path | None
    as_json: bool
    dry_run: bool


TUNE: list[Callable[[Any], Any]] = [
    click.option("--backend", default="nvrar", show_default=True, type=Parsed("backend", backend_spec, backend_names),
                 help="Whose candidates are tried."),
    click.option("--collective", default="all_reduce", show_default=True, help="What to tune.",
                 type=Parsed("collective", partial(pick, "collective", known=COLLECTIVES), lambda: list(COLLECTIVES))),
    SIZES,
    DTYPE,
    OP,
    *WORLDS,
    click.option("--finalists", default=3, show_default=True, type=click.IntRange(min=1),
                 help="The fastest so many of each size are measured again, beside the default."),
    click.option("--launches", default=5, show_default=True, type=click.IntRange(min=FEWEST_LAUNCHES),
                 help="Fresh launches of the finalists."),
    click.option("--max-seconds", default=0.2, show_default=True, type=POSITIVE, help="Cap for timing one case."),
    *ORDER,
    click.option("--results", type=click.Path(path_type=Path), metavar="FOLDER/PREFIX", help="Where the results go: "
                 "PREFIX-1.csv of all candidates, PREFIX-2.csv of the finalists.  "
                 "[default: results/<time>-<machine>-<ranks>r-tune]"),
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The table that is filled.  "
                 "[default: yours, $COLLBENCH_TUNED or ~/.config/collbench/tuned.toml]"),
    click.option("--json", "as_json", is_flag=True, help="JSON instead of the table."),
    click.option("--dry-run", is_flag=True, help="Print who would compete and run nothing."),
]  # fmt: skip
