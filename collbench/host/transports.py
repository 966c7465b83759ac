"""The transport that a communication library took: read from what the library says, and put into one short name.

Names: ``p2p`` (GPU to GPU), ``nvls`` (NVLink multicast) and ``shm`` inside a host; between hosts ``socket``, ``ib``
(InfiniBand or RoCE), ``ucx`` and ``ofi/PROVIDER`` of NCCL; ``ibrc``, ``ibgda``, ``ibdevx``, ``gpunetio``, ``ucx`` and
``libfabric/PROVIDER`` of NVSHMEM. What is not known is ``unknown``: nothing here guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

UNKNOWN = "unknown"
INSIDE = ("nvls", "p2p", "shm")
# NCCL, src/transport/{p2p,shm,net,nvls}.cc: "Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM", "... [send] via NET/IB/0".
_CHANNEL = re.compile(r" via (P2P|SHM)/|(NVLS) comm 0x")
_NET = re.compile(r" via NET/(.+?)/\d+")
# aws-ofi-nccl, src/nccl_ofi_net.cpp: "NET/OFI Selected provider is cxi, fabric is cxi (found 4 nics)".
_PROVIDER = re.compile(r"NET/OFI Selected provider is ([^,\s]+)", re.IGNORECASE)
_PLUGIN = re.compile(r"/nvshmem_transport_(\w+)\.so")
_BY_THE_GPU = ("ibgda", "gpunetio")  # these carry what kernels send, whatever carries what the host sends
_BY_THE_HOST = ("ibrc", "ibdevx", "ucx")
DEFAULT_PROVIDER = "cxi"  # NVSHMEM, src/modules/transport/common/env_defs.h
NETWORKS = {
    "slingshot": ("ofi/cxi", "libfabric/cxi"),
    "infiniband": ("ib", "ibrc", "ibgda", "ibdevx", "gpunetio", "ucx", "ofi/verbs", "libfabric/verbs"),
    "efa": ("ofi/efa", "libfabric/efa"),
    "tcp": ("socket", "ofi/tcp", "ofi/sockets"),
}


def _network(name: str, log: str) -> str:
    """Our name for the network that NCCL calls ``name``; the log tells the provider of libfabric."""
    if name == "Socket":
        return "socket"
    if name.startswith("IB"):  # also the plugin of HPC-X: IBext_v8
        return "ib"
    if name.startswith("UCX"):
        return "ucx"
    if "Libfabric" in name:  # "AWS Libfabric" before aws-ofi-nccl 1.17
        provider = _PROVIDER.search(log)
        return f"ofi/{core(provider[1])}" if provider else UNKNOWN
    return UNKNOWN


def core(provider: str) -> str:
    """The part of a libfabric provider that owns the network: ``verbs`` of ``verbs;ofi_rxm``."""
    return provider.split(";", maxsplit=1)[0]


def of_nccl(log: str, recent: str) -> str:
    """What NCCL's communicators on one world took, as far as this rank's ``recent`` lines of the log tell.

    NCCL connects at the first call, so ask after it. ``log`` is the whole log: plugins tell their provider once.
    """
    networks = {_network(name, log) for name in _NET.findall(recent)}
    inside = {(direct or multicast).lower() for direct, multicast in _CHANNEL.findall(recent)}
    return merged(networks or inside)


def of_nvshmem(reached: bool, maps: str, provider: str) -> str:
    """What NVSHMEM takes from this PE to others.

    ``reached``: loads and stores reach them all (nvshmem_ptr). Else it is the transport plugin that stayed loaded, by
    the process's ``maps``: NVSHMEM unloads one that does not come up (src/host/transport/transport.cpp). A plugin for
    libfabric that came up has found ``provider``, or it would have failed.
    """
    if reached:
        return "p2p"
    loaded = set(_PLUGIN.findall(maps))
    if found := [name for name in _BY_THE_GPU if name in loaded]:
        return found[0]
    if "libfabric" in loaded:
        return f"libfabric/{core(provider)}"
    return next((name for name in _BY_THE_HOST if name in loaded), UNKNOWN)


def merged(names: Iterable[str]) -> str:
    """One name for what several ranks took: the networks, or where there is none, what they took inside their host."""
    parts = {part for name in names for part in name.split("+")}
    networks = parts - {UNKNOWN, *INSIDE}
    if networks:
        return "+".join(sorted(networks))
    return UNKNOWN if UNKNOWN in parts or not parts else "+".join(sorted(parts))


def families(transport: str) -> frozenset[str]:
    """The networks that a transport goes over; none inside a host, and none where it is unknown."""
    parts = transport.split("+")
    return frozenset(family for family, names in NETWORKS.items() if any(part in names for part in parts))
