"""The transport that a communication library uses, as one short name derived from the library's log or maps.

Names: ``p2p`` (GPU to GPU), ``nvls`` (NVLink multicast) and ``shm`` inside a host; between hosts ``socket``, ``ib``
(InfiniBand or RoCE), ``ucx`` and ``ofi/PROVIDER`` of NCCL; ``ibrc``, ``ibgda``, ``ibdevx``, ``gpunetio``, ``ucx``,
``tcp`` (a plugin of that name, which NVIDIA does not ship) and ``libfabric/PROVIDER`` of NVSHMEM. All others are
``unknown``. UCX runs on any network, so ``ucx`` does not say which.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

UNKNOWN = "unknown"
NVLS = "nvls"
INSIDE = (NVLS, "p2p", "shm")
# NCCL, src/transport/{p2p,shm,net,nvls}.cc: "Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM", "... [send] via NET/IB/0".
_CHANNEL = re.compile(r" via (P2P|SHM)/|(NVLS) comm 0x")
_NET = re.compile(r" via NET/(.+?)/\d+")
# aws-ofi-nccl, src/nccl_ofi_net.cpp: "NET/OFI Selected provider is cxi, fabric is cxi (found 4 nics)".
_PROVIDER = re.compile(r"NET/OFI Selected provider is ([^,\s]+)", re.IGNORECASE)
_PLUGIN = re.compile(r"nvshmem_transport_(\w+)\.so")
_BY_THE_GPU = ("ibgda", "gpunetio")  # these carry traffic of kernels; another may carry traffic of the host
# Plugins of NVSHMEM, of which it keeps the one that it uses; tcp is preloaded, so that it stays in any case.
_BY_THE_HOST = ("ibrc", "ibdevx", "ucx", "tcp")
DEFAULT_PROVIDER = "cxi"  # NVSHMEM, src/modules/transport/common/env_defs.h
NETWORKS = {
    "slingshot": ("ofi/cxi", "libfabric/cxi"),
    "infiniband": ("ib", "ibrc", "ibgda", "ibdevx", "gpunetio", "ofi/verbs", "libfabric/verbs"),
    "efa": ("ofi/efa", "libfabric/efa"),
    "tcp": ("socket", "tcp", "ofi/tcp", "ofi/sockets"),
}
# Transports of NVSHMEM whose puts write aligned words of 4 bytes whole, and each word once. What carries them are the
# reliable connections of InfiniBand, or a stream of TCP.
#   whole  PCIe packets carry whole words of 4 bytes, and those of InfiniBand and RoCE, but for the last one of a put,
#          multiples of 256 bytes. No document says more: NVSHMEM's manual leaves the order of words open and does not
#          define a word (NVIDIA/nvshmem issue 6), halves of 128 bytes may appear one by one (NVIDIA/nccl pull request
#          2053).
#   once   A responder only acknowledges a write that it receives again (InfiniBand Architecture Specification,
#          volume 1, C9-105; Linux, drivers/infiniband/sw/rxe/rxe_resp.c, duplicate_request); a stream of TCP holds
#          every byte once.
# Neither needs an order, and there is none: writes of InfiniBand are ordered before a completion only (openucx/ucx pull
# request 4830), and NVSHMEM 3.4.5 registers its heap for PCIe's relaxed order (NVSHMEM_IB_ENABLE_RELAXED_ORDERING).
WHOLE_WORDS_ONCE = ("ibrc", "ibgda", "ibdevx", "gpunetio", "tcp")
# What is missing for others. EFA's is from aws/aws-ofi-nccl pull request 280; under an option that NVSHMEM 3.4.5 does
# not set, FI_OPT_EFA_WRITE_IN_ORDER_ALIGNED_128_BYTES, it promises both (fi_efa(7)).
_DOUBTS = {
    "libfabric/cxi": "fi_cxi(7) speaks of lost packets for atomic operations only",
    "libfabric/efa": "it may write data several times before a put completes",
    "libfabric/verbs": "neither fi_verbs(7) nor fi_rxm(7) says so",
    "ucx": "UCX may take any network",
}
# Of these, the ones that are known not to. Cells with flags refuse only them: a second write reads its source again,
# which then may hold cells of a later call, with flags that are valid and in other places.
_KNOWN_NOT_TO = ("libfabric/efa",)
WORDS_ONCE = "COLLBENCH_WORDS_ONCE"  # names further transports, joined by +, of which the user knows it


def _network(name: str, log: str) -> str:
    """The name for the network that NCCL calls ``name``; the provider of libfabric is in the log."""
    if name == "Socket":
        return "socket"
    if name.startswith("IB"):  # or IBext_v8, the plugin of HPC-X
        return "ib"
    if name.startswith("UCX"):
        return "ucx"
    if "Libfabric" in name:  # "AWS Libfabric" before aws-ofi-nccl 1.17
        provider = _PROVIDER.search(log)
        return f"ofi/{core(provider[1])}" if provider else UNKNOWN
    return UNKNOWN


def core(provider: str) -> str:
    """The core provider in a libfabric provider's name: ``verbs`` of ``verbs;ofi_rxm``."""
    return provider.split(";", maxsplit=1)[0]


def of_nccl(log: str, recent: str) -> str:
    """The transport of NCCL's communicators on one world, from this rank's ``recent`` lines of the log.

    Call it after the first collective, when NCCL connects. ``log`` is the whole log: plugins log their provider once.
    """
    networks = {_network(name, log) for name in _NET.findall(recent)}
    inside = {(direct or multicast).lower() for direct, multicast in _CHANNEL.findall(recent)}
    return merged(networks or inside)


def of_nvshmem(reached: bool, mapped: Iterable[str], provider: str) -> str:
    """The transport of NVSHMEM from this PE to others.

    ``reached``: loads and stores reach all PEs (nvshmem_ptr). Otherwise it is the transport plugin among the ``mapped``
    files: NVSHMEM unloads plugins that fail to initialise (src/host/transport/transport.cpp). A loaded plugin for
    libfabric has found ``provider``, without which it fails.
    """
    if reached:
        return "p2p"
    loaded = {plugin[1] for path in mapped if (plugin := _PLUGIN.match(Path(path).name))}
    if found := [name for name in _BY_THE_GPU if name in loaded]:
        return found[0]
    if "libfabric" in loaded:
        return f"libfabric/{core(provider)}"
    return next((name for name in _BY_THE_HOST if name in loaded), UNKNOWN)


def merged(names: Iterable[str]) -> str:
    """One name for the transports of several ranks: the networks, or without any, the transports inside the host."""
    parts = {part for name in names for part in name.split("+")}
    networks = parts - {UNKNOWN, *INSIDE}
    if networks:
        return "+".join(sorted(networks))
    return UNKNOWN if UNKNOWN in parts or not parts else "+".join(sorted(parts))


def doubt(transport: str, flagged: bool = False) -> str | None:
    """Why it is not certain that puts over ``transport`` write whole words, each once, on which Lamport cells between
    nodes rely; None where it is, by documents or by the user's word. ``flagged``: only where it is known not to."""
    known = {*WHOLE_WORDS_ONCE, *INSIDE, *os.environ.get(WORDS_ONCE, "").split("+")}
    for part in transport.split("+"):
        if part not in known and (not flagged or part in _KNOWN_NOT_TO):
            return f"{part} does not promise that ({_DOUBTS.get(part, 'no document says so')})"
    return None


def families(transport: str) -> frozenset[str]:
    """The networks that a transport uses; empty inside a host, and for ``ucx`` and ``unknown``, which do not say."""
    parts = transport.split("+")
    return frozenset(family for family, names in NETWORKS.items() if any(part in names for part in parts))
