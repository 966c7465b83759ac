"""Lower bounds on latency from the bandwidth and latency of links."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """The limits of one GPU: bytes per second out of it (one direction), seconds until a peer sees one flagged
    store, seconds from one kernel to the next in a CUDA graph."""

    bandwidth: float
    latency: float
    launch: float


# Bandwidth: NVIDIA data sheets (NVLink 3, 4, 5: 300, 450, 900 GB/s a direction). Latency and launch: well below any
# measurement. On H200 a store is seen after 1 to 1.5 us and kernels follow after 2 to 2.5 us, or after less where
# launches overlap: the fastest all-reduce in one hop takes 2.2 us in all.
LATENCY, LAUNCH = 0.5e-6, 0.8e-6
NVLINKS = {
    name: Link(bandwidth, LATENCY, LAUNCH)
    for name, bandwidth in (("A100", 300e9), ("H100", 450e9), ("H200", 450e9), ("B200", 900e9))
}


def find_link(device: str, fabric: str) -> Link | None:
    """The limits of GPU ``device`` on ``fabric``; None where they are unknown."""
    if not fabric.startswith("nvlink"):
        return None
    return next((link for name, link in NVLINKS.items() if name in device), None)


def bound_seconds(collective: str, size: int, ranks: int, link: Link) -> float:
    """A lower bound (seconds) for any implementation without in-network reduction, for ``size`` bytes.

    Every rank must send a share that depends on the collective; an all-reduce takes one hop with n-1 messages or
    two hops with 2(n-1)/n of one (Patarasu and Yuan, JPDC 2009). To normalise its rows can only take longer. Where some
    rank waits for no other it may run ahead in a chain of calls, which then hides the latency of the link.
    """
    share = (ranks - 1) / ranks * size / link.bandwidth
    one_hop = link.launch + link.latency
    if collective in ("all_reduce", "all_reduce_rms_norm"):
        return min(one_hop + (ranks - 1) * size / link.bandwidth, one_hop + link.latency + 2 * share)
    if collective in ("broadcast", "send"):
        return link.launch + size / link.bandwidth
    if collective == "send_recv":
        return one_hop + size / link.bandwidth
    return link.launch + share if collective == "gather" else one_hop + share
