"""The form in which a command prints: options that all commands share."""

from __future__ import annotations

from dataclasses import dataclass

import click

from collbench.cli.groups import Group
from collbench.errors import UsageError
from collbench.printer.forms import Form


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
