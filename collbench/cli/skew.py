"""The option ``--skew`` of ``sweep``, and the mode that it needs."""

from __future__ import annotations

import click
from click.core import ParameterSource

from collbench.cli import params
from collbench.errors import UsageError
from collbench.plan.skew import Skew, parse_skews

MODE = "isolated"  # of a chain, the first call would wait for all late ranks
skew_option = click.option(
    "--skew",
    default=(),
    type=params.Parsed("TIME[:RANK],...", parse_skews),
    help=f"Delay ranks before each call, in mode {MODE}, and time it from the first and from the last arrival. "
    "0,5us,20us: every rank at random up to that time; 20us:3: rank 3 of each world alone.",
)


def modes_for(context: click.Context, skews: tuple[Skew, ...], modes: tuple[str, ...]) -> tuple[str, ...]:
    """The modes of a sweep with these skews: other defaults. Raises UsageError for modes that have no skew, and for
    pairs of hosts."""
    if not skews:
        return modes
    if context.params["pairs"]:
        raise UsageError("--pairs compares hosts by ranks that arrive together; omit --skew.")
    if context.get_parameter_source("mode") is ParameterSource.DEFAULT:
        return (MODE,)
    if other := next((mode for mode in modes if mode != MODE), None):
        raise UsageError(
            f"--skew delays ranks before a single call, and a sample of mode {other} has many; use --mode {MODE}."
        )
    return modes
