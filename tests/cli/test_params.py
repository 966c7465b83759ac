"""From options to ranks, on machines with GPUs that this one does not have."""

from __future__ import annotations

from typing import Any

import click
import pytest

from collbench.cli import params
from collbench.cli.main import cli
from collbench.cli.sweep import sizes
from collbench.errors import UsageError
from collbench.plan.dtypes import ALIASES, DTYPES
from collbench.plan.worlds import Topology
from collbench.ranks import start


def options(*arguments: str) -> dict[str, Any]:
    """The options of ``collbench sweep ARGUMENTS``, by name."""
    return cli.commands["sweep"].make_context("sweep", list(arguments)).params


def topology(*arguments: str) -> Topology:
    """The worlds that they ask for."""
    return params.worlds.of(options(*arguments)).topology


def ranks(*arguments: str) -> int:
    """The ranks that are started for them."""
    return start.ranks_to_start(topology(*arguments))


@pytest.mark.parametrize("twice", [("--gpus", "2", "--ranks", "2"), ("--layout", "2x2", "--nodes", "2")])
def test_what_is_said_twice_is_refused(twice: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="give one of them"):
        ranks(*twice)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-b", "1M", "-e", "10M", "-f", "2"), (1, 2, 4, 8)),
        (("-b", "1M", "-e", "10M", "-i", "4M"), (1, 5, 9)),
        (("-b", "3M"), (3,)),
        (("--sizes", "1M:10M"), (1, 2, 4, 8, 10)),
    ],
)
def test_options_of_nccl_tests_stop_where_nccl_tests_stops(
    arguments: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    assert sizes.of(options(*arguments)).chosen == tuple(size << 20 for size in expected)


def test_rows_have_lengths_where_there_are_rows() -> None:
    assert options()["hidden"] is None
    assert options("--hidden", "4096,8,16384,8")["hidden"] == (4096, 8, 16384)
    for text in ("0", "12", "16392", "x", "4096,"):
        with pytest.raises(click.UsageError, match=r"is not a (multiple of 8 up to 16384|count)"):
            options("--hidden", text)
    assert params.hidden_for(["all_reduce", "all_reduce_rms_norm"], (64,)) == (64,)
    assert params.hidden_for(["all_reduce_rms_norm"], None) == params.hidden_for(["all_reduce"], None) == ()
    with pytest.raises(UsageError, match="--hidden is for all_reduce_rms_norm; add it to --collective, or omit"):
        params.hidden_for(["all_reduce"], (64,))


def test_types_are_known_by_the_names_of_nccl_tests() -> None:
    text = "half,fp16,bf16,float,fp32,float32,double,fp64,int,long"
    assert options("--dtype", text)["dtype"] == ("float16", "bfloat16", "float32", "float64", "int32", "int64")
    with pytest.raises(click.UsageError, match="did you mean 'float64'"):
        options("--dtype", "float61")
    shown = params.names("dtype", lambda: list(DTYPES), ALIASES).shell_complete
    assert [each.value for each in shown(click.Context(cli), click.Option(["--dtype"]), "f")] == [
        "float16", "float32", "float64",
    ]  # fmt: skip
