"""Host memory as a device: it judges NaN and infinities, delays work, and repeats calls."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from collbench.devices.cpu import Cpu
from collbench.devices.device import PERIOD, Array, Floats, Region
from collbench.plan.dtypes import DTYPES
from collbench.proof.patterns import numerically

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("want", "got", "wrong"),
    [
        (NAN, NAN, 0), (NAN, 1.0, 1), (NAN, INF, 1), (INF, INF, 0), (INF, -INF, 1), (INF, 3e38, 1), (INF, NAN, 1),
        (1.0, NAN, 1), (1.0, INF, 1), (0.0, -0.0, 0), (1e-45, 0.0, 1), (1e-45, 1e-45, 0),
    ],
)  # fmt: skip
def test_a_cpu_judges_nan_and_infinities(want: float, got: float, wrong: int) -> None:
    arena, table = np.zeros(4 * PERIOD, np.uint8), np.zeros(PERIOD, np.float32)
    table[7] = want
    values = arena.view(np.float32)
    values[:] = table
    values[7] = got
    found = Cpu().judge(arena, Region(0, 0, 1, PERIOD, DTYPES["float32"]), numerically(table), 0, 0)
    assert (found.wrong, found.index) == (wrong, 7 * wrong)


def test_a_cpu_holds_back_and_makes_recorded_calls_again() -> None:
    made: list[Array] = []
    device = Cpu()
    recording = device.recorded([lambda: made.append(1), lambda: made.append(2)])
    assert made == []
    recording.launch()
    recording.launch()
    recording.close()
    assert made == [1, 2, 1, 2]
    began = time.monotonic()
    device.hold_back(0.02)
    assert time.monotonic() - began >= 0.02


def test_a_late_rank_arrives_after_its_delay_and_its_time_begins_there() -> None:
    made: list[int] = []
    world = SimpleNamespace(is_local=True, comm=SimpleNamespace(Allreduce=_alone), highest=lambda values: values)
    for cold in (False, True):
        sampler = Cpu().sampler(cast(Any, world), [lambda: made.append(1)], "isolated", cold)
        for delay in (0.0, 2e-3):
            arrival, seconds, late = sampler.skewed(delay)
            assert arrival >= delay
            assert seconds >= 0
            assert late is False
    assert made == [1] * 4


def _alone(mine: Floats, out: Floats, op: object) -> None:
    """The reduction of one rank."""
    out[:] = mine
