"""The order in which a stage computes and communicates in a pass; ``steps_of`` lists the same collectives, counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from collbench.llm.passes import Pass
from collbench.llm.steps import Deployment, Stage, Step

ATTENTION, BLOCK, HEAD = "attention", "MLP", "head"
SENT, RECEIVED, TOKENS = " to the next stage", " of the stage before", "token ids"


@dataclass(frozen=True)
class Work:
    """What every rank of a stage computes before its next collective: the ATTENTION or the BLOCK behind it (MLP or
    experts) of a layer, or the HEAD, which follows the last layer."""

    part: str
    layer: int


Event = Work | Step


def sequence(deployment: Deployment, one: Pass, stage: int) -> tuple[Event, ...]:
    """What each rank of ``stage`` does in a pass, one after another; collectives have a count of 1.

    A send is in the sequences of both its stages. No cycle of stages waits for each other: token ids leave the last
    stage for the first at the end of the pass, and go from there round the ring.
    """
    return tuple(_Sequence(deployment, one, stage).events())


def collectives(events: Iterable[Event]) -> Iterator[Step]:
    """The collectives among these events."""
    return (event for event in events if isinstance(event, Step))


def _singles(events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, Work):
            yield event
        else:
            yield from [replace(event, count=1)] * event.count


@dataclass(frozen=True)
class _Sequence(Stage):
    def events(self) -> Iterator[Event]:
        yield from _singles(self._of_hidden_states())
        if self.number == 0 and self.deployment.engine.embeds:
            yield from _singles(self._reduced("embedding", 1))
        for layer in self.layers:
            yield Work(ATTENTION, layer)
            yield from _singles(self._reduced("attention output", 1, norms=1))
            yield from _singles(self._block(layer))
        if self.is_last:
            yield Work(HEAD, self.layers[-1])
            yield from _singles(self._logits())
        yield from _singles(self._handed_on())

    def _block(self, layer: int) -> Iterator[Event]:
        if layer not in self.deployment.model.moe_layers:
            yield Work(BLOCK, layer)
            yield from self._reduced("MLP output", 1, norms=self._norms([layer]))
            return
        steps = list(self._experts([layer]))
        yield from (step for step in steps if step.what.startswith("dispatch"))
        yield Work(BLOCK, layer)
        yield from (step for step in steps if not step.what.startswith("dispatch"))

    def _of_hidden_states(self) -> Iterator[Step]:
        """What arrives from the stage before, each tensor gathered as soon as it is there (V10
        parallel_state.py:745-768)."""
        for step in self._before()._sent() if self.number else ():
            if not step.what.startswith(TOKENS):
                yield from self._arriving(step)

    def _arriving(self, sent: Step) -> Iterator[Step]:
        yield sent
        gathered = sent.what.replace(SENT, RECEIVED)
        yield from (step for step in self._received() if step.what == gathered)

    def _handed_on(self) -> Iterator[Step]:
        """Hidden states and residual to the next stage; and token ids, which the last stage sends before it receives
        them, all others after (D)."""
        ids = [step for step in self._sent() if step.what.startswith(TOKENS)]
        yield from (step for step in self._sent() if not step.what.startswith(TOKENS))
        yield from ids if self.is_last else ()
        for step in self._before()._sent():
            if step.what.startswith(TOKENS):
                yield from self._arriving(step)
        yield from () if self.is_last else ids

    def _before(self) -> _Sequence:
        """The stage before this one, in the ring of stages."""
        return replace(self, number=(self.number - 1) % self.deployment.parallel.pp)
