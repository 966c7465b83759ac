"""A case that is ready to run: buffers, prepared calls, proof and sampler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collbench.backends import Backend, Session
from collbench.devices.device import Device, Errors, Sampler
from collbench.plan.problem import Problem
from collbench.proof.buffers import Rounds, lay_out
from collbench.proof.prepared import Prepared

if TYPE_CHECKING:
    from collbench.ranks.world import World


@dataclass(frozen=True)
class Sample:
    """One timed sample on this rank: seconds per call, whether the host was late, and the result of the check."""

    seconds: float
    late: bool
    finding: Errors
    words: str | None


class Operation:
    """One problem on one backend. Creating one and all of its methods are collective over the world.

    ``checked`` is false where answers are not judged.
    """

    def __init__(
        self, world: World, backend: Backend, session: Session, device: Device, problem: Problem, rounds: Rounds,
        checked: bool,
    ) -> None:  # fmt: skip
        self.device, self._world, self._session, self._problem = device, world, session, problem
        self.rounds, self._checked = rounds, checked
        group = world.group
        mine, buffers = replace(problem, layout=group.layout), lay_out(problem, group.rank, rounds)
        self._prepared = Prepared(
            device, backend, session, mine, group.rank, session.arena, buffers, first=group.number
        )  # groups have different data
        self.calls = self._prepared.calls
        self._sampler: Sampler | None = None

    def prove(self) -> tuple[Errors, str | None]:
        """Total errors of all layers, on calls back to back without a barrier, and a description of the first."""
        total, words = Errors(), None
        for _ in range(self._prepared.layers):
            self._prepared.load()
            self._synchronise()
            for call in self.calls:
                call()
            self.device.settle()
            found, description = self._prepared.check_all()
            total = Errors(total.wrong + found.wrong, units=max(total.units, found.units))
            words = words or description
        return (total, words) if self._checked else (Errors(), None)

    def _synchronise(self) -> None:
        """Wait until all ranks have written their inputs: one-sided libraries may access them from now on."""
        self.device.settle()
        self._world.comm.Barrier()

    def start_sampling(self) -> None:
        """Create the sampler, which captures a graph where its mode needs one."""
        if not self._checked:
            self._prepared.load()  # once, since memory that was never written reads faster
        calls = [self.calls[index % len(self.calls)] for index in range(self.rounds.calls)]
        self._sampler = self.device.sampler(self._world, calls, self._problem.mode, self._problem.cache == "cold")

    def sample(self) -> Sample:
        """One timed sample on fresh inputs; its answers are checked after the timed part."""
        assert self._sampler is not None, "start_sampling comes first"
        if not self._checked:
            return Sample(*self._sampler.sample(), Errors(), None)
        self._prepared.load()
        seconds, late = self._sampler.sample()
        finding, words = self._prepared.check()
        return Sample(seconds, late, finding, words)

    def close(self) -> None:
        """Release the sampler and the calls."""
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        self._session.release()
