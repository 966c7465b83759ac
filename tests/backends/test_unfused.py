"""The unfused forms of all_reduce_rms_norm: an all-reduce of the message alone, and the norm behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from samples import a_layout, a_problem

from collbench.backends import DescribedCall, _kernels, mpi, nccl, nccl_symm, nvrar, nvrar_unfused, nvshmem
from collbench.backends._unfused import after, in_sequence, norm_on_host, plain
from collbench.kernels.calls import KernelCall
from collbench.plan import rms_norm
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.problem import Problem
from collbench.registry import default_backends

ROWS = replace(
    a_problem("all_reduce", "bfloat16", size=130), collective=COLLECTIVES["all_reduce_rms_norm"], hidden=16
)  # 4 rows of 16, and two bytes


def noted(words: str, into: list[str]) -> Callable[[], None]:
    """A call that notes that it was made."""
    return lambda: into.append(words)


def test_the_all_reduce_is_that_of_whole_rows() -> None:
    assert plain(ROWS).count == ROWS.count == 64
    assert (plain(ROWS).collective.name, plain(ROWS).hidden, plain(ROWS).refusal()) == ("all_reduce", 0, None)


def test_the_norm_follows_the_all_reduce_of_the_message() -> None:
    made: list[str] = []
    asked: list[tuple[Problem, int, int]] = []

    def prepare(words: str) -> Callable[[Problem, Any, Any], Callable[[], None]]:
        def prepared(problem: Problem, send: Any, recv: Any) -> Callable[[], None]:
            asked.append((problem, len(send), len(recv)))
            return noted(words, made)

        return prepared

    call = in_sequence(ROWS, np.zeros(80), np.zeros(128), prepare("reduce"), prepare("norm"))
    call()
    assert made == ["reduce", "norm"]
    assert asked == [(plain(ROWS), 64, 64), (ROWS, 80, 128)]
    assert (call.params, call.wire_bytes, call.marked) == ({}, None, None)


def test_it_is_described_by_its_all_reduce() -> None:
    reduce = KernelCall([noted("", [])], {"blocks": "4"}, 12.0, None)
    call = in_sequence(ROWS, np.zeros(80), np.zeros(128), lambda *_: reduce, norm_on_host)
    assert isinstance(call, DescribedCall)
    assert (call.params, call.wire_bytes) == ({"blocks": "4"}, 12.0)


def test_the_norm_in_numpy_updates_rows_and_residual() -> None:
    draw, kind = np.random.default_rng(1), ROWS.dtype.numpy
    send, recv = (draw.standard_normal(n).astype(kind) for n in (ROWS.sent(0), ROWS.received(0)))
    summed, old, weight = recv[:64].copy(), recv[64:].copy(), send[64:]
    norm_on_host(ROWS, send, recv)()
    rows, residual = rms_norm.reference(summed.reshape(1, 4, 16), old.reshape(4, 16), weight)
    np.testing.assert_array_equal(recv.astype(np.float32), np.concatenate([rows, residual]).reshape(-1).astype("f4"))


def test_the_residual_is_added_to_a_rounded_sum() -> None:
    kind = ROWS.dtype.numpy
    parts = np.array([[1], [2.0**-9], [2.0**-8]], kind)  # 1 + 2**-9 rounds to 1, which the third then does not change
    order = nvrar.exact_order(plain(replace(ROWS, layout=a_layout(2))))
    assert order
    assert after(order, parts)[0] == 1
    assert rms_norm.flat_residual(parts[:-1], parts[-1])[0] != 1


@pytest.mark.parametrize("backend", [mpi, nccl, nccl_symm, nvshmem, nvrar_unfused])
def test_libraries_have_it_where_they_have_the_all_reduce(backend: Any) -> None:
    assert backend.refuses(ROWS) is None
    assert backend.EXACT_NORM


def test_unfused_nvrar_has_no_other_collective_and_refuses_what_nvrar_does() -> None:
    assert nvrar_unfused.refuses(a_problem()) == "nvrar-unfused implements all_reduce_rms_norm, not all_reduce"
    uneven = replace(ROWS, layout=replace(a_layout(3), nodes=(0, 0, 1)))
    assert nvrar_unfused.refuses(uneven) == nvrar.refuses(plain(uneven)) is not None
    assert nvrar_unfused.wire_bytes(ROWS) == nvrar.wire_bytes(plain(ROWS))
    assert nvrar_unfused.missing() == _kernels.missing()
    assert "nvrar-unfused" not in default_backends()
    assert "nvrar-unfused" in default_backends(["all_reduce", "all_reduce_rms_norm"])
    order = nvrar_unfused.exact_order(ROWS)
    assert order
    inputs = np.random.default_rng(2).standard_normal((5, 64)).astype(ROWS.dtype.numpy)
    reduced = nvrar.exact_order(plain(ROWS))
    assert reduced
    np.testing.assert_array_equal(order(inputs).view("u2"), after(reduced, inputs).view("u2"))
