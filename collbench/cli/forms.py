"""The form in which a command prints: options that all commands share, and the summary of a step of GitHub Actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from collbench.cli.groups import Group
from collbench.errors import UsageError
from collbench.printer.forms import Form
from collbench.printer.step_summary import VARIABLE, append_summary
from collbench.tables import Page


@dataclass(frozen=True)
class FormOptions:
    """The options for the form of what a command prints. Raises UsageError for more than one."""

    as_json: bool
    markdown: bool
    latex: bool

    def __post_init__(self) -> None:
        if self.as_json + self.markdown + self.latex > 1:
            raise UsageError("--json, --markdown and --latex exclude each other; give one of them.")

    @property
    def chosen(self) -> Form:
        """The form: plain text unless another was asked for."""
        given = ((self.as_json, Form.JSON), (self.markdown, Form.MARKDOWN), (self.latex, Form.LATEX))
        return next((form for is_given, form in given if is_given), Form.PLAIN)


form = Group("form", FormOptions, [
    click.option("--json", "as_json", is_flag=True, help="Print JSON instead of plain tables."),
    click.option("--markdown", is_flag=True, help="Print Markdown instead of plain tables."),
    click.option("--latex", is_flag=True, help="Print LaTeX instead of plain tables; needs booktabs and textcomp."),
])  # fmt: skip


def publish(subject: str, page: Page, variables: Mapping[str, str]) -> None:
    """Append ``page`` to the file that GITHUB_STEP_SUMMARY names in ``variables``, the environment.

    Nothing happens without the variable, for an empty page, and on ranks that print nothing: those that collbench
    started, and of a launcher all but rank 0. A file that cannot be written is a warning on stderr.
    """
    from collbench.host.environment import CHILD
    from collbench.ranks.launcher import speaks
    from collbench.ranks.start import launch_of

    path = variables.get(VARIABLE)
    if not (path and page) or CHILD in variables or not speaks(launch_of(variables)):
        return
    if why := append_summary(Path(path), subject, page):
        click.echo(f"collbench: {path}, which {VARIABLE} names, cannot be written: {why}.", err=True)
