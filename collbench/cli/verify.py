"""Options of ``verify`` and how their texts become values; imports nothing heavy, so that --help is quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from collbench.cli import params
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.sizes import parse_sizes
from collbench.verify.stories import STORIES


@dataclass(frozen=True)
class VerifyGiven:
    """The options of ``verify`` as they were given; None where nothing was."""

    backend: tuple[str, ...] | None
    ranks: tuple[int, ...]
    gpus: tuple[int, ...]
    nodes: tuple[int, ...]
    layout: tuple[tuple[int, int], ...]
    collective: tuple[str, ...]
    dtype: tuple[str, ...] | None
    op: tuple[str, ...]
    sizes: tuple[int, ...] | None
    story: tuple[str, ...] | None
    rounds: int
    seed: int
    timeout: float
    emulate: bool
    seeds: int
    as_json: bool


WIDTH = max(map(len, STORIES))
TOLD = "\n".join(["\b", "Stories:", *(f"  {story.name:{WIDTH}}  {story.about}" for story in STORIES.values())])

VERIFY: list[Callable[[Any], Any]] = [
    click.option("--backend", type=params.BACKENDS, help="Who is put to the proof.  [default: all that can run here: "
                 "on GPUs where there are some, else on CPU ranks]"),
    *params.WORLDS,
    click.option("--collective", default="all_reduce", show_default=True, help="What is proven.",
                 type=params.names("collective", lambda: list(COLLECTIVES))),
    params.DTYPE,
    params.OP,
    click.option("--sizes", type=params.Parsed("sizes", parse_sizes), help="As for sweep.  [default: one element, "
                 "tails and remainders up to 1M, on GPUs 16M too]"),
    click.option("--story", help="Conditions, as below.  [default: all]",
                 type=params.names("story", lambda: list(STORIES))),
    click.option("--rounds", default=1, show_default=True, type=click.IntRange(min=1),
                 help="How often every story goes through every kind of data."),
    click.option("--seed", default=1, show_default=True, type=int,
                 help="Of delays and of the order of calls; with --emulate the first seed."),
    click.option("--timeout", default=120.0, show_default=True, type=params.POSITIVE,
                 help="Seconds without progress that end the job."),
    click.option("--emulate", is_flag=True, help="Kernels only, without GPUs and ranks: compiled for this processor, "
                 "threads and stores in orders that seeds draw.  [default: all kernels, on 1x4, 2x2, 3x2, 7x1, 5x4]"),
    click.option("--seeds", default=20, show_default=True, type=click.IntRange(min=1),
                 help="How many, with --emulate."),
    click.option("--json", "as_json", is_flag=True, help="Outcomes as JSON on stdout instead of the table."),
]  # fmt: skip
