"""Kernels that normalise rows give the documented bits in adversarial orders; with a mistake put in, they do not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from emulated import Patch, kernel, needs_compiler, patched
from rows import draw_rows, play, with_silent_rank

from collbench.kernels.kernel import Kernel

pytestmark = needs_compiler

NORMS = ("oneshot-norm", "nvrar-norm")
in_rows, in_oneshot, in_nvrar = (
    partial(Patch, name) for name in ("common/rows.cuh", "oneshot_norm.cu", "nvrar_norm.cu")
)


@dataclass(frozen=True)
class Draws:
    """What scenes are drawn from: one length of rows and one shape, since a kernel is compiled for each."""

    kernel: str
    layout: str
    hidden: int = 1000


PAIR, LONG = Draws("oneshot-norm", "1x2"), Draws("oneshot-norm", "1x2", 8184)
STEPS, NODES, NODE = Draws("nvrar-norm", "4x1"), Draws("nvrar-norm", "2x1"), Draws("nvrar-norm", "1x3")


@dataclass(frozen=True)
class Mutant:
    """A mistake, and within how many seeds of which scenes it is caught."""

    name: str
    draws: Draws
    seeds: int
    patches: tuple[Patch, ...]


def mutant(name: str, draws: Draws, seeds: int, *patches: Patch) -> Mutant:
    """A line of the table."""
    return Mutant(name, draws, seeds, patches)


FOLD = "half[i] = sum_of(v[i], v[i + N / 2]);"
LANES = "for (int lanes = LANES / 2; lanes > 0; lanes /= 2)"
SCALED = "product_of(product_of(s.v[i], scale), factor.v[i])"
ADDED = "add(total[k], old[k]);"
LAST = "if (k == STEPS - 1) add(total, old[b]);"
WEIGHT = "weight[i] = weights.load(column(i)); };"

# fmt: off
MUTANTS = (
    # The order of operations shows in the last bits of fp32: few of many elements are rounded otherwise.
    mutant("neighbours folded first", LONG, 12,
           in_rows(FOLD, FOLD.replace("v[i], v[i + N / 2]", "v[2 * i], v[2 * i + 1]"))),
    mutant("lanes from the lowest bit", LONG, 3, in_rows(LANES, "for (int lanes = 1; lanes < LANES; lanes *= 2)")),
    mutant("scale and weight first", LONG, 3, in_rows(SCALED, "product_of(s.v[i], product_of(scale, factor.v[i]))")),
    mutant("no epsilon", LONG, 3, in_rows(", COLL_EPSILON)", ", 0)")),
    # The block.
    mutant("board without a second half", PAIR, 10, in_rows("board[turn++ % 2]", "board[0]")),
    mutant("board read before all have written", PAIR, 5, in_rows("      __syncthreads();\n", "")),
    mutant("cells beyond the row", PAIR, 5, in_rows("if (i < EACH && has(i)) own", "if (i < EACH) own")),
    # Residual and weight.
    mutant("no residual", PAIR, 3, in_oneshot(ADDED, "")),
    mutant("residual after the rounding", PAIR, 3,
           in_oneshot(ADDED, "total[k] = begin_sum(add_pair(round_sum(total[k]), old[k]));")),
    mutant("residual not stored", PAIR, 3, in_oneshot("residual.store(cell(k), r[first + k]);", "")),
    mutant("weight of the next column", PAIR, 3,
           in_oneshot(WEIGHT, WEIGHT.replace("column(i)", "(column(i) + 1) % ROW"))),
    mutant("residual in every step", STEPS, 3, in_nvrar(LAST, "add(total, old[b]);")),
    mutant("residual on one of two nodes", NODES, 3, in_nvrar("if (k == STEPS - 1) add", "if (node == 0) add")),
    mutant("residual of others not stored", NODE, 3, in_nvrar("else residual.store(cell(row, i), r[i]);", "")),
    mutant("last round not normalised", NODE, 5, in_nvrar("row < rows + 2 * all; row", "row < rows + all; row")),
)
# fmt: on


def first_wrong(backend: Kernel, draws: Draws, seeds: int) -> str:
    """What the first scene that goes wrong says, or ""."""
    scenes = (draw_rows(draws.layout, "float16", (draws.hidden,), (1, 3), seed, (64,)) for seed in range(seeds))
    with np.errstate(all="ignore"):
        return next(filter(None, (play(backend, scene) for scene in scenes)), "")


@pytest.mark.parametrize("one", MUTANTS, ids=[one.name.replace(" ", "-") for one in MUTANTS])
def test_a_mistake_is_caught(one: Mutant, tmp_path: Path) -> None:
    backend = patched(one.patches, one.draws.kernel, tmp_path)
    assert first_wrong(backend, one.draws, one.seeds), f"{one.seeds} seeds did not find it"


@pytest.mark.parametrize("draws", [PAIR, LONG, STEPS, NODES, NODE], ids=str)
def test_a_kernel_without_it_passes(draws: Draws) -> None:
    most = max(one.seeds for one in MUTANTS if one.draws == draws)
    assert first_wrong(kernel(draws.kernel), draws, most) == ""


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(("layout", "hidden"), [("1x4", 4096), ("2x2", 24), ("3x2", 512)])
def test_any_rows_and_shapes_have_the_documented_bits(name: str, layout: str, hidden: int) -> None:
    scene = draw_rows(layout, "bfloat16", (hidden,), (1, 2, 5), 0)
    assert play(kernel(name), scene) == "", scene


def test_cells_that_are_loaded_again_give_the_same_bits() -> None:
    again = kernel("oneshot-norm").configured({"keep": "1"})
    for seed in range(3):
        assert play(again, draw_rows("1x3", "bfloat16", (1000,), (1, 3), seed, (64,))) == ""


@pytest.mark.parametrize("name", NORMS)
def test_a_rank_that_never_calls_is_waited_for_in_vain(name: str) -> None:
    assert play(kernel(name), with_silent_rank(draw_rows("2x2", "bfloat16", (24,), (1,), 0))) == ""
