"""A case made ready to run: buffers laid out, calls prepared, proof at hand, sampler set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collbench.backends import Backend, Session
from collbench.device import Call, Device, Finding, Sampler
from collbench.plan import Workload
from collbench.verify import Proof, lay_out, stride_of
from collbench.world import World

FEWEST_SLOTS, MOST_CALLS = 2, 256
COLD_ARENA = 512 << 20
SPAN = {"cpu": 1e-3, "gpu": 1e-3}  # seconds of one sample: 100 times what starting and stopping it costs


@dataclass(frozen=True)
class Sample:
    """One timed sample on this rank: seconds per call, whether the host was late, and what the check found."""

    seconds: float
    late: bool
    finding: Finding
    words: str | None


def arena_bytes(work: Workload, device: Device) -> int:
    """Bytes of arena that the workload may use."""
    most = COLD_ARENA if work.cache == "cold" else device.hot_bytes
    return max(most, FEWEST_SLOTS * stride_of(work))


def _most_slots(work: Workload, device: Device) -> int:
    """Slots that fit the cache where the workload wants its buffers hot, or the arena where it wants them cold."""
    room = COLD_ARENA if work.cache == "cold" else device.hot_bytes
    return max(FEWEST_SLOTS, min(MOST_CALLS, room // stride_of(work)))


def calls_per_sample(work: Workload, device: Device, seconds: float) -> int:
    """Calls in one sample, so many that starting and stopping it costs less than 1 %; 1 for isolated calls.

    A slot serves only one call a sample where its buffers must be cold, and where a second call would reduce the
    result of the first, in place.
    """
    if work.mode == "isolated":
        return 1
    once = work.cache == "cold" or work.in_place
    most = _most_slots(work, device) if once else MOST_CALLS
    return max(1, min(most, round(SPAN[device.kind] / max(seconds, 1e-7)) + 1))


def slots_for(work: Workload, device: Device, calls: int) -> int:
    """Slots to go round: one a call, or as many as there is room for; the same one again where two exceed the cache,
    as in nccl-tests."""
    most = _most_slots(work, device)
    if work.cache == "hot" and not work.in_place and most * stride_of(work) > device.hot_bytes:
        return 1
    return min(calls, most)


class Operation:
    """One workload on one backend. Every rank of the world makes the same calls on it in the same order."""

    def __init__(
        self,
        device: Device,
        world: World,
        backend: Backend,
        session: Session,
        work: Workload,
        slots: int,
        prove: bool,
    ) -> None:
        self._device, self._world, self._session, self._work = device, world, session, work
        buffers, arena = lay_out(work, world.rank, slots), session.arena
        emulate = backend.emulate(work)
        self._proof = Proof(device, arena, buffers, work, world.rank, emulate) if prove else None
        self._calls: Sequence[Call] = [
            session.prepare(work, device.view(arena, buffers.send, slot), device.view(arena, buffers.recv, slot))
            for slot in range(slots)
        ]
        self._sampler: Sampler | None = None
        self._used = slots
        self.iteration = 0

    @property
    def first_call(self) -> Call:
        """The call on slot 0."""
        return self._calls[0]

    def prove(self) -> tuple[Finding, str | None]:
        """All layers, on calls back to back without a barrier between them: total of what is wrong, in words."""
        total, words = Finding(), None
        if self._proof is None:
            self._run_once()
            return total, None
        for _ in range(self._proof.layers):
            self._proof.load(self.iteration, self._used)
            self._meet()
            self._run_once()
            found, said = self._proof.check(self.iteration, self._used)
            total = Finding(total.wrong + found.wrong, units=max(total.units, found.units))
            words = words or said
            self.iteration += 1
        return total, words

    def _meet(self) -> None:
        """Wait until all ranks have their inputs in place: one-sided libraries may read and write from now on."""
        self._device.settle()
        self._world.comm.Barrier()

    def _run_once(self) -> None:
        for call in self._calls:
            call()
        self._device.settle()

    def start_sampling(self, calls: int) -> None:
        """Set up the sampler for ``calls`` calls a sample, going round the slots."""
        rounds = [self._calls[index % len(self._calls)] for index in range(calls)]
        self._used = min(calls, len(self._calls))
        cold = self._work.cache == "cold"
        self._sampler = self._device.sampler(self._world, rounds, self._work.mode, cold)

    def sample(self) -> Sample:
        """Fresh inputs, one timed sample, and the check of its answers outside the timed window."""
        assert self._sampler is not None, "start_sampling comes first"
        if self._proof is None:
            return Sample(*self._sampler.sample(), Finding(), None)
        self._proof.load(self.iteration, self._used)
        seconds, late = self._sampler.sample()
        finding, words = self._proof.check(self.iteration, self._used)
        self.iteration += 1
        return Sample(seconds, late, finding, words)

    def close(self) -> None:
        """Release sampler and calls."""
        if self._sampler is not None:
            self._sampler.close()
        self._session.release()
