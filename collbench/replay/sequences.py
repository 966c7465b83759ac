"""The calls of one rank in their order: of a whole pass, with compute and without, and of compute alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from collbench.devices.device import Call
from collbench.llm.order import HEAD, Work
from collbench.replay.compute import Compute
from collbench.replay.plan import Kind, Plan
from collbench.replay.voices import Voice

Voices = Mapping[Kind, Voice]


@dataclass(frozen=True)
class Sequences:
    """The sequences of a rank of one stage; ``work`` has the calls of all its work."""

    plan: Plan
    stage: int
    compute: Compute
    work: Mapping[Work, Sequence[Call]]

    def of_pass(
        self, voices: Voices, with_work: bool, without: Kind | None = None, late: Sequence[Call] = ()
    ) -> list[Call]:
        """All collectives but those of a kind that is left out; ``late``: calls that delay the rank, one before each
        work, whether the work is there or not."""
        calls: list[Call] = []
        delays = iter(late)
        for event, slot in self._slots(voices):
            if isinstance(event, Work):
                calls += [*islice(delays, 1), *(self.work[event] if with_work else ())]
            elif event != without and (prepared := voices[event].prepared):
                calls += self.compute.handed_on(voices[event].sends[slot]) if with_work else ()
                calls.append(prepared.calls[slot])
        return calls

    def of_work(self, voices: Voices, in_head: bool) -> list[Call]:
        """The work of the head, or all other, with what leaves inputs of collectives in the cache."""
        calls: list[Call] = []
        here = not in_head
        for event, slot in self._slots(voices):
            if isinstance(event, Work):
                here = (event.part == HEAD) is in_head
                calls += self.work[event] if here else ()
            elif here and (sends := voices[event].sends):
                calls += self.compute.handed_on(sends[slot])
        return calls

    def _slots(self, voices: Voices) -> Iterator[tuple[Work | Kind, int]]:
        """What the stage does, and the slot of each collective; slots are used in turns."""
        numbers = dict.fromkeys(voices, 0)
        for event in self.plan.stages[self.stage]:
            if isinstance(event, Work):
                yield event, 0
            else:
                yield event, numbers[event] % max(1, len(voices[event].sends))
                numbers[event] += 1
