"""A part of a replay that is ready to be timed: calls in their order as one graph, and the proof of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from collbench.devices.device import Call, Device, Errors, Sampler
from collbench.measure.operation import Sample
from collbench.proof.buffers import Rounds
from collbench.proof.prepared import Prepared
from collbench.ranks.world import World


class Part:
    """``calls`` of this rank, which may be none, and what judges their answers; implements ``Timed``.

    Creating one and all methods are collective over the world: first ``rehearse``, then ``start``. ``whole``: a sample
    is the time of all calls together, not that of each.
    """

    def __init__(
        self, world: World, device: Device, calls: Sequence[Call], judged: Sequence[Prepared], whole: bool
    ) -> None:
        self.device, self._world, self._judged = device, world, judged
        self._calls = list(calls) or [partial(device.hold_back, 0.0)]
        self._times = len(self._calls) if whole else 1
        most = world.highest_int(len(self._calls))  # every rank takes as many samples as those with the most calls
        self.rounds = Rounds(most, most, overlap=False)
        self._sampler: Sampler | None = None

    def rehearse(self) -> None:
        """Make the calls once outside of a graph: libraries connect, and choose kernels, in their first calls."""
        self._load()
        for call in self._calls:
            call()
        self.device.settle()
        self._world.comm.Barrier()

    def start(self) -> None:
        """Record the calls as a graph."""
        self._sampler = self.device.sampler(self._world, self._calls, "chain", False)

    def _replay(self) -> tuple[float, bool]:
        assert self._sampler is not None, "start comes first"
        seconds, late = self._sampler.sample()
        return seconds * self._times, late

    def _load(self) -> None:
        """Write fresh inputs on all ranks: one-sided libraries may access them from now on."""
        for each in self._judged:
            each.load()
        self.device.settle()
        self._world.comm.Barrier()

    def prove(self) -> tuple[Errors, str | None]:
        """Errors in outputs, guards and inputs of replays with every kind of data, and a description of the first."""
        total, words = Errors(), None
        turns = self._world.highest_int(max((each.layers for each in self._judged), default=0))
        for _ in range(turns):
            self._load()
            self._replay()
            for found, description in [each.check_all() for each in self._judged]:
                total = Errors(total.wrong + found.wrong, units=max(total.units, found.units))
                words = words or description
        return total, words

    def sample(self) -> Sample:
        """One replay on fresh inputs, whose answers are checked after the timed part."""
        for each in self._judged:
            each.load()
        seconds, late = self._replay()
        total, words = Errors(), None
        for found, description in [each.check() for each in self._judged]:
            total = Errors(total.wrong + found.wrong, units=max(total.units, found.units))
            words = words or description
        return Sample(seconds, late, total, words)

    def close(self) -> None:
        """Release the graph."""
        if self._sampler is not None:
            self._sampler.close()
