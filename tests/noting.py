"""A communicator without ranks, for counting what schedules over point-to-point would send."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class Noting:
    """Notes what this rank would send in a call, in order, as (rank, bytes), and with which tags."""

    rank: int
    sent: list[tuple[int, int]] = field(default_factory=list)
    tags: list[int] = field(default_factory=list)

    def Get_rank(self) -> int:  # noqa: N802
        return self.rank

    def Recv_init(self, message: Any, peer: int, tag: int) -> object:  # noqa: N802
        return SimpleNamespace()

    def Send_init(self, message: Any, peer: int, tag: int) -> object:  # noqa: N802
        self.sent.append((peer, message[0].nbytes))
        self.tags.append(tag)
        return SimpleNamespace()
