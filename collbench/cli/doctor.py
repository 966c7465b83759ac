"""The command ``doctor``."""

from __future__ import annotations

import click

from collbench.cli import forms


@click.command(short_help="Check MPI, launcher and GPUs of this machine.")
@forms.form
@click.pass_context
def doctor(context: click.Context, form: forms.FormOptions) -> None:
    """Check whether a sweep can run here, and print a cure for each problem.

    Under a launcher, check the ranks as well: mpiexec -n 4 collbench doctor.
    """
    from collbench.doctor.examine import examine
    from collbench.doctor.findings import show

    findings = examine()
    click.echo(show(findings, form.chosen))
    context.exit(1 if any(not finding.fine for finding in findings) else 0)
