"""The commands of collbench, with those of groups by all their words: ``llm steps``."""

from __future__ import annotations

from collections.abc import Mapping

import click

from collbench.cli.main import cli


def leaves(group: click.Group = cli, before: str = "") -> Mapping[str, click.Command]:
    """Every command that does something, by its words."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        words = f"{before}{name}"
        found.update(leaves(command, f"{words} ") if isinstance(command, click.Group) else {words: command})
    return found
