"""NVSHMEM: initialisation, once per launch, transport and version."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from collbench.host import transports
from collbench.host.maps import mapped_files

if TYPE_CHECKING:
    from collbench.ranks.world import World


INITIALIZED = 2  # NVSHMEM_STATUS_IS_INITIALIZED


def start(world: World) -> None:
    """Initialise NVSHMEM for the launch, if needed; finalised with the launch. Collective over the launch."""
    import nvshmem.core as nvshmem
    from cuda.core import Device as CoreDevice

    nvshmem.get_version()  # loads the library
    if nvshmem.init_status() == INITIALIZED:
        return
    os.environ["NVSHMEM_DISABLE_NCCL"] = "1"
    if len(set(world.hosts)) == 1:  # one host: no network to look for
        os.environ.setdefault("NVSHMEM_REMOTE_TRANSPORT", "none")
        os.environ.setdefault("NVSHMEM_BOOTSTRAP_UID_SOCK_IFNAME", "lo")
    rank = world.launch.Get_rank()
    uid = nvshmem.get_unique_id(empty=rank != 0)
    world.launch.Bcast(uid._data.view(np.int8), root=0)
    nvshmem.init(device=CoreDevice(), uid=uid, rank=rank, nranks=world.launch.Get_size(), initializer_method="uid")
    world.teardown.callback(nvshmem.finalize)


def transport(address: int, pes: Iterable[int]) -> str:
    """The transports from this PE to ``pes``; ``address`` is a symmetric address."""
    from nvshmem.bindings import nvshmem as lib

    reached = all(lib.ptr(address, pe) for pe in pes)
    provider = os.environ.get("NVSHMEM_LIBFABRIC_PROVIDER", transports.DEFAULT_PROVIDER)
    return transports.of_nvshmem(reached, mapped_files(), provider)


def version() -> str:
    """Version of the loaded NVSHMEM library."""
    import nvshmem.core as nvshmem

    return str(nvshmem.get_version().libnvshmem_version)
