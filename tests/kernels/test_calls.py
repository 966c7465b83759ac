"""The argument of a launch, and the times of its phases from the marks of its blocks."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collbench.devices.device import Values
from collbench.kernels.abi import mark_enumerators, phase_names
from collbench.kernels.calls import KernelCall, Marked
from collbench.kernels.gpu_launch import GpuLaunch

PHASES = ("reduce-scatter", "doubling", "all-gather")
BEGIN = 1 << 20  # ns


def seconds(marks: Sequence[Sequence[int]], phases: Sequence[str]) -> dict[str, float]:
    """The times of phases from what each block notes, in nanoseconds."""
    table = np.zeros((len(marks), 16), np.uint64)
    for block, noted in zip(table, marks, strict=True):
        block[: len(noted)] = noted
    return seconds_of(table, phases)


def seconds_of(table: Values, phases: Sequence[str]) -> dict[str, float]:
    """The same from the array that lies on the device."""
    nothing: Any = None
    return Marked(nothing, SimpleNamespace(get=lambda: table), phases).seconds()


@pytest.mark.parametrize(
    ("nodes", "steps"),
    [(1, []), (2, ["doubling0"]), (3, ["doubling0"]), (4, ["doubling0", "doubling1"]), (7, ["doubling0", "doubling1"]),
     (8, ["doubling0", "doubling1", "doubling2"])],
)  # fmt: skip
def test_a_doubling_is_a_phase_for_every_step(nodes: int, steps: list[str]) -> None:
    assert phase_names(PHASES, nodes) == ("reduce-scatter", *steps, "all-gather")
    assert phase_names(("send", "receive"), nodes) == ("send", "receive")
    assert phase_names((), nodes) == ()


@pytest.mark.parametrize("nodes", [1, 2, 3, 8, 255])
@pytest.mark.parametrize("phases", [PHASES, ("doubling",), ("fold-in", "doubling", "fold-out"), ("send", "receive")])
def test_a_kernel_marks_the_phases_that_are_read(phases: tuple[str, ...], nodes: int) -> None:
    names = phase_names(phases, nodes)
    numbers = dict(each.split("=") for each in mark_enumerators(phases, nodes).split(","))
    assert list(numbers) == [phase.replace("-", "_") for phase in phases]
    for phase in phases:
        first = int(numbers[phase.replace("-", "_")])
        marks = [f"doubling{step}" for step in range(nodes.bit_length() - 1)] if phase == "doubling" else [phase]
        assert list(names[first - 1 : first - 1 + len(marks)]) == marks
    assert mark_enumerators((), nodes) == ""


def test_a_phase_lasts_to_its_end_in_the_last_block() -> None:
    marks = [(BEGIN + 100, BEGIN + 300, BEGIN + 1000), (BEGIN, BEGIN + 500, BEGIN + 900)]
    assert seconds(marks, ("send", "receive")) == pytest.approx({"send": 500e-9, "receive": 500e-9})


def test_a_block_with_nothing_to_do_does_not_count() -> None:
    marks = [(BEGIN, BEGIN + 500, BEGIN + 900), (BEGIN + 50,)]
    assert seconds(marks, ("send", "receive")) == pytest.approx({"send": 500e-9, "receive": 400e-9})


def test_a_rank_that_takes_no_part_in_a_phase_spends_no_time_in_it() -> None:
    marks = [(BEGIN, 0, 0, BEGIN + 700), (BEGIN + 10, 0, 0, BEGIN + 600)]  # it folds its sum away
    found = seconds(marks, phase_names(PHASES, 3))
    assert found == pytest.approx({"reduce-scatter": 0, "doubling0": 0, "all-gather": 700e-9})
    assert seconds([(BEGIN, BEGIN + 200)], ("send", "receive")) == pytest.approx({"send": 200e-9, "receive": 0})


@given(st.lists(st.lists(st.integers(0, 5000).map(lambda ns: ns and BEGIN + ns), min_size=3, max_size=3), min_size=1))
def test_no_phase_is_negative_and_together_they_are_the_kernel(later: list[list[int]]) -> None:
    found = seconds([(BEGIN, *ends) for ends in later], ("one", "two", "three"))
    assert min(found.values()) >= 0
    assert sum(found.values()) == pytest.approx(max(0, *(end - BEGIN for ends in later for end in ends)) * 1e-9)


def test_a_clock_that_counts_from_1970_is_read_to_the_nanosecond() -> None:
    now = 1_790_000_000_123_456_789
    found = seconds([(now, now + 700, now + 1001)], ("send", "receive"))
    assert found == pytest.approx({"send": 700e-9, "receive": 301e-9}, abs=1e-10), "as a float it is known to 256 ns"


def test_a_call_makes_its_launches_in_their_order() -> None:
    made: list[int] = []
    launches: Any = [lambda: made.append(1), lambda: made.append(2)]
    KernelCall(launches, {}, None, None)()
    nothing: Any = None
    marked = Marked(launches[0], nothing, ())
    marked()
    assert made == [1, 2, 1]


# ---- Against NVIDIA's bindings, which need no GPU for this ----


class Argument(ctypes.Structure):
    """A kernel's only argument."""

    _fields_ = [("count", ctypes.c_uint64)]


def launched(monkeypatch: pytest.MonkeyPatch, shape: Mapping[str, int], code: int = 0) -> dict[str, Any]:
    """What the driver is given, as it finds it when it is called."""
    driver = pytest.importorskip("cuda.bindings.driver")
    seen: dict[str, Any] = {}

    def launch(config: Any, function: object, arguments: int, extra: int) -> tuple[Any]:
        first = ctypes.c_void_p.from_address(arguments).value
        assert first is not None
        seen.update(config=config, function=function, count=Argument.from_address(first).count, extra=extra)
        return (driver.CUresult(code),)

    monkeypatch.setattr(driver, "cuLaunchKernelEx", launch)
    GpuLaunch("function", Argument(count=7), shape, 64)()
    return seen


@pytest.mark.parametrize("pdl", [0, 1])
def test_the_driver_gets_the_shape_and_the_argument(monkeypatch: pytest.MonkeyPatch, pdl: int) -> None:
    seen = launched(monkeypatch, {"blocks": 3, "threads": 96, "pdl": pdl})
    config = seen.pop("config")
    assert seen == {"function": "function", "count": 7, "extra": 0}
    assert (config.gridDimX, config.gridDimY, config.gridDimZ) == (3, 1, 1)
    assert (config.blockDimX, config.blockDimY, config.blockDimZ) == (96, 1, 1)
    assert (int(config.hStream), config.sharedMemBytes, config.numAttrs) == (64, 0, pdl)
    if pdl:
        (attribute,) = config.attrs
        assert attribute.id.name == "CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION"
        assert attribute.value.programmaticStreamSerializationAllowed == 1


def test_an_error_of_the_driver_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="CUDA: CUDA_ERROR_INVALID_VALUE"):
        launched(monkeypatch, {"blocks": 0, "threads": 96, "pdl": 0}, code=1)
