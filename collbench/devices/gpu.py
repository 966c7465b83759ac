"""The GPU device: stream, events and graphs behind the ``Device`` protocol."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import cupy
import numpy as np
from cuda.bindings import runtime as cudart
from cuda.core import Device as CoreDevice

from collbench.devices import nccl
from collbench.devices.cuda import Graph, check
from collbench.devices.device import Array, Call, Errors, Expectation, Recording, Region, Rows, Sampler, Values
from collbench.devices.gpu_norms import Norms
from collbench.devices.gpu_patterns import Patterns
from collbench.devices.starts import AfterBarrier, Aligner, AtAgreedTime, Start
from collbench.errors import HangError
from collbench.host import multicast, probes
from collbench.host.memory import Room
from collbench.plan.layout import Layout
from collbench.ranks.world import World


class Gpu:
    """One GPU of this host, with one stream; implements ``Device``."""

    kind = "gpu"

    def __init__(self, world: World) -> None:
        self.index = world.local_rank % cupy.cuda.runtime.getDeviceCount()
        CoreDevice(self.index).set_current()
        cupy.cuda.Device(self.index).use()
        traits = cupy.cuda.runtime.getDeviceProperties(self.index)
        self.name = traits["name"].decode()
        self.multiprocessors = traits["multiProcessorCount"]
        self.arch = f"sm_{traits['major']}{traits['minor']}"
        self.hot_bytes, self.cold_bytes = traits["l2CacheSize"] // 8, 2 * traits["l2CacheSize"]
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.stream.use()
        self.patterns = Patterns()
        self._arena: Array = None
        self.alarms: list[Callable[[], HangError | None]] = []  # polled when the device fails
        self._aligners: dict[Layout, Aligner] = {}

    @cached_property
    def norms(self) -> Norms:
        """The kernels that judge normalised rows, compiled when the first are judged."""
        return Norms()

    def room(self, ranks: int) -> Room:
        return Room(cupy.cuda.runtime.memGetInfo()[0], "on this GPU")

    def arena(self, size: int) -> Array:
        if self._arena is None or self._arena.size < size:
            self._arena = None  # free the old arena before the new one is allocated
            self._arena = nccl.allocate(size)
        return self._arena

    def view(self, arena: Array, region: Region, slot: int) -> Array:
        start = region.offset + slot * region.stride
        raw = arena[start : start + region.count * region.dtype.itemsize]
        return raw.view(np.uint16 if region.dtype.name == "bfloat16" else region.dtype.numpy)

    def upload(self, values: Values) -> Array:
        return cupy.asarray(values.view(f"u{values.dtype.itemsize}"))

    def expectation(self, expected: Expectation) -> Array:
        return cupy.asarray(np.stack([expected.middle, expected.tolerance, expected.units]))

    def fill(self, arena: Array, region: Region, table: Array, start: int, step: int) -> None:
        self.patterns.fill(arena, region, table, start, step)

    def poison(self, arena: Array, region: Region) -> None:
        width = region.count * region.dtype.itemsize
        start = arena.data.ptr + region.offset
        check(cudart.cudaMemset2DAsync(start, region.stride, 0xFF, width, region.slots, self.stream.ptr))

    def judge(self, arena: Array, region: Region, expected: Any, start: int, step: int) -> Errors:
        return self.patterns.judge(arena, region, expected, start, step)

    def judge_rows(self, arena: Array, rows: Rows, weights: Array, start: int, step: int) -> Errors:
        return self.norms.judge(arena, rows, weights, start, step)

    def download(self, arena: Array, region: Region, slot: int) -> Values:
        host: Values = cupy.asnumpy(self.view(arena, region, slot))
        return host.view(region.dtype.numpy)

    def settle(self) -> None:
        with self.listening():
            self.stream.synchronize()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn a failure of the device into HangError where a kernel's spin timed out and recorded the missing rank."""
        try:
            yield
        except Exception as error:
            hang = next((found for alarm in self.alarms if (found := alarm())), None)
            if hang is None:
                raise
            raise hang from error

    def sampler(self, world: World, calls: Sequence[Call], mode: str, cold: bool) -> Sampler:
        return GpuSampler(self, self._start(world), calls, mode == "chain", cold)

    def _start(self, world: World) -> Start:
        if not world.is_local:
            return AtAgreedTime(self.patterns, world)
        if world.layout not in self._aligners:
            self._aligners[world.layout] = Aligner(world, self.stream.ptr)
        return AfterBarrier(self.patterns, self._aligners[world.layout])

    def recorded(self, calls: Sequence[Call]) -> Recording:
        graph = Graph(self.stream.ptr, calls)
        graph.ready()
        return graph

    def hold_back(self, seconds: float) -> None:
        self.patterns.delay(round(seconds * 1e9))

    def kernels(self, call: Call) -> tuple[str, ...]:
        """Names of the kernels that ``call`` launches, read from a CUDA graph of it; nothing runs."""
        try:
            graph = Graph(self.stream.ptr, [call])
        except RuntimeError:
            return ()
        try:
            return graph.kernels()
        finally:
            graph.close()

    def throttled(self) -> str | None:
        import pynvml

        with suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            bus = cupy.cuda.runtime.deviceGetPCIBusId(self.index)
            handle = pynvml.nvmlDeviceGetHandleByPciBusId(bus)
            return probes.throttled(pynvml, handle)
        return None

    def facts(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "index": self.index,
            "pci": cupy.cuda.runtime.deviceGetPCIBusId(self.index),
            "driver": cupy.cuda.runtime.driverGetVersion(),
            "runtime": cupy.cuda.runtime.runtimeGetVersion(),
            "nccl": nccl.version(),
            "multicast": multicast.facts(self.index, os.environ),
        }

    def leave(self, world: World) -> None:
        aligner = self._aligners.pop(world.layout, None)
        if aligner is not None:
            aligner.close()

    def close(self) -> None:
        self._arena = None


class GpuSampler:
    """Times calls between two events after a common start; all are enqueued before the GPU starts on them.

    If the first event completes before the last call is enqueued, the host was late, and the sample is marked.

    A rank that is to arrive late spins after the start, between an event more and the first one. All ranks of
    such a sample do, the earliest for no time, since launching that kernel delays them all alike. Its length is only
    what is asked for: both events around it say when the rank arrived, on its own clock from the start.
    """

    def __init__(self, gpu: Gpu, begin: Start, calls: Sequence[Call], graph: bool, cold: bool) -> None:
        self._gpu, self._begin, self._calls = gpu, begin, calls
        self._flush = cupy.empty(gpu.cold_bytes, cupy.uint8) if cold else None
        self._origin, self._start, self._stop = (check(cudart.cudaEventCreate()) for _ in range(3))
        self._graph = Graph(gpu.stream.ptr, calls) if graph else None
        if self._graph:
            self._graph.ready()

    def _run(self) -> None:
        if self._graph:
            self._graph.launch()
            return
        for call in self._calls:
            call()

    def sample(self) -> tuple[float, bool]:
        late = self._take()
        return _seconds(self._start, self._stop) / len(self._calls), late

    def skewed(self, delay: float) -> tuple[float, float, bool]:
        late = self._take(delay)
        return _seconds(self._origin, self._start), _seconds(self._start, self._stop), late

    def _take(self, skew: float | None = None) -> bool:
        """Take one sample, in which this rank arrives ``skew`` seconds after the barrier if that is given; returns
        whether the host was late."""
        stream = self._gpu.stream.ptr
        if self._flush is not None:
            self._flush.fill(1)
        self._begin.hold()
        first = self._start
        if skew is not None:
            first = self._origin
            check(cudart.cudaEventRecord(first, stream))
            self._gpu.patterns.delay(round(skew * 1e9))
        check(cudart.cudaEventRecord(self._start, stream))
        self._run()
        check(cudart.cudaEventRecord(self._stop, stream))
        late = self._begin.release(lambda: bool(cudart.cudaEventQuery(first)[0] == cudart.cudaError_t.cudaSuccess))
        with self._gpu.listening():
            check(cudart.cudaEventSynchronize(self._stop))
        return late

    def close(self) -> None:
        self._gpu.settle()
        if self._graph:
            self._graph.close()
        for event in (self._origin, self._start, self._stop):
            check(cudart.cudaEventDestroy(event))


def _seconds(first: Any, last: Any) -> float:
    """Seconds between two events."""
    milliseconds: float = check(cudart.cudaEventElapsedTime(first, last))
    return milliseconds * 1e-3
