"""What can be said of a request before any rank is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collbench import registry
from collbench.errors import UsageError
from collbench.host.gpus import gpu_count, gpu_missing
from collbench.plan.layout import Layout
from collbench.replay.compute import check_products
from collbench.replay.plan import plan_of
from collbench.replay.request import ReplayRequest

if TYPE_CHECKING:
    from mpi4py import MPI


def check(request: ReplayRequest) -> None:
    """Raise UsageError for a request that no launch here can fulfil."""
    deployment = request.listing.deployment
    for kind in plan_of(deployment, request.one).kinds:
        size = len(kind.groups[0])
        kind.problem(Layout(tuple(range(size)), (0,) * size))
    if request.compute == "gemm":
        check_products(deployment)
    late = next((skew for skew in request.skews if (skew.rank or 0) >= request.ranks), None)
    if late:
        raise UsageError(f"--skew {late} is of a rank that {request.spec} has not: it has {request.ranks}.")
    devices = {name: registry.find(name).DEVICE for name in (*request.backends, request.rest)}
    if len(set(devices.values())) > 1:
        shown = ", ".join(f"{name} on the {device.upper()}" for name, device in devices.items())
        raise UsageError(f"a replay is on GPUs or on CPU ranks, not on both: {shown}.")


def check_gpus(request: ReplayRequest) -> None:
    """Raise UsageError where this machine, which is to start all ranks, has not the GPUs that they need."""
    if not _on_gpus(request):
        return
    if words := gpu_missing():
        raise UsageError(f"{request.backends[0]} cannot run here: {words}.")
    if gpu_count() < request.ranks:
        raise UsageError(f"{request.spec} needs {request.ranks} GPUs, but this machine has {gpu_count()}.")


def check_launch(request: ReplayRequest, comm: MPI.Intracomm) -> None:
    """Raise UsageError on every rank where a launch has not the ranks that the spec needs, or one has no GPU that it
    needs; collective."""
    if comm.Get_size() != request.ranks:
        raise UsageError(f"{request.spec} needs {request.ranks} ranks, but this launch has {comm.Get_size()}.")
    lacking = comm.allgather(gpu_missing() if _on_gpus(request) else None)
    for rank, words in enumerate(lacking):
        if words:
            raise UsageError(f"{request.backends[0]} cannot run on rank {rank}: {words}.")


def _on_gpus(request: ReplayRequest) -> bool:
    return registry.find(request.backends[0]).DEVICE == "gpu"
