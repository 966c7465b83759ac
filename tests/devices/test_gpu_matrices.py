"""Products on a GPU over a cuBLAS in numpy: shapes, order of arguments, and the stream and workspace of a capture."""

from __future__ import annotations

import ctypes
import importlib
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from collbench.devices.device import Values
from collbench.plan.dtypes import DTYPES

STREAM = 42
Floats = ctypes.POINTER(ctypes.c_float)


class OnDevice(np.ndarray[Any, Any]):
    """An array whose address is found as in cupy."""

    @property
    def data(self) -> Any:
        return SimpleNamespace(ptr=self.ctypes.data)


class Blas:
    """The functions of cuBLAS that are called, as the documentation has them: matrices are stored by columns."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.stream: int | None = None
        self.refuses = False

    def __getattr__(self, name: str) -> Callable[..., int]:
        def function(*arguments: Any) -> int:
            self.called.append(name)
            if name == "cublasSetStream_v2":
                self.stream = arguments[1].value
            return 0

        return function

    def cublasGemmEx(self, *arguments: Any) -> int:  # noqa: N802 - its name
        if self.refuses:
            return 15
        _, of_a, of_b, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc, compute, _ = arguments
        assert (of_a, of_b) == (1, 0)
        assert (a_type, b_type, c_type, compute) == (0, 0, 0, 68)
        first = stored(a, lda, m)[:k].T  # transposed as asked
        target = stored(c, ldc, n)
        target[:m] = number(alpha) * first @ stored(b, ldb, n)[:k] + number(beta) * target[:m]
        return 0


def stored(address: ctypes.c_void_p, rows: int, columns: int) -> Values:
    """The matrix at an address, by columns of ``rows`` floats."""
    return np.ctypeslib.as_array(ctypes.cast(address, Floats), (columns, rows)).T


def number(address: ctypes.c_void_p) -> float:
    return float(ctypes.cast(address, Floats)[0])


@pytest.fixture
def blas() -> Blas:
    return Blas()


@pytest.fixture
def matrices(monkeypatch: pytest.MonkeyPatch, blas: Blas) -> Any:
    """Products in float32 over libraries that are not here, and gone after the test."""
    import collbench.devices

    name = "collbench.devices.gpu_matrices"
    cupy: Any = ModuleType("cupy")
    cupy.uint8, cupy.uint32, cupy.RawKernel = np.uint8, np.uint32, lambda code, function: code
    cupy.empty = lambda shape, dtype: np.zeros(shape, dtype).view(OnDevice)
    cupy.asarray = lambda values: values.view(OnDevice)
    pathfinder: Any = ModuleType("cuda.pathfinder")
    pathfinder.load_nvidia_dynamic_lib = lambda library: SimpleNamespace(abs_path=f"lib{library}")
    for library, module in (("cupy", cupy), ("cuda.pathfinder", pathfinder)):
        monkeypatch.setitem(sys.modules, library, module)
    monkeypatch.setattr(collbench.devices, "gpu_matrices", None, raising=False)
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    del sys.modules[name]
    module = importlib.import_module(name)
    monkeypatch.setattr(module.ctypes, "CDLL", lambda path: blas)
    return module.GpuMatrices(DTYPES["float32"], STREAM)


def floats(array: Any) -> Values:
    return np.asarray(array).view(np.float32)


def test_a_product_is_rows_times_the_transposed_weight(matrices: Any) -> None:
    rows, weight, into = matrices.filled(3, 8), matrices.filled(5, 8), matrices.empty(3, 5)
    matrices.product(rows, weight, into)()
    np.testing.assert_allclose(floats(into), floats(rows) @ floats(weight).T, rtol=1e-5)


def test_the_workspace_is_set_after_the_stream_which_resets_it(matrices: Any, blas: Blas) -> None:
    assert blas.called == ["cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2"]
    assert blas.stream == STREAM


def test_a_refusal_is_an_error(matrices: Any, blas: Blas) -> None:
    blas.refuses = True
    with pytest.raises(RuntimeError, match="cublasGemmEx returned status 15"):
        matrices.product(matrices.filled(3, 8), matrices.filled(5, 8), matrices.empty(3, 5))()


def test_numbers_are_spread_as_the_products_of_a_model(matrices: Any) -> None:
    values = floats(matrices.filled(1 << 12, 1 << 10))
    assert values.shape == (1 << 12, 1 << 10)
    assert float(values.std()) == pytest.approx(2.0**-5, rel=0.02)
    assert not np.array_equal(values[0], values[1])
