"""What a sweep of pairs of hosts times where the user does not say."""

from __future__ import annotations

import click
import pytest

from collbench.cli.pairs import backends
from collbench.cli.sweep import CaseOptions, SizeOptions, _for_pairs, cases, sizes, sweep


def options(*words: str) -> tuple[tuple[str, ...], SizeOptions, CaseOptions]:
    context: click.Context = sweep.make_context("sweep", ["--pairs", *words])
    return _for_pairs(context, context.params["collective"], sizes.of(context.params), cases.of(context.params))


def test_few_cases_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    collective, chosen, of = options()
    assert (collective, chosen.chosen, of.backend) == (("send_recv",), (4096, 16 << 20), ("mpi",))
    assert backends() == ("mpi",)


@pytest.mark.parametrize("words", [("--sizes", "8K"), ("-b", "8K")])
def test_what_is_given_stays(words: tuple[str, ...]) -> None:
    collective, chosen, of = options("--collective", "all_reduce", "--backend", "mpi,mpi-ring", *words)
    assert (collective, chosen.chosen, of.backend) == (("all_reduce",), (8192,), ("mpi", "mpi-ring"))
