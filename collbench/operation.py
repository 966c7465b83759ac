"""A case made ready to run: buffers laid out, calls prepared, proof at hand, sampler set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collbench.backends import Backend, Session
from collbench.buffers import Buffers, Rounds, lay_out
from collbench.devices.device import Array, Call, Device, Finding, Sampler, Values
from collbench.plan.problem import Workload
from collbench.verify import Proof

if TYPE_CHECKING:
    from collbench.ranks.world import World


@dataclass(frozen=True)
class Sample:
    """One timed sample on this rank: seconds per call, whether the host was late, and what the check found."""

    seconds: float
    late: bool
    finding: Finding
    words: str | None


class Prepared:
    """Calls of one workload, one for each slot of its buffers in ``arena``, and the proof of their answers.

    Making one is collective. ``layers`` are the kinds of data that it is proven with, by default all that fit any case;
    ``first`` is the number of its first iteration: two that take turns begin apart, so that their data differ.
    """

    def __init__(
        self, device: Device, backend: Backend, session: Session, work: Workload, rank: int, arena: Array,
        buffers: Buffers, layers: Sequence[str] = (), first: int = 0,
    ) -> None:  # fmt: skip
        self.work, self._device, self._arena, self._buffers = work, device, arena, buffers
        self._proof = Proof(device, arena, buffers, work, rank, backend.exact_order(work), layers)
        self.calls: list[Call] = [
            session.prepare(work, device.view(arena, buffers.send, slot), device.view(arena, buffers.recv, slot))
            for slot in range(buffers.send.slots)
        ]
        self.iteration = first

    @property
    def layers(self) -> int:
        """Number of layers, so of iterations that meet them all."""
        return self._proof.layers

    @property
    def answers(self) -> int:
        """Number of outputs that are judged in an iteration."""
        return self._buffers.answers.slots

    def load(self) -> None:
        """Poison the outputs and write this iteration's inputs."""
        self._proof.load(self.iteration)

    def check(self) -> tuple[Finding, str | None]:
        """What is wrong in outputs and guards, the first of it in words; the next iteration has other data."""
        self.iteration += 1
        return self._proof.check(self.iteration - 1)

    def check_all(self) -> tuple[Finding, str | None]:
        """The same, and whether the inputs are as they were."""
        changed, told = self._proof.check_inputs(self.iteration)
        found, said = self.check()
        return replace(found, wrong=found.wrong + changed), said or told

    def spoil(self, slot: int) -> None:
        """Overwrite the input of one call, in stream order."""
        sent = self._buffers.send
        if sent.count:
            self._device.poison(self._arena, replace(sent, offset=sent.offset + slot * sent.stride, slots=1))

    def answer(self, number: int) -> Values:
        """The output of the call in the given judged slot, as it is now."""
        return self._device.download(self._arena, self._buffers.answers, number)


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
        buffers = lay_out(work, world.rank, rounds)
        self._prepared = Prepared(device, backend, session, work, world.rank, session.arena, buffers)
        self.calls = self._prepared.calls
        self._sampler: Sampler | None = None

    def prove(self) -> tuple[Finding, str | None]:
        """All layers, on calls back to back without a barrier between them: total of what is wrong, in words."""
        total, words = Finding(), None
        for _ in range(self._prepared.layers):
            self._prepared.load()
            self._meet()
            for call in self.calls:
                call()
            self.device.settle()
            found, said = self._prepared.check_all()
            total = Finding(total.wrong + found.wrong, units=max(total.units, found.units))
            words = words or said
        return (total, words) if self._checked else (Finding(), None)

    def _meet(self) -> None:
        """Wait until all ranks have their inputs in place: one-sided libraries may read and write from now on."""
        self.device.settle()
        self._world.comm.Barrier()

    def start_sampling(self) -> None:
        """Set up the sampler: a graph is captured here, once."""
        if not self._checked:
            self._prepared.load()  # once: memory that was never written reads faster
        calls = [self.calls[index % len(self.calls)] for index in range(self.rounds.calls)]
        self._sampler = self.device.sampler(self._world, calls, self._work.mode, self._work.cache == "cold")

    def sample(self) -> Sample:
        """Fresh inputs, one timed sample, and the check of its answers outside the timed window."""
        assert self._sampler is not None, "start_sampling comes first"
        if not self._checked:
            return Sample(*self._sampler.sample(), Finding(), None)
        self._prepared.load()
        seconds, late = self._sampler.sample()
        finding, words = self._prepared.check()
        return Sample(seconds, late, finding, words)

    def close(self) -> None:
        """Release sampler and calls."""
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        self._session.release()
