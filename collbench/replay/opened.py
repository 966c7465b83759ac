"""The worlds of a replay and the backends that are open on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from collbench import registry
from collbench.backends import Session
from collbench.devices.device import Device
from collbench.errors import CannotRunError
from collbench.plan.layout import Grouping, Groups, Layout
from collbench.ranks.failure import on_all
from collbench.ranks.world import World

T = TypeVar("T")


class AgreedError(Exception):
    """A backend cannot be prepared; raised on every rank, which all go on with the next one."""


@dataclass
class Opened:
    """Everything that is open in one launch, by groups of ranks and by backend; all methods are collective over the
    launch. ``per_node`` is the most ranks of a node, ``arena_bytes`` what each backend gets."""

    everyone: World
    device: Device
    per_node: int
    arena_bytes: int
    _worlds: dict[Layout, World] = field(default_factory=dict)
    _sessions: dict[tuple[str, Layout], Session] = field(default_factory=dict)
    _failed: dict[tuple[str, Layout], Exception] = field(default_factory=dict)

    def layouts(self, groups: Groups) -> tuple[Layout, ...]:
        """The layouts of these groups: one where all are spread over nodes alike."""
        return Grouping(groups, self.per_node).layouts(self.everyone.hosts)

    def world(self, layout: Layout) -> World:
        """The world of a layout, made when it is first asked for."""
        if layout not in self._worlds:
            self._worlds[layout] = self.everyone.split(layout)
        return self._worlds[layout]

    def session(self, spec: str, layout: Layout) -> Session:
        """The backend open on the groups of a layout. Raises the error for which it does not open, on every rank."""
        key = spec, layout
        if key in self._failed:
            raise self._failed[key]
        if key not in self._sessions:
            world, backend = self.world(layout).group, registry.find(spec)
            try:
                self._sessions[key] = self.agreed(partial(backend.open, world, self.device, self.arena_bytes))
            except (AgreedError, CannotRunError) as error:
                self._failed[key] = type(error)(f"{spec} does not open: {error}")
                raise self._failed[key] from None
        return self._sessions[key]

    def agreed(self, action: Callable[[], T]) -> T:
        """The result of ``action``. Raises on every rank, with the error of the lowest rank where it failed,
        CannotRunError or AgreedError; and RuntimeError, which ends the job, where that has left a device unusable."""
        made = on_all(self.everyone, action)
        if isinstance(made, CannotRunError):
            raise made
        if isinstance(made, Exception):
            gone = on_all(self.everyone, self.device.settle)
            if isinstance(gone, Exception):
                raise RuntimeError(f"the {self.device.kind} is unusable in this process: {gone}")
            raise AgreedError(str(made))
        return made

    def close(self) -> None:
        """Close all sessions, then all worlds."""
        for session in self._sessions.values():
            session.close()
            self.everyone.launch.Barrier()
        self.device.leave(self.everyone)
        for world in self._worlds.values():
            self.device.leave(world)
            world.free()
