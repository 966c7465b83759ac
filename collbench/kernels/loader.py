"""Compiles and loads each kernel once on the ranks of a world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from collbench.kernels.header import KernelFile

if TYPE_CHECKING:
    from collbench.ranks.world import World

Function = TypeVar("Function")
Options = Mapping[str, str | int]


@dataclass(frozen=True)
class Loader(Generic[Function]):
    """Provides the function of a kernel on each member of ``world``.

    ``compiled(file, options)`` returns the compiled kernel, the same on every member (collective), and
    ``load(content, symbol)`` loads it on this rank.
    """

    world: World
    compiled: Callable[[KernelFile, Options], bytes]
    load: Callable[[bytes, str], Function]
    loaded: dict[tuple[Path, tuple[tuple[str, str | int], ...]], Function] = field(default_factory=dict)

    def __call__(self, file: KernelFile, options: Options) -> Function:
        """The kernel compiled with ``options``, loaded once. Collective over the members; raises RuntimeError on all of
        them where it fails to load on one."""
        key = (file.path, tuple(options.items()))  # the path: a kernel and its earlier form have the same name
        if key not in self.loaded:
            content, error = self.compiled(file, options), None
            try:
                function = self.load(content, file.symbol)
            except Exception as mistake:  # the driver and NVSHMEM raise several types
                error = f"{type(mistake).__name__}: {mistake}"
            if words := self.world.first_words(error):
                raise RuntimeError(f"the kernel {file.symbol} does not load: {words}")
            self.loaded[key] = function
        return self.loaded[key]
