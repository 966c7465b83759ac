"""Remembers what a compiler could not do, so that a launch tries it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from collbench.kernels.sources import KernelError

T = TypeVar("T")


class CompilerHangError(KernelError):
    """A compiler that did not end in time."""


@dataclass(frozen=True)
class Attempts:
    """What one compiler was asked in this process and answered with KernelError, by key."""

    failures: dict[str, KernelError] = field(default_factory=dict)

    def __call__(self, key: str, action: Callable[[], T]) -> T:
        """The result of ``action``. Raises KernelError, at once if it did so before under this ``key`` (which covers
        all sources and options), or if the compiler has hung."""
        hang = next((error for error in self.failures.values() if isinstance(error, CompilerHangError)), None)
        if known := hang or self.failures.get(key):
            raise known.with_traceback(None)
        try:
            return action()
        except KernelError as error:
            self.failures[key] = error
            raise
