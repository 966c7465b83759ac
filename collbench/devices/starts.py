"""How the ranks of a world begin a sample together, each on the stream of its GPU, once everything is enqueued."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import cupy
import numpy as np

from collbench.devices import nccl
from collbench.devices.clocks import Agreement, wait_until
from collbench.devices.gpu_patterns import Patterns
from collbench.ranks.world import World

FIRST_DELAY_NS, LONGEST_DELAY_NS = 100_000, 50_000_000


class Start(Protocol):
    """What the stream waits for before a sample; collective."""

    def hold(self) -> None:
        """Let what is enqueued from now on wait."""

    def release(self, begun: Callable[[], bool]) -> bool:
        """Everything is enqueued; ``begun()``: the stream was faster. Returns whether this rank was late."""


class Aligner:
    """A barrier on the stream: a four-byte all-reduce over a registered window. Of all collectives its ranks finish
    closest together, since each waits for the flags of all others."""

    def __init__(self, world: World, stream: int) -> None:
        self._comm, self._stream = nccl.NcclCommunicator(world), stream
        arena = nccl.allocate(1 << 16)
        arena.fill(0)
        self._word = arena[:4].view(np.float32)
        self._comm.register(arena)

    def __call__(self) -> None:
        self._comm.all_reduce(self._word, self._stream)

    def close(self) -> None:
        """Destroy the communicator; collective."""
        self._comm.close()


class AfterBarrier:
    """On one host: a spinning kernel keeps the stream busy while the host enqueues, then a barrier on the stream.

    The next spin is longer where the host was late.
    """

    def __init__(self, patterns: Patterns, align: Aligner) -> None:
        self._patterns, self._align, self._delay = patterns, align, FIRST_DELAY_NS

    def hold(self) -> None:
        self._patterns.delay(self._delay)
        self._align()

    def release(self, begun: Callable[[], bool]) -> bool:
        late = begun()
        if late:
            self._delay = min(2 * self._delay, LONGEST_DELAY_NS)
        return late


class AtAgreedTime:
    """Between hosts, whose ranks leave a barrier up to a trip of the network apart: a kernel spins until its host lets
    it go, and hosts do so at a time that they agree on by their clocks.

    What starts apart biases chains, too: of ranks that exchange, the early one waits for the late one in every call.
    """

    def __init__(self, patterns: Patterns, world: World) -> None:
        self._patterns, self._agreement = patterns, Agreement(world)
        self._memory = cupy.cuda.alloc_pinned_memory(4)
        self._word = np.frombuffer(self._memory, np.uint32, 1)
        self._word[0] = self._sample = 0

    def hold(self) -> None:
        self._sample += 1
        self._patterns.await_word(self._memory.ptr, self._sample)

    def release(self, begun: Callable[[], bool]) -> bool:
        start = self._agreement.start()
        passed = time.perf_counter() > start
        wait_until(start)
        late = begun()  # only now: while ranks agreed, the kernel may have waited for its longest
        self._word[0] = self._sample
        if passed:
            self._agreement.allow_more()
        return late or passed
