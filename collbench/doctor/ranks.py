"""The checks of ``doctor`` under a launcher: whether the ranks fit together, and the transports of GPU libraries."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from mpi4py import MPI

from collbench.doctor import companions, places, settings, traps
from collbench.doctor.findings import Finding, bad, fine, note, show
from collbench.doctor.places import Seat
from collbench.host import numa, probes
from collbench.host.environment import loaded_libraries
from collbench.host.gpus import gpu_missing
from collbench.host.probes import Host, Process
from collbench.host.settings import conflicts, given
from collbench.host.transports import UNKNOWN, merged
from collbench.printer.forms import Form
from collbench.ranks.watchdog import AtEnd, Watchdog
from collbench.ranks.world import World, mpi_facts, open_launch
from collbench.results import mismatch

if TYPE_CHECKING:
    from collbench.devices.device import Device
    from collbench.devices.gpu import Gpu
    from collbench.ranks.launcher import Launcher

PATIENCE_SECONDS = 60.0  # to initialize the GPU libraries; a hundred nodes need less than half of it
SLOW_SECONDS = 20.0
THREADS = {
    MPI.THREAD_SINGLE: "single", MPI.THREAD_FUNNELED: "funneled", MPI.THREAD_SERIALIZED: "serialized",
    MPI.THREAD_MULTIPLE: "multiple",
}  # fmt: skip


T = TypeVar("T")


@dataclass(frozen=True)
class Library:
    """A GPU library that initialized: its version, and its transport to other ranks."""

    version: str
    transport: str


def examine(launcher: Launcher, vendor: str, network: str, host: Host) -> list[Finding]:
    """Rank 0's findings, on every rank; initializes and finalizes MPI.

    Where the processes form no common world, the only finding is that.
    """
    if not MPI.Is_initialized():  # mpi4py was imported without initialization
        MPI.Init_thread()
    world_size = MPI.COMM_WORLD.Get_size()
    first = traps.singletons(launcher, world_size, os.environ.get("SLURM_MPI_TYPE"), vendor)
    if not first.fine:
        MPI.Finalize()
        return [first]
    with ExitStack() as teardown:
        everyone = open_launch(teardown)
        found = [first, fine("MPI threads", THREADS[MPI.Query_thread()]), *_together(everyone, network, host)]
        found += _gpu_libraries(everyone, network, found)
        found = everyone.bcast(found)
    MPI.Finalize()
    return found


def _together(everyone: World, network: str, host: Host) -> list[Finding]:
    """Findings about all ranks together, valid on rank 0. Collective."""
    ranks: list[Process] = everyone.comm.allgather(probes.process(os.environ, mpi_facts()))
    gathered: list[Host | None] = everyone.comm.allgather(host if everyone.local_rank == 0 else None)
    hosts = [each for each in gathered if each is not None]
    nodes = [node for node, _ in hosts]
    soft = [
        traps.lab(ranks), traps.hidden_gpus(ranks), settings.disagreement(conflicts(os.environ)),
        companions.too_late(ranks, network), companions.ll128(nodes, os.environ, network), places.unlike_gpus(nodes),
    ]  # fmt: skip
    if gpu_missing() is None:
        soft.append(traps.bootstrap(host[0], len(hosts), os.environ))
    for node, reaches in hosts[1:]:  # examine() has checked the host of rank 0
        soft += [traps.locked(node, network), *traps.fabric_reach(reaches, node), traps.clocks([node])]
        soft.append(companions.alt_read(os.environ, node))
    wrong = [finding for finding in soft if finding and finding.cure]
    arrived = settings.arrival(ranks, given(os.environ))
    found = [traps.node_map(ranks), traps.agreement(ranks), traps.cores(ranks), *([arrived] if arrived else [])]
    return [*found, *wrong]


class _Trial:
    """Runs steps that all ranks take together, and shares the errors. ``at_hang`` is called with a description of the
    state if a step hangs."""

    def __init__(self, everyone: World, dog: Watchdog, at_hang: AtEnd | None) -> None:
        self._everyone, self._dog, self._at_hang = everyone, dog, at_hang

    def __call__(self, doing: str, action: Callable[[], T]) -> T | str:
        """The result of ``action``, or the error of the first rank that failed. Collective."""
        self._dog.beat(doing, self._at_hang)
        result, error = None, None
        try:
            result = action()
        except Exception as failure:  # libraries raise exceptions of any type
            error = " ".join(f"{type(failure).__name__}: {failure}".split())
        return self._everyone.first_words(error) or cast(T, result)


def _gpu_libraries(everyone: World, network: str, so_far: list[Finding]) -> list[Finding]:
    """Findings about NCCL and NVSHMEM: whether they initialize, and their transports. Collective."""
    missing = everyone.first_words(gpu_missing(nvshmem="nvshmem4py-cu13"))
    if missing or everyone.size < 2:
        return []
    dog = Watchdog(everyone, PATIENCE_SECONDS)

    def print_hang(status: str, state: str) -> None:
        cure = "check the network; then run a sweep of one case with NCCL_DEBUG=INFO and NVSHMEM_DEBUG=INFO"
        print(show([*so_far, bad("GPU libraries", f"hang: {state}", cure)], Form.PLAIN), flush=True)

    try:
        return _try_libraries(everyone, network, _Trial(everyone, dog, print_hang if everyone.rank == 0 else None))
    finally:
        dog.close()


def _try_libraries(everyone: World, network: str, trial: _Trial) -> list[Finding]:
    from collbench.devices.opening import open_device

    device = trial("opening the GPUs", lambda: open_device("gpu", everyone))
    if isinstance(device, str):
        return [bad("GPU of each rank", device, "check nvidia-smi and CUDA_VISIBLE_DEVICES")]
    seats = everyone.comm.allgather(_seat(everyone, device.facts()["pci"]))
    shared = traps.shared_gpu([(seat.host, seat.pci) for seat in seats])
    if shared:
        return [shared]
    far, took = places.far_cores(seats), dict[str, str]()
    found = [far] if far else []
    for name, probe in (("NCCL", _nccl), ("NVSHMEM", _nvshmem)):
        finding, took[name] = _open(name, probe, everyone, device, trial)
        found.append(finding)
    machines = len(set(everyone.comm.allgather(probes.machine())))
    return [*found, *_judge(took, network, len(set(everyone.hosts)), machines)]


def _seat(everyone: World, pci: str) -> Seat:
    """Where this rank runs, and what is near its GPU."""
    cores = frozenset(os.sched_getaffinity(0))
    host = everyone.hosts[everyone.rank]
    return Seat(everyone.rank, host, cores, pci, numa.near_cores(pci), numa.near_nics(pci))


def _open(
    name: str, probe: Callable[[World, Device], Library], everyone: World, device: Device, trial: _Trial
) -> tuple[Finding, str]:
    begin = time.monotonic()
    mine = trial(f"opening {name}", lambda: probe(everyone, device))
    seconds = time.monotonic() - begin
    if isinstance(mine, str):
        return bad(name, f"does not initialize: {mine}", f"set {name}_DEBUG=INFO for details"), UNKNOWN
    transport = merged(everyone.comm.allgather(mine.transport))
    words = f"{mine.version}, {loaded_libraries().get(name.lower())}; transport {transport}"
    if seconds > SLOW_SECONDS:
        found = note(name, f"{words}; took {seconds:.0f} s to initialize", f"set {name}_DEBUG=INFO to see why")
    else:
        found = fine(name, words)
    return found, transport


def _judge(took: dict[str, str], network: str, hosts: int, machines: int) -> list[Finding]:
    """Findings about slow or differing transports; several hosts may be one machine."""
    slow = traps.slow_network(took, network, machines)
    differ = mismatch.between({transport: {name} for name, transport in took.items()}) if hosts > 1 else None
    findings = [slow] if slow else []
    if differ:
        findings.append(bad("transports", differ.words, differ.cure))
    return findings


def _nccl(everyone: World, device: Device) -> Library:
    """NCCL's version and transport, after an all-reduce of 1 MiB: it connects at the first call."""
    from collbench.devices import nccl

    comm = nccl.NcclCommunicator(everyone)
    buffer = nccl.allocate(1 << 20)
    comm.all_reduce(buffer.view(np.float32), cast("Gpu", device).stream.ptr)
    device.settle()
    transport = comm.transport()
    comm.close()
    return Library(nccl.version(), transport)


def _nvshmem(everyone: World, device: Device) -> Library:
    """NVSHMEM's version and transport, from a piece of the symmetric heap that ranks reach."""
    import nvshmem.core as nvshmem

    from collbench.devices.nvshmem import start, transport, version

    start(everyone)
    memory = nvshmem.array((1 << 16,), dtype="uint8")
    way = transport(memory.data.ptr, everyone.layout.members)
    everyone.comm.Barrier()
    nvshmem.free_array(memory)
    return Library(version(), way)
