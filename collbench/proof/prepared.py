"""Prepared calls of one problem, and the proof of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from collbench.backends import Backend, ExactNorm, Session
from collbench.devices.device import Array, Call, Device, Errors, Values
from collbench.plan.problem import Problem
from collbench.proof.buffers import Buffers
from collbench.proof.proof import Proof


class Prepared:
    """Calls of one problem, one for each slot of its buffers in ``arena``, and the proof of their answers.

    Creating one is collective. ``layers`` are the kinds of data of its proof, by default all that fit any case;
    ``first`` is the number of its first iteration: two that alternate start apart, so that their data differ.
    """

    def __init__(
        self, device: Device, backend: Backend, session: Session, problem: Problem, rank: int, arena: Array,
        buffers: Buffers, layers: Sequence[str] = (), first: int = 0,
    ) -> None:  # fmt: skip
        self.problem, self._device, self._arena, self._buffers = problem, device, arena, buffers
        exact_norm = isinstance(backend, ExactNorm) and backend.EXACT_NORM
        self._proof = Proof(device, arena, buffers, problem, rank, backend.exact_order(problem), layers, exact_norm)
        self.calls: list[Call] = [
            session.prepare(problem, device.view(arena, buffers.send, slot), device.view(arena, buffers.recv, slot))
            for slot in range(buffers.send.slots)
        ]
        self.iteration = first

    @property
    def layers(self) -> int:
        """Number of layers, and so of iterations that cover them all."""
        return self._proof.layers

    @property
    def answers(self) -> int:
        """Number of outputs that are judged per iteration."""
        return self._buffers.answers.slots

    def load(self) -> None:
        """Poison the outputs and write this iteration's inputs."""
        self._proof.load(self.iteration)

    def check(self) -> tuple[Errors, str | None]:
        """Errors in outputs and guards, with a description of the first; advances to the next iteration's data."""
        self.iteration += 1
        return self._proof.check(self.iteration - 1)

    def check_all(self) -> tuple[Errors, str | None]:
        """Like ``check``, and also counts changed inputs as errors."""
        changed, change = self._proof.check_inputs(self.iteration)
        found, words = self.check()
        return replace(found, wrong=found.wrong + changed), words or change

    def spoil(self, slot: int) -> None:
        """Poison the input of one call, in stream order."""
        sent = self._buffers.send
        if sent.count:
            self._device.poison(self._arena, replace(sent, offset=sent.offset + slot * sent.stride, slots=1))

    def answer(self, number: int) -> Values:
        """The current output in judged slot ``number``."""
        return self._device.download(self._arena, self._buffers.answers, number)
