"""Checks as jobs: the options of ``submit --check``, and the judgement of each allocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from collbench.batch.job import Shape, Work
from collbench.cli import forms, params
from collbench.cli.check import check, gate_of
from collbench.cli.check_options import fixed_words, rule, sides, target
from collbench.cli.sweep import kinds, sizes
from collbench.errors import Exit, UsageError
from collbench.printer.forms import Form
from collbench.printer.plain import plain_page

if TYPE_CHECKING:
    from collbench.check.gate import Gate
    from collbench.jobs.submission import Part, Submission

GRAVEST_FIRST = (
    Exit.USAGE, Exit.TIMEOUT, Exit.WRONG, Exit.REGRESSION, Exit.NO_VERDICT, Exit.FAILED, Exit.FINE,
)  # fmt: skip


def _gate(words: Sequence[str]) -> Gate:
    values = check.make_context("check", list(words)).params
    return gate_of(sides.of(values), rule.of(values))


def work_of(context: click.Context, words: Sequence[str], shape: Shape) -> Work:
    """The work of a job that checks, its revisions as commits. Raises UsageError for options that a check, or a job,
    would refuse."""
    from collbench.ranks.variables import check_variables

    values = check.make_context(context.command_path, list(words)).params
    files, chosen = target.of(values), sides.of(values)
    if forms.form.of(values).chosen is not Form.PLAIN or files.force or files.junit or files.charts:
        raise UsageError(
            "--json, --markdown, --latex, --force, --junit and --plot do not apply to jobs; omit them, and use "
            "another -o instead of --force."
        )
    if values["files"] or chosen.given_files:
        raise UsageError("files are checked at once; use collbench check without submit.")
    if shape.launches > 1:
        raise UsageError("a check has as many launches as it needs; give --max-launches instead of --launches.")
    _ = sizes.of(values).chosen, params.hidden_for(values["collective"], kinds.of(values).hidden)
    gate = _gate(words)
    check_variables(chosen.variant, "a job's launcher")
    topology = params.worlds.of(values).topology
    return Work(topology, fixed_words(words, gate.base, gate.candidate), 1 + len(chosen.variant), gate.rule.looks[-1])


def report(submission: Submission) -> Exit:
    """Print the judgement of each allocation; returns the gravest exit code."""
    return min((_report(part) for part in submission.parts()), key=GRAVEST_FIRST.index)


def _report(part: Part) -> Exit:
    from collbench.check.report import page

    found = _gate(part.job.sweep).judge(part.records())
    if found is None:
        click.echo(f"{part.name}: no rows")
        return Exit.FAILED
    click.echo(f"{part.name}\n\n{plain_page(page(found))}\n")
    return found.code
