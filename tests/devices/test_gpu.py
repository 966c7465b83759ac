"""The sampler of the GPU device on a made-up stream: what it enqueues, and which times it takes from the events."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

LIBRARIES = (
    "cupy",
    "cuda",
    "cuda.bindings",
    "cuda.bindings.runtime",
    "cuda.core",
    "nccl",
    "nccl.core",
    "nccl.bindings",
)
MINE = ("cuda", "gpu", "gpu_norms", "gpu_patterns", "nccl")
BARRIER, CALL = 10_000, 4_000  # ns that these take on the stream
SUCCESS, NOT_READY = 0, 600


@dataclass
class Stream:
    """A stream that runs everything at once and knows its time, in ns; ``queried``: the events it was asked for."""

    now: int = 0
    made: list[str] = field(default_factory=list)
    at: dict[int, int] = field(default_factory=dict)
    queried: list[int] = field(default_factory=list)
    late: bool = False

    def add(self, what: str, nanoseconds: int) -> None:
        self.made.append(what)
        self.now += nanoseconds

    def record(self, event: int, stream: object) -> tuple[int]:
        self.made.append(f"event {event}")
        self.at[event] = self.now
        return (0,)

    def query(self, event: int) -> tuple[int]:
        self.queried.append(event)
        return (SUCCESS if self.late else NOT_READY,)

    def elapsed(self, first: int, last: int) -> tuple[int, float]:
        return 0, (self.at[last] - self.at[first]) * 1e-6


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, stream: Stream) -> ModuleType:
    """The module of the GPU device over libraries that are not here, and gone after the test."""
    import collbench.devices

    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, MagicMock())
    for name in MINE:
        monkeypatch.setattr(collbench.devices, name, None, raising=False)
        monkeypatch.setitem(sys.modules, f"collbench.devices.{name}", ModuleType(name))
        del sys.modules[f"collbench.devices.{name}"]
    module = importlib.import_module("collbench.devices.gpu")
    events = iter(range(3))
    runtime = SimpleNamespace(
        cudaEventCreate=lambda: (0, next(events)), cudaEventRecord=stream.record, cudaEventQuery=stream.query,
        cudaEventSynchronize=lambda event: (0,), cudaEventElapsedTime=stream.elapsed,
        cudaError_t=SimpleNamespace(cudaSuccess=SUCCESS),
    )  # fmt: skip
    monkeypatch.setattr(module, "cudart", runtime)
    return module


def sampler_on(module: ModuleType, stream: Stream, calls: int = 1) -> Any:
    """A sampler whose barrier and calls take their time on the stream."""
    device = MagicMock()
    device.patterns.delay = lambda nanoseconds: stream.add(f"hold {nanoseconds}", nanoseconds)
    call = [lambda: stream.add("call", CALL)] * calls
    return module.GpuSampler(device, lambda: stream.add("barrier", BARRIER), call, False, False)


def test_a_late_rank_spins_between_the_barrier_and_its_call(gpu: ModuleType, stream: Stream) -> None:
    arrival, seconds, late = sampler_on(gpu, stream).skewed(25.4e-6)
    assert stream.made == ["hold 100000", "barrier", "event 0", "hold 25400", "event 1", "call", "event 2"]
    assert (arrival, seconds) == (pytest.approx(25.4e-6), pytest.approx(4e-6))
    assert late is False
    assert stream.queried == [0], "the host must be done before anything after the barrier begins"


def test_the_earliest_rank_spins_too_but_for_no_time(gpu: ModuleType, stream: Stream) -> None:
    assert sampler_on(gpu, stream).skewed(0.0) == (0.0, pytest.approx(4e-6), False)
    assert stream.made[3] == "hold 0"


def test_ranks_that_arrive_together_do_not_spin_again(gpu: ModuleType, stream: Stream) -> None:
    assert sampler_on(gpu, stream, calls=3).sample() == (pytest.approx(4e-6), False)
    assert stream.made == ["hold 100000", "barrier", "event 1", *["call"] * 3, "event 2"]
    assert stream.queried == [1]


def test_a_late_host_is_given_more_time_for_the_next_sample(gpu: ModuleType, stream: Stream) -> None:
    sampler, stream.late = sampler_on(gpu, stream), True
    assert sampler.skewed(1e-6)[2]
    stream.made.clear()
    sampler.skewed(1e-6)
    assert stream.made[0] == "hold 200000"
