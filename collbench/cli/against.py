"""``compare --against``: a file against the figures that a site publishes."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from collbench.cli import forms
from collbench.printer.forms import printed


def complete_site(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shell completion of a site's name."""
    from collbench.results.published import names

    return [CompletionItem(name) for name in names() if name.startswith(incomplete)]


def against(path: Path, site: str, backend: str, only: tuple[tuple[str, str], ...], form: forms.FormOptions) -> int:
    """Print the rows of a file against the figures of a site; the exit code, as of a check. Raises UsageError."""
    from collbench.check.exits import exit_of
    from collbench.check.rule import Verdict as Checked
    from collbench.results.against import Verdict, judge
    from collbench.results.facts import facts_of_rows
    from collbench.results.published import find
    from collbench.results.records import jobs, load
    from collbench.results.selection import select
    from collbench.views.against import page, plain

    records = select(load(path), only)
    judged = judge(records, find(site), backend)
    cases = [each.case for each in judged.rows]
    facts = facts_of_rows(path, [(row.launch, row.backend, row.run_id) for case in cases for row in case.rows])
    shown = page(judged, facts)
    click.echo(printed(shown, plain(judged, facts), form.chosen))
    forms.publish(f"collbench compare: {path} against {judged.site.name}", shown, os.environ)
    for words in jobs(records):
        click.echo(f"skipped: {words}", err=True)
    checked = {Verdict.AS_PUBLISHED: Checked.SAME, Verdict.FASTER: Checked.FASTER, None: Checked.MISSING}
    return exit_of([checked.get(each.verdict, Checked.SLOWER) for each in judged.rows], [each.status for each in cases])
