"""The doctor under a launcher: what the ranks are when they are put together, and which way GPU libraries take."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from mpi4py import MPI

from collbench.doctor import traps
from collbench.doctor.findings import Finding, bad, fine, note, show
from collbench.host import probes
from collbench.host.environment import loaded_libraries
from collbench.host.gpus import gpu_missing
from collbench.host.probes import Host, Process
from collbench.host.transports import UNKNOWN, merged
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World, mpi_facts, open_launch
from collbench.results import mismatch

if TYPE_CHECKING:
    from collbench.devices.device import Device
    from collbench.devices.gpu import Gpu
    from collbench.ranks.launcher import Launcher

PATIENCE_SECONDS = 60.0  # for GPU libraries to come up; a hundred nodes take less than half of it
SLOW_SECONDS = 20.0
THREADS = {
    MPI.THREAD_SINGLE: "single", MPI.THREAD_FUNNELED: "funneled", MPI.THREAD_SERIALIZED: "serialized",
    MPI.THREAD_MULTIPLE: "multiple",
}  # fmt: skip


T = TypeVar("T")


@dataclass(frozen=True)
class Library:
    """A GPU library that came up: its version, and the way that it takes to other ranks."""

    version: str
    transport: str


def examine(launcher: Launcher, vendor: str, network: str, host: Host) -> list[Finding]:
    """What rank 0 finds, on every rank; starts and ends MPI. Where every process is alone, each finds just that."""
    if not MPI.Is_initialized():  # looking for the library left it uninitialised
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
    """What the ranks tell of themselves; meant for rank 0, collective."""
    ranks: list[Process] = everyone.comm.allgather(probes.process(os.environ, mpi_facts()))
    told: list[Host | None] = everyone.comm.allgather(host if everyone.local_rank == 0 else None)
    hosts = [each for each in told if each is not None]
    soft = [traps.hidden_gpus(ranks)]
    if gpu_missing() is None:
        soft.append(traps.bootstrap(host[0], len(hosts), os.environ))
    for node, reaches in hosts[1:]:  # of its own host, rank 0 tells anyhow
        soft += [traps.locked(node, network), *traps.fabric_reach(reaches, node), traps.clocks([node])]
    wrong = [finding for finding in soft if finding and finding.cure]
    return [traps.node_map(ranks), traps.agreement(ranks), traps.cores(ranks), *wrong]


class _Trial:
    """Steps that every rank takes together; an error on one of them is known to all. ``at_hang`` gets the state in
    words where a step never ends."""

    def __init__(self, everyone: World, dog: Watchdog, at_hang: Callable[[str], object] | None) -> None:
        self._everyone, self._dog, self._at_hang = everyone, dog, at_hang

    def __call__(self, doing: str, action: Callable[[], T]) -> T | str:
        """What ``action`` returns here, or the error of the first rank that failed. Collective."""
        self._dog.beat(doing, self._at_hang)
        result, error = None, None
        try:
            result = action()
        except Exception as mistake:  # libraries raise what they like
            error = " ".join(f"{type(mistake).__name__}: {mistake}".split())
        return self._everyone.first_words(error) or cast(T, result)


def _gpu_libraries(everyone: World, network: str, so_far: list[Finding]) -> list[Finding]:
    """NCCL and NVSHMEM opened over all ranks: whether they come up, and which way they take. Collective."""
    lacking = everyone.first_words(gpu_missing(nvshmem="nvshmem4py-cu13"))
    if lacking or everyone.size < 2:
        return []
    dog = Watchdog(f"rank {everyone.rank}", PATIENCE_SECONDS, MPI.COMM_WORLD.Abort)

    def print_hang(state: str) -> None:
        cure = "NCCL_DEBUG=INFO, NVSHMEM_DEBUG=INFO and a sweep of one case show where; look at the network first"
        print(show([*so_far, bad("GPU libraries", f"hang: {state}", cure)], False), flush=True)

    try:
        return _try_libraries(everyone, network, _Trial(everyone, dog, print_hang if everyone.rank == 0 else None))
    finally:
        dog.close()


def _try_libraries(everyone: World, network: str, trial: _Trial) -> list[Finding]:
    from collbench.devices.opening import open_device

    device = trial("opening the GPUs", lambda: open_device("gpu", everyone))
    if isinstance(device, str):
        return [bad("GPU of each rank", device, "nvidia-smi, and CUDA_VISIBLE_DEVICES")]
    places = everyone.comm.allgather((everyone.hosts[everyone.rank], device.facts()["pci"]))
    shared = traps.shared_gpu(places)
    if shared:
        return [shared]
    found, took = [], {}
    for name, ask in (("NCCL", _nccl), ("NVSHMEM", _nvshmem)):
        finding, took[name] = _open(name, ask, everyone, device, trial)
        found.append(finding)
    return [*found, *_judge(took, network, len(set(everyone.hosts)))]


def _open(
    name: str, ask: Callable[[World, Device], Library], everyone: World, device: Device, trial: _Trial
) -> tuple[Finding, str]:
    begin = time.monotonic()
    mine = trial(f"opening {name}", lambda: ask(everyone, device))
    seconds = time.monotonic() - begin
    if isinstance(mine, str):
        return bad(name, f"does not come up: {mine}", f"{name}_DEBUG=INFO says more"), UNKNOWN
    transport = merged(everyone.comm.allgather(mine.transport))
    words = f"{mine.version}, {loaded_libraries().get(name.lower())}; transport {transport}"
    if seconds > SLOW_SECONDS:
        found = note(name, f"{words}; took {seconds:.0f} s to come up", f"{name}_DEBUG=INFO shows what it waits for")
    else:
        found = fine(name, words)
    return found, transport


def _judge(took: dict[str, str], network: str, hosts: int) -> list[Finding]:
    """Whether the ways that the libraries took are the ways they should take."""
    slow = traps.slow_network(took, network, hosts)
    differ = mismatch.between({transport: {name} for name, transport in took.items()}) if hosts > 1 else None
    findings = [slow] if slow else []
    if differ:
        findings.append(bad("transports", differ.words, differ.cure))
    return findings


def _nccl(everyone: World, device: Device) -> Library:
    """One all-reduce of 1 MiB: NCCL connects at the first call."""
    from collbench.devices import nccl

    comm = nccl.NcclCommunicator(everyone)
    buffer = nccl.allocate(1 << 20)
    comm.all_reduce(buffer.view(np.float32), cast("Gpu", device).stream.ptr)
    device.settle()
    transport = comm.transport()
    comm.close()
    return Library(nccl.version(), transport)


def _nvshmem(everyone: World, device: Device) -> Library:
    """Some of the symmetric heap, and which ranks reach it."""
    import nvshmem.core as nvshmem

    from collbench.devices.nvshmem import start, transport, version

    start(everyone)
    memory = nvshmem.array((1 << 16,), dtype="uint8")
    way = transport(memory.data.ptr, everyone.layout.members)
    everyone.comm.Barrier()
    nvshmem.free_array(memory)
    return Library(version(), way)
