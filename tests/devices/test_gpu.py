"""The sampler of the GPU device on a made-up stream: what it enqueues, and which times it takes from the events."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
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
MINE = ("cuda", "gpu", "gpu_norms", "gpu_patterns", "nccl", "starts")
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


def sampler_on(module: ModuleType, stream: Stream, calls: int = 1, start: Callable[[Any], Any] | None = None) -> Any:
    """A sampler whose barrier and calls take their time on the stream."""

    def barrier() -> None:
        stream.add("barrier", BARRIER)

    device = MagicMock()
    device.patterns.delay = lambda nanoseconds: stream.add(f"hold {nanoseconds}", nanoseconds)
    device.patterns.await_word = lambda address, value: stream.add(f"until {value} at {address}", 0)
    call = [lambda: stream.add("call", CALL)] * calls
    begin = start(device.patterns) if start else module.AfterBarrier(device.patterns, barrier)
    return module.GpuSampler(device, begin, call, False, False)


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


@dataclass
class Agreed:
    """An agreement on a start so many seconds from now; ``more``: how often a rank asked for more time."""

    seconds: float
    more: int = 0
    at: float = 0.0

    def start(self) -> float:
        self.at = time.perf_counter() + self.seconds
        return self.at

    def allow_more(self) -> None:
        self.more += 1


class Pinned(bytearray):
    """Memory of the host that a GPU reads."""

    ptr = 4096


def agreed_start(module: ModuleType, monkeypatch: pytest.MonkeyPatch, agreed: Agreed) -> tuple[Any, Pinned]:
    """Makes the start of a sampler from patterns, and the word for which the stream waits."""
    starts, memory = sys.modules["collbench.devices.starts"], Pinned(4)
    monkeypatch.setattr(starts, "Agreement", lambda world: agreed)
    monkeypatch.setattr(sys.modules["cupy"].cuda, "alloc_pinned_memory", lambda size: memory)
    return lambda patterns: module.AtAgreedTime(patterns, None), memory


def test_between_hosts_a_sample_begins_at_the_agreed_time(
    gpu: ModuleType, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed = Agreed(seconds=1e-3)
    start, word = agreed_start(gpu, monkeypatch, agreed)
    sampler = sampler_on(gpu, stream, start=start)
    for sample in (1, 2):
        stream.made.clear()
        assert sampler.sample() == (pytest.approx(4e-6), False)
        assert stream.made == [f"until {sample} at 4096", "event 1", "call", "event 2"]
        assert int.from_bytes(word, sys.byteorder) == sample, "let go"
        assert time.perf_counter() >= agreed.at
    assert agreed.more == 0


def test_a_host_that_misses_the_agreed_time_is_late_and_asks_for_more(
    gpu: ModuleType, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed = Agreed(seconds=-1e-3)
    start, word = agreed_start(gpu, monkeypatch, agreed)
    assert sampler_on(gpu, stream, start=start).sample()[1]
    assert agreed.more == 1
    assert int.from_bytes(word, sys.byteorder) == 1, "the others wait for its calls"


def test_a_stream_that_went_on_while_ranks_agreed_is_late(
    gpu: ModuleType, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Agreed):
        def start(self) -> float:
            stream.late = True
            return super().start()

    start, _ = agreed_start(gpu, monkeypatch, Slow(seconds=1e-3))
    assert sampler_on(gpu, stream, start=start).sample()[1]


@pytest.mark.parametrize(("local", "kind"), [(True, "AfterBarrier"), (False, "AtAgreedTime")])
def test_ranks_of_one_host_start_behind_a_barrier_and_those_of_several_by_their_clocks(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, local: bool, kind: str
) -> None:
    agreed_start(gpu, monkeypatch, Agreed(0))
    device = object.__new__(gpu.Gpu)
    device.patterns, device.stream, device._aligners = MagicMock(), MagicMock(), {None: MagicMock()}
    world = SimpleNamespace(is_local=local, layout=None)
    assert type(device._start(world)).__name__ == kind
