"""Windows of CPU ranks: what is kept and given back, and too little shared memory."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from emulated import kernel, needs_compiler
from running import BROKEN, Mpi, Ran
from samples import a_layout, a_problem

from collbench.devices.cpu import Cpu
from collbench.errors import CannotRunError
from collbench.host.memory import Room
from collbench.kernels import cpu_communicator
from collbench.kernels.abi import ON_CPU, SMALLER_ON_CPU, Scratch
from collbench.kernels.session import open_session
from collbench.ranks.world import open_launch

pytestmark = needs_compiler
QUICK = ("--samples", "2", "--max-seconds", "0.02", "--warmup", "1", "-o", "r.csv")


def without_gpu(mpi: Mpi, *arguments: str, **variables: str) -> Ran:
    """Run collbench on ranks that it starts itself."""
    return mpi.run(*arguments, ranks=None, CUDA_VISIBLE_DEVICES="", **variables)


def sweep(mpi: Mpi, *arguments: str, **variables: str) -> Ran:
    """The same: a quick sweep."""
    return without_gpu(mpi, "sweep", *arguments, *QUICK, **variables)


WORLDS = """
import json, re
from contextlib import ExitStack
from pathlib import Path
from collbench.devices.cpu import Cpu
from collbench.ranks import world
from collbench.kernels.session import open_communicator
from collbench.plan.layout import Layout

def mapped():
    text = Path("/proc/self/maps").read_text()
    shared = re.findall("^(.+)-(.+) ...s ", text, re.MULTILINE)
    runtimes = set(re.findall("collbench-.+[.]so", text))
    return sum(int(end, 16) - int(begin, 16) for begin, end in shared), len(runtimes)

found = []
with ExitStack() as teardown:
    everyone = world.open_launch(teardown)
    for ranks in (2, 3, 2, 3):
        part = everyone.split(Layout(tuple(range(ranks)), (0,) * ranks))
        open_communicator(part, Cpu())
        found.append([*mapped()])
        part.free()
        found[-1] += mapped()
    of_all = everyone.comm.gather(found)
    if everyone.rank == 0:
        print(json.dumps(of_all))
"""


def test_windows_are_given_back_and_the_runtime_is_loaded_once(mpi: Mpi) -> None:
    for rank, rounds in enumerate(mpi.values(WORLDS, ranks=3)):
        for ranks, (inside, _, after, runtimes) in zip((2, 3, 2, 3), rounds, strict=True):
            assert inside - after >= ranks * ON_CPU.bytes * (rank < ranks)
            assert runtimes <= 1
        assert rounds[3][2:] == rounds[1][2:], "what is mapped does not grow from world to world"
        assert rounds[3][3] == 1


def test_too_little_shared_memory_is_a_skipped_row(mpich: Mpi) -> None:
    ran = sweep(mpich, "--backend", "no-room,mpi", "--ranks", "2", "--sizes", "4K", PYTHONPATH=str(BROKEN))
    assert ran.code == 0, ran.err
    rows = {row.backend: row for row in mpich.rows()}
    assert (rows["mpi"].status, rows["no-room"].status) == ("ok", "skipped")
    assert rows["no-room"].reason == (
        "rank 0: kernels need 232 KiB in /dev/shm, but 4 KiB are free; enlarge it (Docker: --shm-size)"
    )


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (ON_CPU.bytes, ON_CPU),
        (ON_CPU.bytes - 1, SMALLER_ON_CPU[0]),
        (SMALLER_ON_CPU[-1].bytes, SMALLER_ON_CPU[-1]),
        (SMALLER_ON_CPU[-1].bytes - 1, None),
    ],
)
def test_the_scratch_is_as_large_as_shared_memory_allows(
    monkeypatch: pytest.MonkeyPatch, free: int, expected: Scratch | None
) -> None:
    monkeypatch.setattr(cpu_communicator, "shared_room", lambda: Room(free, "in /dev/shm"))
    problem, device = a_problem(ranks=1), Cpu()
    with ExitStack() as teardown:
        world = open_launch(teardown).split(a_layout(1))
        session: Any = open_session(kernel("oneshot"), world, device, 1 << 16)
        assert bool(session.comm.addresses[0]) == (expected is not None)
        if expected is None:
            with pytest.raises(CannotRunError, match="in /dev/shm, but "):
                session.prepare(problem, session.arena[:4096], session.arena[4096:8192])
        else:
            assert session.comm.layout == expected
        world.free()
    device.close()


def test_a_message_larger_than_a_small_scratch_takes_more_launches(mpich: Mpi) -> None:
    ran = sweep(mpich, "--backend", "little-room", "--ranks", "2", "--sizes", "4K,1M", PYTHONPATH=str(BROKEN))
    assert ran.code == 0, ran.err
    assert [row.status for row in mpich.rows()] == ["ok", "ok"]
