"""Options of ``submit``; all others are those of ``sweep``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from collbench.cli.params import COUNTS, Parsed
from collbench.errors import UsageError
from collbench.slurm.profiles import ASKED

_TIME = re.compile(r"\d+(-\d+(:\d\d){0,2})?|\d+:\d\d(:\d\d)?")


@dataclass(frozen=True)
class SubmitGiven:
    """The options of ``submit`` as they were given; ``words`` are those of the sweep."""

    profile: str | None
    nodes: tuple[int, ...]
    gpus_per_node: int | None
    ranks_per_node: int | None
    time: str | None
    account: str | None
    qos: str | None
    partition: str | None
    launches: int
    allocations: int
    at_once: bool
    output: Path | None
    dry_run: bool
    wait: bool
    resume: bool
    words: tuple[str, ...]

    def asked(self) -> dict[str, str]:
        """Directives that were given."""
        found = {name: getattr(self, name) for name in ASKED}
        return {name: value for name, value in found.items() if value is not None}

    def reshapes(self) -> bool:
        """Whether something was given that only a new submission can have."""
        shape = (self.nodes, self.gpus_per_node, self.ranks_per_node, self.words)
        return any(shape) or self.launches > 1 or self.allocations > 1 or self.at_once


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise UsageError(f"{text!r} is no time of Slurm's; write minutes, HH:MM:SS or DAYS-HH.")
    return text


def _complete_profile(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from collbench.slurm.profiles import names

    return [CompletionItem(name) for name in names() if name.startswith(incomplete)]


SUBMIT: list[Callable[[Any], Any]] = [
    click.option("--profile", metavar="NAME|FILE", shell_complete=_complete_profile,
                 help="The cluster: a name that `collbench list` shows, or a TOML file of your own."),
    click.option("--nodes", default=(), type=COUNTS, help="Node counts: a job for each."),
    click.option("--gpus-per-node", type=click.IntRange(min=0), help="GPUs of each node.  [default: the profile's]"),
    click.option("--ranks-per-node", type=click.IntRange(min=1), help="Ranks on each node.  [default: one a GPU]"),
    click.option("--time", type=Parsed("time", _time), help="Limit of each job.  [default: the profile's]"),
    click.option("--account", help="Account to charge."),
    click.option("--qos", help="Quality of service."),
    click.option("--partition", help="Partition."),
    click.option("--launches", default=1, show_default=True, type=click.IntRange(min=1),
                 help="Fresh launches in each allocation."),
    click.option("--allocations", default=1, show_default=True, type=click.IntRange(min=1),
                 help="Allocations of each node count, as a job array: perhaps on other nodes, elsewhere in the net."),
    click.option("--at-once", is_flag=True, help="Let jobs run at the same time; they may disturb each other."),
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
                 help="Results file; scripts, logs and parts lie beside it in a folder that ends in .jobs.  "
                 "[default: results/<time>-<profile>.csv]"),
    click.option("--dry-run", is_flag=True, help="Print the scripts; write and submit nothing."),
    click.option("--wait", is_flag=True, help="Follow the jobs, gather their rows, print them. Alone, with -o: follow "
                 "what was submitted before."),
    click.option("--resume", is_flag=True, help="With -o: submit again what failed, was cancelled or ran out of time."),
    click.argument("words", metavar="[SWEEP OPTIONS]...", nargs=-1, type=click.UNPROCESSED),
]  # fmt: skip
