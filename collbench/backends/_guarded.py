"""Backends of other distributions: whatever their code raises or prints costs them their own rows, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

from collbench.backends import (
    Backend,
    Configurable,
    ExactNorm,
    ExactOrder,
    OnRequest,
    OtherWays,
    Problem,
    Specialised,
    Tunable,
    UsageError,
    Values,
)
from collbench.host.deadline import DeadlineError
from collbench.host.streams import stdout_to_stderr

MEMBERS = ("DEVICE", "SUMMARY", "missing", "refuses", "exact_order", "wire_bytes", "open")
DEVICES = ("cpu", "gpu")


class ForeignError(RuntimeError):
    """Code of another distribution failed; the message says what it did, as the reason of a row."""


@contextmanager
def foreign(words: str, passing: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Run foreign code inside: what it prints goes to standard error, what it raises becomes a ForeignError.

    ``words`` say what it did, with ``{}`` for the error. KeyboardInterrupt and the types in ``passing`` pass through.
    """
    known: tuple[type[BaseException], ...] = (KeyboardInterrupt, ForeignError, *passing)
    try:
        with stdout_to_stderr():
            yield
    except known:
        raise
    except BaseException as error:  # SystemExit, for instance
        raise ForeignError(blame(words, error)) from None  # contextlib drops what a StopIteration causes


def blame(words: str, error: BaseException) -> str:
    """What foreign code did: ``words`` with the error in the place of ``{}``, on one line."""
    return f"{words.format(_said(error))}; fix or remove it"


def _said(error: BaseException) -> str:
    """Type and message of an error; of a deadline the message alone."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # the message is foreign code too
        text = ""
    if isinstance(error, DeadlineError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def whole(found: object) -> Backend:
    """The object as a backend; raises ForeignError where a member is missing."""
    lacks = [member for member in MEMBERS if not hasattr(found, member)]
    if lacks:
        raise ForeignError(f"does not define {lacks[0]}; a backend defines {', '.join(MEMBERS)}")
    return cast(Backend, found)


class Guarded:
    """The backend ``found`` of another distribution, as a ``Backend`` that raises nothing before it is opened.

    It has the optional members that ``found`` has. Sessions and calls are those of ``found``. Raises ForeignError where
    ``found`` is no backend.
    """

    def __init__(self, name: str, found: object) -> None:
        with foreign("raised {} when its members were read"):
            backend = whole(found)
            self.DEVICE, self.SUMMARY = str(backend.DEVICE), str(backend.SUMMARY)
            self.open = backend.open
            if isinstance(backend, OnRequest):
                self.ON_REQUEST = bool(backend.ON_REQUEST)
            if isinstance(backend, OtherWays):
                self.WAYS = dict(backend.WAYS)
            if isinstance(backend, Configurable):
                self.configured = partial(_configured, name, backend)
            if isinstance(backend, ExactNorm):
                self.EXACT_NORM = bool(backend.EXACT_NORM)
            if isinstance(backend, Specialised):
                self.ONLY = tuple(map(str, backend.ONLY))
            if isinstance(backend, Tunable):
                self.candidates = partial(_candidates, name, backend)
        if self.DEVICE not in DEVICES:
            raise ForeignError(f"runs on {self.DEVICE!r}; its DEVICE must be one of {', '.join(DEVICES)}")
        self._backend = backend

    def missing(self) -> str | None:
        """What it lacks on this machine, or what it raised when asked."""
        try:
            with foreign("raised {} in missing()"):
                return _words(self._backend.missing())
        except ForeignError as error:
            return str(error)

    def refuses(self, problem: Problem) -> str | None:
        """Why it cannot run ``problem``, or what it raised when asked for that or for another property of it."""
        try:
            with foreign("raised {} in refuses()"):
                reason = _words(self._backend.refuses(problem))
            if reason is None:
                self.exact_order(problem)
                _wire_bytes(self._backend, problem)
        except ForeignError as error:
            return str(error)
        return reason

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """Its order of additions. Raises ForeignError, as does the order itself."""
        with foreign("raised {} in exact_order()"):
            order = self._backend.exact_order(problem)
        return partial(_in_order, order) if order else None

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that one rank sends per call; None where it raises."""
        try:
            return _wire_bytes(self._backend, problem)
        except ForeignError:
            return None


def _words(reason: object) -> str | None:
    return str(reason) if reason else None


def _in_order(order: ExactOrder, inputs: Values) -> Values:
    with foreign("raised {} in its exact order"):
        return order(inputs)


def _wire_bytes(backend: Backend, problem: Problem) -> float | None:
    with foreign("raised {} in wire_bytes()"):
        found = backend.wire_bytes(problem)
        if found is not None and not math.isfinite(found):
            raise ValueError(f"{found} is not a number of bytes")
        return found


def _configured(name: str, backend: Configurable, parameters: dict[str, str]) -> Backend:
    """The backend with parameters. Raises UsageError as it does, ForeignError for what else it raises."""
    with foreign("cannot be configured ({})", passing=(UsageError,)):
        return Guarded(name, backend.configured(parameters))


def _candidates(name: str, backend: Tunable, problem: Problem) -> tuple[str, ...]:
    """Specs to try when tuning. Raises UsageError where the backend raises."""
    try:
        with foreign("raised {} in candidates()"):
            return tuple(map(str, backend.candidates(problem)))
    except ForeignError as error:
        raise UsageError(f"backend {name} {error}.") from None
