"""NCCL's calls of point-to-point messages, recorded: functions, counts, peers and groups."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from samples import a_problem

from collbench import devices

TYPES = ("FLOAT16", "BFLOAT16", "FLOAT32", "FLOAT64", "INT32", "INT64", "SUM", "MIN", "MAX", "AVG")
NAMES = ("allto_all", "send", "recv", "group_start", "group_end")
COMM, STREAM = "comm", 70
MODULE = "collbench.devices.nccl"
FLOAT32 = TYPES.index("FLOAT32")


def array(address: int) -> Any:
    return SimpleNamespace(data=SimpleNamespace(ptr=address))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """The calls of NCCL, in whose place is what records them while the module is imported."""
    noted: list[tuple[Any, ...]] = []

    def recorder(name: str) -> Any:
        return lambda *given: noted.append((name, *given))

    core = SimpleNamespace(**{name: number for number, name in enumerate(TYPES)})
    bindings = SimpleNamespace(nccl=SimpleNamespace(**{name: recorder(name) for name in NAMES}))
    worlds = SimpleNamespace(World=object)  # without MPI
    modules = {"nccl": SimpleNamespace(core=core), "nccl.core": core, "nccl.bindings": bindings,
               "cupy": ModuleType("cupy"), "collbench.ranks.world": worlds}  # fmt: skip
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.delattr(devices, "nccl", raising=False)
    yield noted
    sys.modules.pop(MODULE)
    delattr(devices, "nccl")


def run(name: str, rank: int, ranks: int) -> None:
    """Make one call of a collective from address 1 to address 2."""
    comm: Any = object.__new__(importlib.import_module(MODULE).NcclCommunicator)
    comm._rank, comm._size, comm._handle = rank, ranks, COMM
    comm.call(a_problem(name, ranks=ranks), array(1), array(2), STREAM)()


def test_an_all_to_all_is_one_call_with_the_elements_for_each_rank(made: list[tuple[Any, ...]]) -> None:
    run("all_to_all", rank=2, ranks=4)
    assert made == [("allto_all", 1, 2, 256, FLOAT32, COMM, STREAM)]


def test_a_send_goes_one_way(made: list[tuple[Any, ...]]) -> None:
    run("send", rank=0, ranks=2)
    run("send", rank=1, ranks=2)
    assert made == [("send", 1, 1024, FLOAT32, 1, COMM, STREAM), ("recv", 2, 1024, FLOAT32, 0, COMM, STREAM)]


def test_a_ring_sends_and_receives_in_one_group(made: list[tuple[Any, ...]]) -> None:
    run("send_recv", rank=0, ranks=3)
    assert [call[0] for call in made] == ["group_start", "send", "recv", "group_end"]
    assert [call[4] for call in made[1:3]] == [1, 2]
