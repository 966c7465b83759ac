"""The libraries and algorithms that are timed, one file each; this file is the contract that all of them keep.

A backend is anything with the members of ``Backend``: a module in this folder (``mpi_nvrar.py`` is ``mpi-nvrar``; a
leading underscore hides a file), a kernel file in ``kernels/``, or a module or object that another distribution names
under the entry point ``collbench.backends``. A file's presence is its registration. Authors import what they need from
here.
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
    "ExactOrder",
    "HangError",
    "Layout",
    "Networked",
    "Opening",
    "OtherWays",
    "PhasedCall",
    "Problem",
    "Session",
    "Tunable",
    "UsageError",
    "Values",
    "pick",
]  # fmt: skip

ExactOrder = Callable[[Values], Values]  # from inputs of shape (ranks, n) to the result of shape (n,), to the bit


class Session(Protocol):
    """A backend that is open on one world."""

    @property
    def arena(self) -> Array:
        """The memory that its calls work on."""

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """A call that enqueues the problem from ``send`` to ``recv`` and returns without waiting for the device.

        Collective over the members. Raises ``CannotRunError`` where the case must be skipped on this machine, and
        any ``RuntimeError`` where the library fails.
        """

    def release(self) -> None:
        """Free what the calls prepared since the last release hold; collective over the members."""

    def close(self) -> None:
        """Release what belongs to this world; collective over the launch."""


@runtime_checkable
class Networked(Protocol):
    """A session whose library finds its way to other ranks."""

    def transport(self) -> str:
        """Which way it took from this rank, in the words of ``host.transports``; asked on members, after a call."""


class PhasedCall(Protocol):
    """A call that notes when each of its phases ends."""

    @property
    def phases(self) -> tuple[str, ...]:
        """Their names, in order."""

    def __call__(self) -> object: ...

    def seconds(self) -> Mapping[str, float]:
        """What each phase of the last call took on this rank, in seconds; waits for the device."""


@runtime_checkable
class DescribedCall(Protocol):
    """A call that says for its row how it is made."""

    @property
    def params(self) -> Mapping[str, str]:
        """For the column ``params``."""

    @property
    def wire_bytes(self) -> float | None:
        """Bytes that one rank sends, where it knows better than its backend."""

    @property
    def marked(self) -> Callable[[], PhasedCall] | None:
        """Makes the same call with the times of its phases, where it has some."""


class Backend(Protocol):
    """What a backend file defines. It only enqueues work: it never synchronises a device and never sees a clock.

    It may also be ``Configurable``, ``Tunable`` or have ``OtherWays``.
    """

    @property
    def DEVICE(self) -> str:  # noqa: N802 - a constant of most
        """Where its buffers are: "cpu" or "gpu"."""

    @property
    def SUMMARY(self) -> str:  # noqa: N802 - a constant of most
        """What it times, in a line."""

    def missing(self) -> str | None:
        """What this machine lacks to run it and how to get it, or None. Quick, and imports nothing heavy."""

    def refuses(self, problem: Problem) -> str | None:
        """Why it cannot run ``problem`` anywhere, or None. Pure."""

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """Its order of additions and roundings, where it documents one: results are then compared to the bit."""

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that one rank sends for one call, where it knows."""

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """Open it on ``world``; collective over the launch: ranks that sit out call it too."""


Opening = Callable[["World", Device, int], Session]


@runtime_checkable
class Configurable(Protocol):
    """A backend that takes parameters."""

    def configured(self, parameters: dict[str, str]) -> Backend:
        """Itself with these parameters of a spec; raises UsageError with one sentence for those that it does not have
        or whose values are bad."""


@runtime_checkable
class Tunable(Protocol):
    """A backend with something to choose from."""

    def candidates(self, problem: Problem) -> tuple[str, ...]:
        """Specs worth trying when tuning for ``problem``, its own or other backends'; the first is what it takes where
        nothing was tuned. Pure."""


@runtime_checkable
class OtherWays(Protocol):
    """A backend that opens in several ways."""

    @property
    def WAYS(self) -> Mapping[str, Opening]:  # noqa: N802 - a constant of most
        """The others, by name: ``collbench verify`` goes through them too."""
