"""What stands between collectives: products with the shapes of the model, and weights that take turns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from collbench.devices.cpu import Cpu
from collbench.devices.cpu_matrices import CpuMatrices
from collbench.devices.device import Array, Call
from collbench.errors import UsageError
from collbench.llm.order import ATTENTION, BLOCK, HEAD, Work
from collbench.llm.spec import parse_spec
from collbench.replay.compute import Products, check_products, compute_of


@dataclass
class Shapes:
    """Matrices that remember the products asked for; implements ``Matrices``."""

    made: list[tuple[int, int]] = field(default_factory=list)
    products: list[tuple[tuple[int, int], int]] = field(default_factory=list)

    def filled(self, rows: int, columns: int) -> Array:
        self.made.append((rows, columns))
        return (rows, columns, len(self.made))

    def empty(self, rows: int, columns: int) -> Array:
        return (rows, columns)

    def touched(self, array: Array) -> Call:
        return lambda: None

    def product(self, rows: Array, weight: Array, into: Array) -> Call:
        assert (rows[0], weight[0], rows[1]) == (*into, weight[1])
        self.products.append((into, weight[2]))
        return lambda: None


def products(held: int) -> tuple[Products, Shapes]:
    listing = parse_spec("llama-3.1-70b:tp=2:batch=5").listing()
    shapes = Shapes()
    return Products(shapes, listing.deployment, listing.shown()[-1], range(80), held), shapes


def test_a_layer_has_the_products_of_the_model_on_padded_tokens() -> None:
    compute, shapes = products(2)
    for work in (Work(ATTENTION, 0), Work(BLOCK, 0), Work(HEAD, 79)):
        compute.calls(work)
    assert [shape for shape, _ in shapes.products] == [(8, 5120), (8, 8192), (8, 28672), (8, 8192), (5, 64128)]


def test_weights_take_turns_and_activations_are_shared() -> None:
    compute, shapes = products(2)
    weights = []
    for layer in range(4):
        compute.calls(Work(ATTENTION, layer))
        weights.append(tuple(weight for _, weight in shapes.products[-2:]))
    assert weights[0] != weights[1]
    assert weights[:2] == weights[2:]
    assert shapes.made.count((8, 8192)) == shapes.made.count((8, 4096)) == 1
    assert compute.words == "matrix products with weights of 2 layers in turns"


def test_products_of_cpu_ranks_are_those_of_numpy() -> None:
    matrices = CpuMatrices()
    rows, weight, into = matrices.filled(3, 8), matrices.filled(5, 8), matrices.empty(3, 5)
    matrices.product(rows, weight, into)()
    np.testing.assert_allclose(into, rows @ weight.T, rtol=1e-5)
    assert 0.5 < float(np.std(matrices.filled(100, 64)) * 8) < 1.5


def test_nothing_and_a_spin() -> None:
    listing = parse_spec("llama-3.1-70b:tp=2").listing()
    given = (Cpu(), listing.deployment, listing.shown()[-1], 0)
    assert compute_of("none", 1e-5, *given).calls(Work(ATTENTION, 0)) == ()
    spin = compute_of("spin", 1e-5, *given)
    assert (len(spin.calls(Work(HEAD, 79))), spin.words) == (1, "spins of 10 us")


@pytest.mark.parametrize("model", ["mixtral-8x7b", "deepseek-v3"])
def test_products_of_experts_are_refused(model: str) -> None:
    with pytest.raises(UsageError, match="use --compute spin"):
        check_products(parse_spec(f"{model}:tp=8").listing().deployment)
