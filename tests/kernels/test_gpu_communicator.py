"""What the host gives to kernels: twins of C's structures, scratch that holds every piece, words for a hang."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kernel_files import OF_ALL_REDUCE, source, write
from samples import a_layout, a_problem

from collbench import registry
from collbench.backends._kernels import KernelBackend
from collbench.errors import HangError
from collbench.kernels import gpu_communicator
from collbench.kernels.abi import ON_CPU, ON_GPU, PATIENCE_NS, PHASES, Scratch, Stuck
from collbench.kernels.files import own_folder
from collbench.kernels.header import read
from collbench.kernels.kernel import Kernel
from collbench.kernels.loader import Loader
from collbench.kernels.slices import Slice
from collbench.plan.layout import Layout

KERNELS = OF_ALL_REDUCE
IN_TURN = Layout((3, 4, 6, 7), (0, 1, 0, 1))  # four ranks of a launch of more, on nodes whose ranks interleave
LAYOUTS = (a_layout(2), a_layout(8), a_layout(8, nodes=2), a_layout(8, nodes=8), a_layout(6, nodes=3),
           a_layout(56, nodes=7), a_layout(128, nodes=32))  # fmt: skip


# ---- The communicator, without a device ----


def communicator(layout: Layout, rank: int = 0) -> Any:
    """One that has no memory but what it says of ranks and hangs."""
    comm: Any = object.__new__(gpu_communicator.GpuCommunicator)
    comm.places = tuple(sorted(range(layout.size), key=lambda each: (layout.nodes[each], each)))
    comm._pes = [layout.members[each] for each in comm.places]
    comm.addresses = [1000 + pe for pe in comm._pes]
    comm._world = SimpleNamespace(rank=rank)
    comm._state = comm._pinned = SimpleNamespace(ptr=16, data=SimpleNamespace(ptr=32))
    comm._stuck = Stuck()
    return comm


def test_a_rank_receives_its_place_and_those_of_the_others() -> None:
    send, recv = (SimpleNamespace(data=SimpleNamespace(ptr=pointer)) for pointer in (64, 128))
    args = communicator(IN_TURN, rank=1).args(Slice(cast("Any", send), cast("Any", recv), 77), 256)
    assert (args.in_, args.out, args.count, args.state, args.stuck, args.marks) == (64, 128, 77, 32, 16, 256)
    assert args.patience == PATIENCE_NS
    assert args.place == 2, "rank 1 is the first of the second node"
    assert (list(args.pe), list(args.scratch)) == ([3, 6, 4, 7], [1003, 1006, 1004, 1007])


@pytest.mark.parametrize(
    ("reached", "provider", "transport"),
    [((3, 4, 6, 7), None, "p2p"), ((3, 4), None, "unknown"), ((3, 4, 7), "efa", "unknown")],
)
def test_a_communicator_knows_what_its_kernels_take(
    reached: tuple[int, ...], provider: str | None, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = SimpleNamespace(ptr=lambda address, pe: address + pe if pe in reached else 0)
    monkeypatch.setitem(sys.modules, "nvshmem", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "nvshmem.bindings", SimpleNamespace(nvshmem=lib))
    asked: list[tuple[bool, bool, str]] = []

    def of_nvshmem(all_reached: bool, mapped: tuple[str, ...], by: str) -> str:
        asked.append((all_reached, any(path.endswith("/libc.so.6") for path in mapped), by))
        return "p2p" if all_reached else "unknown"

    monkeypatch.setattr("collbench.host.transports.of_nvshmem", of_nvshmem)
    if provider:
        monkeypatch.setenv("NVSHMEM_LIBFABRIC_PROVIDER", provider)
    comm = communicator(IN_TURN)
    comm.scratch = SimpleNamespace(data=SimpleNamespace(ptr=4096))
    assert comm.transport() == transport
    assert asked == [(transport == "p2p", True, provider or "cxi")]


class Members:
    """A world of two members, one of which this is."""

    rank = 0
    layout = Layout((0, 1), (0, 1))

    def __init__(self, reached: bool, transports: list[str]) -> None:
        self.reached, self.transports, self.comm = reached, transports, self

    def allreduce(self, mine: bool, op: object) -> bool:
        return mine and self.reached

    def allgather(self, mine: str) -> list[str]:
        return self.transports

    def led(self, action: Callable[[], object]) -> object:
        return action()


@pytest.mark.parametrize(
    ("name", "found", "doubted"),
    [
        ("nvrar-put", ["libfabric/cxi", "libfabric/cxi"], None),
        ("nvrar-put", ["unknown", "ucx"], None),
        ("nvrar-put", ["libfabric/efa", "libfabric/efa"], "libfabric/efa"),
        ("nvrar-reduce-scatter", ["libfabric/efa", "p2p"], "libfabric/efa"),
        ("nvrar-put-lamport", ["ibrc", "ibrc"], None),
        ("nvrar-put-lamport", ["tcp", "p2p"], None),
        ("nvrar-put-lamport", ["ibrc", "libfabric/efa"], "libfabric/efa"),
        ("nvrar-put-lamport", ["libfabric/cxi", "libfabric/cxi"], "libfabric/cxi"),
        ("nvrar-put-lamport", ["unknown", "unknown"], "unknown"),
        ("nvrar-put-lamport", ["ucx", "ucx"], "ucx"),
    ],
)
def test_puts_need_a_transport_that_writes_whole_words_once(
    name: str, found: list[str], doubted: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLLBENCH_WORDS_ONCE", raising=False)
    comm = communicator(Members.layout)
    comm._world = Members(True, found)
    monkeypatch.setattr(comm, "transport", lambda: found[0])
    comm.addresses = [1000, 0]
    refused = comm.refuses(kernel(name))
    assert (refused is None) == (doubted is None)
    if refused:
        names = "+".join(sorted({*found} - {"p2p"}))
        start = f"{name} needs puts that write whole words, each once; {doubted} does not promise that ("
        assert refused.startswith(start)
        assert refused.endswith(f"). If you know that it does, set COLLBENCH_WORDS_ONCE={names}")
        monkeypatch.setenv("COLLBENCH_WORDS_ONCE", names)
        assert comm.refuses(kernel(name)) is None, "the user knows"


def test_a_spin_that_gave_up_names_both_ranks() -> None:
    comm = communicator(IN_TURN)
    assert comm.alarm() is None
    comm._stuck.place, comm._stuck.phase, comm._stuck.step, comm._stuck.partner, comm._stuck.epoch = 1, 2, 1, 3, 41
    assert comm.alarm() is None, "it is filled before it is set"
    comm._stuck.set = 1
    hang = comm.alarm()
    assert isinstance(hang, HangError)
    assert hang.call == 41
    assert str(hang).startswith("rank 6 waited 10 s in doubling step 1 of call 41 for ")
    assert str(hang).endswith("rank 7"), "as the launch numbers them"
    comm._stuck.phase = 5
    assert "in all-gather of call 41" in str(comm.alarm())


def test_every_phase_of_a_kernel_has_a_name() -> None:
    text = (own_folder() / "common" / "waiting.cuh").read_text()
    found = re.search(r"enum Phase\b[^{]*\{(.*?)\}", text, re.DOTALL)
    assert found
    names = [name.strip() for name in found[1].split(",")]
    assert names[0].endswith("= 1")
    assert len(names) == len(PHASES) - 1
    assert PHASES[1 + names.index("STEP")] == "doubling"


def test_words_and_call_travel_between_ranks() -> None:
    there = pickle.loads(pickle.dumps(HangError("rank 1 waited", 41)))
    assert isinstance(there, HangError)
    assert (str(there), there.call) == ("rank 1 waited", 41)


# ---- Pieces ----


def kernel(name: str) -> Kernel:
    """One of ours."""
    found = registry.find(name)
    assert isinstance(found, KernelBackend), found
    return found.kernel


SHOTS = ("nvrar-put-oneshot", "nvrar-put-oneshot-lamport")
PUTS = ("nvrar-put", "nvrar-put-lamport", *SHOTS, "nvrar-put-halving")


def slots(backend: Kernel, layout: Layout) -> int:
    """Slots that its kernel cuts the scratch into, as its file has them."""
    steps, local = layout.node_count.bit_length() - 1, layout.size // layout.node_count
    three_phases = 2 * local + steps + 2
    others = {"oneshot": layout.size, **dict.fromkeys(SHOTS, 2 * local + layout.node_count)}
    others["nvrar-put-halving"] = three_phases + 1
    return others.get(backend.file.name, three_phases)


def boxes(name: str, layout: Layout) -> int:
    """Shards that kernels which put pack in the outbox: as their files have them, or one a step of doubling, and the
    result for a node that was folded in."""
    steps = layout.node_count.bit_length() - 1
    return {**dict.fromkeys(SHOTS, 1), "nvrar-put-halving": 1}.get(name, steps + (layout.node_count > 1 << steps))


def has_flags(name: str, dtype: str) -> bool:
    """Whether its cells do: Lamport cells between nodes hold sums of floats up to 32 bits."""
    always = name in ("nvrar-ll", "nvrar-put", "nvrar-put-oneshot")
    return always or (name in PUTS and dtype in ("float64", "int32", "int64"))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("scratch", [ON_GPU, ON_CPU], ids=["gpu", "cpu"])
def test_the_scratch_holds_every_piece(name: str, layout: Layout, scratch: Scratch) -> None:
    backend = kernel(name)
    tile = 1 if name in PUTS else 128
    for dtype in backend.file.dtypes:
        problem = a_problem(dtype=dtype, layout=layout, size=1 << 30)
        flagged = has_flags(name, dtype)
        piece = backend.elements_at_once(problem, scratch) * problem.dtype.itemsize
        cells = -(-piece // (8 if flagged else 16))
        shard = cells if name == "oneshot" else -(-cells * layout.node_count // layout.size)
        used = -(-shard // tile) * tile * 16 * slots(backend, layout)
        assert used <= (scratch.flagged_half if flagged else scratch.lamport_half)
        assert name not in PUTS or shard * 16 * boxes(name, layout) <= scratch.outbox_half
        if scratch is ON_GPU:
            assert piece >= 65536
            assert piece % 65536 == 0


@pytest.mark.parametrize("tile", [128, 1 << 16, 1 << 20])
def test_the_scratch_holds_the_tiles_of_any_kernel(tmp_path: Path, tile: int) -> None:
    backend = Kernel(read(write(tmp_path, "hop.cu", source(tile=str(tile), cell='"lamport"'))))
    piece = backend.elements_at_once(a_problem(dtype="float32"), ON_GPU) * 4
    assert piece
    assert -(-piece // (16 * tile)) * 16 * tile * a_problem().layout.size <= ON_GPU.lamport_half


def test_where_tiles_fill_the_scratch_there_is_none(tmp_path: Path) -> None:
    backend = Kernel(read(write(tmp_path, "hop.cu", source(tile=str(1 << 22), cell='"lamport"'))))
    assert backend.elements_at_once(a_problem(dtype="float32"), ON_GPU) == 0


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_64_mib_on_one_node_are_one_launch(ranks: int) -> None:
    problem = a_problem(ranks=ranks, dtype="bfloat16")
    assert kernel("nvrar-lamport").elements_at_once(problem, ON_GPU) * 2 >= 64 << 20


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_compiled_for_its_problem(name: str) -> None:
    backend = kernel(name)
    for dtype, layout in product(backend.file.dtypes, LAYOUTS):
        problem = a_problem(dtype=dtype, layout=layout, op="max")
        shape = backend.shape(problem) | {"threads": 64}
        defines = backend.defines(problem, shape, ON_GPU)
        assert (defines["COLL_DTYPE"], defines["COLL_OP"], defines["COLL_THREADS"]) == (dtype, "max", 64)
        assert (defines["COLL_NODES"], defines["COLL_LOCAL"]) == (layout.node_count, layout.size // layout.node_count)
        assert defines["COLL_FLAGGED"] == int(has_flags(name, dtype))
        assert backend.file.defines.keys() <= defines.keys()


# ---- Loading kernels ----


HOP: Any = SimpleNamespace(symbol="hop", path=Path("hop.cu"))


# ---- Loading kernels ----


class Driver:
    """A CUDA driver that loads everything, and counts what it loads."""

    loads = 0

    def cuLibraryLoadData(self, *arguments: object) -> int:  # noqa: N802
        self.loads += 1
        return self.loads

    def cuLibraryGetKernel(self, library: int, name: bytes) -> tuple[int, bytes]:  # noqa: N802
        return library, name

    def cuKernelGetFunction(self, kernel: tuple[int, bytes]) -> tuple[int, bytes]:  # noqa: N802
        return kernel


def loader(monkeypatch: pytest.MonkeyPatch, errors: list[str | None]) -> tuple[Any, Driver]:
    """A communicator that can load kernels; ``errors`` are those of the other ranks."""
    driver = Driver()
    for name, content in (("cuda.bindings", {"driver": driver}), ("nvshmem.bindings", {"nvshmem": None})):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**content))
        monkeypatch.setitem(sys.modules, name.split(".")[0], SimpleNamespace())
    monkeypatch.setattr(gpu_communicator, "check", lambda value: value)
    monkeypatch.setattr(gpu_communicator, "uses_nvshmem", lambda cubin: False)
    comm = communicator(IN_TURN)
    comm._libraries = []
    world: Any = SimpleNamespace(first_words=lambda words: words or next(filter(None, errors), None))
    comm.function = Loader(world, lambda file, options: b"cubin", comm._load)
    return comm, driver


def test_a_kernel_is_loaded_once_for_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    comm, driver = loader(monkeypatch, [])
    functions = [comm.function(HOP, {"N": number}) for number in (1, 2, 1)]
    assert functions == [(1, b"hop"), (2, b"hop"), (1, b"hop")]
    assert (driver.loads, len(comm._libraries)) == (2, 2)


def test_what_does_not_load_on_one_rank_is_loaded_on_none(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[str | None] = ["rank 1: out of memory"]
    comm, driver = loader(monkeypatch, errors)
    with pytest.raises(RuntimeError, match="hop does not load: rank 1: out of memory"):
        comm.function(HOP, {})
    errors.clear()
    assert comm.function(HOP, {}) == (2, b"hop"), "all ranks try again"
    assert driver.loads == 2
