"""A case made ready to run: buffers laid out, calls prepared, proof at hand, sampler set up."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.backends import Backend, Session
from collbench.buffers import Rounds, lay_out
from collbench.device import Call, Device, Finding, Sampler
from collbench.plan import Workload
from collbench.verify import Proof
from collbench.world import World


@dataclass(frozen=True)
class Sample:
    """One timed sample on this rank: seconds per call, whether the host was late, and what the check found."""

    seconds: float
    late: bool
    finding: Finding
    words: str | None


class Operation:
    """One workload on one backend. Every rank of the world makes the same calls on it in the same order.

    Making one is collective, and so is everything that it does; ``checked`` is false where answers are not judged.
    """

    def __init__(
        self, world: World, backend: Backend, session: Session, device: Device, work: Workload, rounds: Rounds,
        checked: bool,
    ) -> None:  # fmt: skip
        self.device, self._world, self._session, self._work = device, world, session, work
        self.rounds, self._checked = rounds, checked
        buffers, arena = lay_out(work, world.rank, rounds), session.arena
        self._proof = Proof(device, arena, buffers, work, world.rank, backend.emulate(work))
        self.calls: list[Call] = [
            session.prepare(work, device.view(arena, buffers.send, slot), device.view(arena, buffers.recv, slot))
            for slot in range(rounds.slots)
        ]
        self._sampler: Sampler | None = None
        self._iteration = 0

    def prove(self) -> tuple[Finding, str | None]:
        """All layers, on calls back to back without a barrier between them: total of what is wrong, in words."""
        total, words = Finding(), None
        for _ in range(self._proof.layers):
            self._proof.load(self._iteration)
            self._meet()
            for call in self.calls:
                call()
            self.device.settle()
            found, said = self._proof.check(self._iteration)
            changed, told = self._proof.check_inputs(self._iteration)
            total = Finding(total.wrong + found.wrong + changed, units=max(total.units, found.units))
            words = words or said or told
            self._iteration += 1
        return (total, words) if self._checked else (Finding(), None)

    def _meet(self) -> None:
        """Wait until all ranks have their inputs in place: one-sided libraries may read and write from now on."""
        self.device.settle()
        self._world.comm.Barrier()

    def start_sampling(self) -> None:
        """Set up the sampler: a graph is captured here, once."""
        if not self._checked:
            self._proof.load(0)  # once: memory that was never written reads faster
        calls = [self.calls[index % len(self.calls)] for index in range(self.rounds.calls)]
        self._sampler = self.device.sampler(self._world, calls, self._work.mode, self._work.cache == "cold")

    def sample(self) -> Sample:
        """Fresh inputs, one timed sample, and the check of its answers outside the timed window."""
        assert self._sampler is not None, "start_sampling comes first"
        if not self._checked:
            return Sample(*self._sampler.sample(), Finding(), None)
        self._proof.load(self._iteration)
        seconds, late = self._sampler.sample()
        finding, words = self._proof.check(self._iteration)
        self._iteration += 1
        return Sample(seconds, late, finding, words)

    def close(self) -> None:
        """Release sampler and calls."""
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        self._session.release()
