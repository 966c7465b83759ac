"""A case that is ready to run: buffers, prepared calls, proof and sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collbench.backends import Backend, Session
from collbench.devices.device import Device, Errors, Sampler
from collbench.plan.problem import Problem
from collbench.proof.buffers import Rounds, lay_out
from collbench.proof.patterns import first_iteration
from collbench.proof.prepared import Prepared

if TYPE_CHECKING:
    from collbench.ranks.world import World


@dataclass(frozen=True)
class Sample:
    """One timed sample on this rank: seconds per call, whether the host was late, and the result of the check.
    ``arrival``: seconds from the start on which all agreed to this rank's call, 0 where all ranks start then.
    """

    seconds: float
    late: bool
    finding: Errors
    words: str | None
    arrival: float = 0.0


class Operation:
    """One problem on one backend. Creating one and all of its methods are collective over the world.

    ``checked`` is false where answers are not judged. ``delays``: the seconds by which this rank is to be late in the
    sample of a number, None where ranks arrive together; they apply to samples of one call.
    """

    def __init__(
        self, world: World, backend: Backend, session: Session, device: Device, problem: Problem, rounds: Rounds,
        checked: bool, delays: Callable[[int], float] | None = None,
    ) -> None:  # fmt: skip
        self.device, self._world, self._session, self._problem = device, world, session, problem
        self.rounds, self._checked = rounds, checked
        self._delays, self._taken = delays if rounds.calls == 1 else None, 0
        group = world.group
        mine, buffers = replace(problem, layout=group.layout), lay_out(problem, group.rank, rounds)
        self._prepared = Prepared(
            device, backend, session, mine, group.rank, session.arena, buffers, first=first_iteration(group.number)
        )
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
        if not self._checked:
            return self._timed()
        self._prepared.load()
        timed = self._timed()
        finding, words = self._prepared.check()
        return replace(timed, finding=finding, words=words)

    def _timed(self) -> Sample:
        """The next sample of the sampler, not checked."""
        assert self._sampler is not None, "start_sampling comes first"
        if self._delays is None:
            return Sample(*self._sampler.sample(), Errors(), None)
        arrival, seconds, late = self._sampler.skewed(self._delays(self._taken))
        self._taken += 1
        return Sample(seconds, late, Errors(), None, arrival)

    def close(self) -> None:
        """Release the sampler and the calls."""
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        self._session.release()
