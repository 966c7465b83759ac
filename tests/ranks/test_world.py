"""What ranks decide together: rank 0's answer or mistake on all of them, and what a world holds once."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from running import Mpi
from samples import a_layout

from collbench.plan.layout import Layout
from collbench.ranks.failure import on_all
from collbench.ranks.world import World, open_launch

TOLD = """
import json
from contextlib import ExitStack
from collbench.ranks import world
from collbench.errors import HangError, UsageError
from collbench.kernels.nvrtc import KernelError

def attempt(action):
    called = []
    def counted():
        called.append(1)
        return action()
    try:
        return [everyone.led(counted), len(called)]
    except Exception as error:
        return [type(error).__name__, str(error), len(called)]

def failing(error):
    raise error

with ExitStack() as teardown:
    everyone = world.open_launch(teardown)
    mine = [
        attempt(lambda: ["spec", everyone.rank]),
        attempt(lambda: None),
        attempt(lambda: failing(UsageError("no table"))),
        attempt(lambda: failing(KernelError("no compiler"))),
        attempt(lambda: failing(HangError("no answer", 7))),
        attempt(lambda: "again"),
    ]
    of_all = everyone.comm.gather(mine)
    if everyone.rank == 0:
        print(json.dumps(of_all))
"""


def test_what_rank_0_finds_or_raises_all_ranks_get(mpi: Mpi) -> None:
    ranks = mpi.values(TOLD, ranks=3)
    for called, found in zip((1, 0, 0), ranks, strict=True):
        assert found == [
            [["spec", 0], called],
            [None, called],
            ["UsageError", "no table", called],
            ["KernelError", "no compiler", called],
            ["HangError", "no answer", called],
            ["again", called],
        ]


@dataclass
class Shared:
    """Something that a world holds; ``log`` says what became of it."""

    name: str
    log: list[str]

    def __post_init__(self) -> None:
        self.log.append(f"make {self.name}")

    def close(self) -> None:
        """Told."""
        self.log.append(f"close {self.name}")


def a_world(teardown: ExitStack) -> World:
    """A world of this process alone."""
    return open_launch(teardown).split(a_layout(1))


def test_a_world_makes_a_thing_once_and_closes_the_last_one_first() -> None:
    log: list[str] = []
    with ExitStack() as teardown:
        world = a_world(teardown)
        first = world.once("heap", lambda: Shared("heap", log))
        world.once("peers", lambda: Shared("peers", log))
        assert world.once("heap", lambda: Shared("another", log)) is first
        assert log == ["make heap", "make peers"]
        world.free()
        assert log == ["make heap", "make peers", "close peers", "close heap"]
        assert world.shared == {}


def test_two_worlds_share_nothing() -> None:
    log: list[str] = []
    with ExitStack() as teardown:
        one, two = a_world(teardown), a_world(teardown)
        assert one.once("heap", lambda: Shared("1", log)) is not two.once("heap", lambda: Shared("2", log))
        one.free()
        assert log == ["make 1", "make 2", "close 1"]
        two.free()


def test_what_could_not_be_made_is_made_by_the_next() -> None:
    log: list[str] = []
    with ExitStack() as teardown:
        world = a_world(teardown)
        with pytest.raises(ZeroDivisionError):
            world.once("heap", lambda: 1 / 0)
        assert world.once("heap", lambda: Shared("heap", log)).name == "heap"
        world.free()
    assert log == ["make heap", "close heap"]


SIDE_BY_SIDE = Layout((0, 2), (0, 1), beside=((1, 3),))
A_PAIR = Layout((0, 2, 1, 3), (0, 1, 0, 1), pair="a+b")


@pytest.mark.parametrize(
    ("layout", "hosts", "member", "name"),
    [
        (Layout((0, 1, 2), (0, 0, 0)), "aaaa", 2, "rank 2"),
        (SIDE_BY_SIDE, "aaaa", 0, "rank 0"),
        (SIDE_BY_SIDE, "aaaa", 2, "rank 1 (rank 0 of its group)"),
        (SIDE_BY_SIDE, "aabb", 3, "rank 3 on b (rank 1 of its group)"),
        (A_PAIR, "aabb", 0, "rank 0 on a"),
        (A_PAIR, "aabb", 1, "rank 2 on b (rank 1 of its group)"),
    ],
)
def test_a_member_at_fault_is_named_as_the_launch_numbers_it(
    layout: Layout, hosts: str, member: int, name: str
) -> None:
    comm: Any = SimpleNamespace(allgather=lambda mine: [None] * member + ["gone"])
    with ExitStack() as teardown:
        world = World(open_launch(teardown).launch, comm, layout, tuple(hosts), teardown)
        assert world.first_words(None) == f"{name}: gone"
        assert str(on_all(world, lambda: None)) == f"{name}: gone"
