"""The option ``--pairs`` of ``sweep``, and the values of other options that suit it: few cases, since the number of
pairs grows with the square of that of hosts."""

from __future__ import annotations

import click

COLLECTIVE = "send_recv"
SIZES = "4K,16M"  # latency, and bandwidth
pairs_option = click.option(
    "--pairs",
    is_flag=True,
    help="Instead of these worlds, every pair of hosts on its own, one after another in random order: by default with "
    f"{COLLECTIVE}, sizes {SIZES} and nccl, or mpi without it.",
)


def backends() -> tuple[str, ...]:
    """NCCL, else MPI, of those that can run here."""
    from collbench.registry import default_backends
    from collbench.views.comparison import default_baseline

    found = default_baseline(default_backends())
    return (found,) if found else ()
