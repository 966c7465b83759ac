"""What can be said of a request before any rank is started."""

from __future__ import annotations

from collbench import registry
from collbench.errors import UsageError
from collbench.host.gpus import gpu_count
from collbench.plan.layout import Layout
from collbench.replay.compute import check_products
from collbench.replay.plan import plan_of
from collbench.replay.request import ReplayRequest


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
    """Raise UsageError where this machine, which is to start all ranks, has fewer GPUs than they need."""
    if registry.find(request.backends[0]).DEVICE == "gpu" and 0 < gpu_count() < request.ranks:
        raise UsageError(f"{request.spec} needs {request.ranks} GPUs, but this machine has {gpu_count()}.")
