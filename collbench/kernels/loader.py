"""Kernels compiled and loaded on the ranks of a world, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from collbench.kernels.header import KernelFile

if TYPE_CHECKING:
    from collbench.ranks.world import World

Function = TypeVar("Function")
Options = Mapping[str, str | int]


@dataclass(frozen=True)
class Loader(Generic[Function]):
    """Gives each member of ``world`` the function of a kernel.

    ``compiled(file, options)`` returns what a compiler makes of it, the same on every member (collective), and
    ``load(content, symbol)`` loads that here.
    """

    world: World
    compiled: Callable[[KernelFile, Options], bytes]
    load: Callable[[bytes, str], Function]
    loaded: dict[tuple[str, tuple[tuple[str, str | int], ...]], Function] = field(default_factory=dict)

    def __call__(self, file: KernelFile, options: Options) -> Function:
        """The kernel as it was compiled with ``options``, loaded once. Collective over the members: RuntimeError on all
        of them where it does not load on one."""
        key = (file.symbol, tuple(options.items()))
        if key not in self.loaded:
            content, error = self.compiled(file, options), None
            try:
                function = self.load(content, file.symbol)
            except Exception as mistake:  # a driver's errors and NVSHMEM's are of several kinds
                error = f"{type(mistake).__name__}: {mistake}"
            if words := self.world.first_words(error):
                raise RuntimeError(f"the kernel {file.symbol} does not load: {words}")
            self.loaded[key] = function
        return self.loaded[key]
