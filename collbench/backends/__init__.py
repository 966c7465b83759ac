"""The libraries and algorithms that are timed, one file each; this file defines the contract of all of them.

A backend is anything with the members of ``Backend``: a module in this folder (``mpi_nvrar.py`` is ``mpi-nvrar``; a
leading underscore hides a file), a kernel file in ``kernels/``, or a module or object that another distribution names
under the entry point ``collbench.backends``. A file's presence is its registration. Authors of backends import from
this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from collbench.devices.device import Array, Call, Device, Values
from collbench.errors import CannotRunError, HangError, UsageError, pick
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem

if TYPE_CHECKING:
    from collbench.ranks.world import World

__all__ = [
    "Array",
    "Backend",
    "Call",
    "CannotRunError",
    "Configurable",
    "DescribedCall",
    "Device",
    "ExactNorm",
    "ExactOrder",
    "HangError",
    "Layout",
    "Networked",
    "OnRequest",
    "Opening",
    "OtherWays",
    "PhasedCall",
    "Problem",
    "Session",
    "Specialised",
    "Tunable",
    "UsageError",
    "Values",
    "World",
    "pick",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """``World``, which loads MPI and is imported when first used."""
    if name == "World":
        from collbench.ranks.world import World

        return World
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Contributions of shape (ranks, n) -> the bit-exact result of shape (n,). Of all_reduce_rms_norm, the old residual is
# one more contribution, the last, and the result the new residual.
ExactOrder = Callable[[Values], Values]


class Session(Protocol):
    """A backend open on one world."""

    @property
    def arena(self) -> Array:
        """The memory from which send and receive buffers are taken."""

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """A call that enqueues ``problem`` from ``send`` to ``recv`` and returns without waiting for the device.

        Collective over the members. Raises ``CannotRunError`` where the case must be skipped on this machine, and
        another ``RuntimeError`` where the library fails.
        """

    def release(self) -> None:
        """Free the resources of all calls prepared since the last release; collective over the members."""

    def close(self) -> None:
        """Close the session; collective over the launch."""


@runtime_checkable
class Networked(Protocol):
    """A session that can report its transport."""

    def transport(self) -> str:
        """The transports from this rank, as named by ``host.transports``; called on members, after a call."""


class PhasedCall(Protocol):
    """A call that records when each of its phases ends."""

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases, in order."""

    def __call__(self) -> object: ...

    def seconds(self) -> Mapping[str, float]:
        """Seconds of each phase of the last call on this rank; waits for the device."""


@runtime_checkable
class DescribedCall(Protocol):
    """A call that describes itself for its row."""

    @property
    def params(self) -> Mapping[str, str]:
        """Entries of the column ``params``."""

    @property
    def wire_bytes(self) -> float | None:
        """Bytes that one rank sends, where they differ from what the backend states; else None."""

    @property
    def marked(self) -> Callable[[], PhasedCall] | None:
        """A function that returns the same call with times of its phases; None where it has no phases."""


class Backend(Protocol):
    """The members of a backend file. It only enqueues work: it neither synchronises the device nor reads a clock.

    It may also be ``Configurable``, ``Tunable``, ``Specialised``, ``ExactNorm`` or ``OnRequest``, or have
    ``OtherWays``.
    """

    @property
    def DEVICE(self) -> str:  # noqa: N802 - a constant of most
        """Where its buffers reside: "cpu" or "gpu"."""

    @property
    def SUMMARY(self) -> str:  # noqa: N802 - a constant of most
        """One line about what is timed."""

    def missing(self) -> str | None:
        """What this machine lacks to run it and how to get it, or None. Quick; imports no large package."""

    def refuses(self, problem: Problem) -> str | None:
        """Why it cannot run ``problem`` on any machine, or None. Pure."""

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """Its documented order of additions and roundings, or None; results are compared with it bit by bit."""

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that one rank sends per call, or None where they are unknown."""

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """A session on ``world``; collective over the launch, so ranks outside the world call it too."""


Opening = Callable[["World", Device, int], Session]


@runtime_checkable
class Configurable(Protocol):
    """A backend that takes parameters."""

    def configured(self, parameters: dict[str, str]) -> Backend:
        """The backend with these parameters of a spec; raises UsageError for an unknown parameter or an invalid
        value."""


@runtime_checkable
class Tunable(Protocol):
    """A backend that can be tuned."""

    def candidates(self, problem: Problem) -> tuple[str, ...]:
        """Specs to try when tuning for ``problem``, of this or other backends; the first is its choice without tuning.
        Pure."""


@runtime_checkable
class OnRequest(Protocol):
    """A backend that runs only where it is named: a default sweep has the same backends, with the same libraries in the
    process, whether the packages that it needs happen to be installed or not."""

    @property
    def ON_REQUEST(self) -> bool:  # noqa: N802 - a constant of most
        """Whether that is so."""


@runtime_checkable
class OtherWays(Protocol):
    """A backend that can be opened in several ways."""

    @property
    def WAYS(self) -> Mapping[str, Opening]:  # noqa: N802 - a constant of most
        """The ways other than ``open``, by name; ``collbench verify`` tests them too."""


@runtime_checkable
class ExactNorm(Protocol):
    """A backend that says how its ``all_reduce_rms_norm`` normalises rows."""

    @property
    def EXACT_NORM(self) -> bool:  # noqa: N802 - a constant of most
        """Whether rows have, bit by bit, the arithmetic of ``plan.rms_norm``; those of others may be a few roundings
        away."""


@runtime_checkable
class Specialised(Protocol):
    """A backend for a few collectives, which is among the defaults for these alone."""

    @property
    def ONLY(self) -> tuple[str, ...]:  # noqa: N802 - a constant of most
        """Names of the collectives."""
