"""NVSHMEM: initialisation, once per launch, a one-way message on a stream, transport and version."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from collbench.devices.device import Call
from collbench.host import transports
from collbench.host.maps import mapped_files

if TYPE_CHECKING:
    from collbench.ranks.world import World


INITIALIZED = 2  # NVSHMEM_STATUS_IS_INITIALIZED
MINUS_ONE = (1 << 64) - 1


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


@dataclass(frozen=True)
class Handshake:
    """Messages from one PE to another on their streams, by put with signal, as ncclSend and ncclRecv order them: a call
    of the receiver gives its buffer away, and one of the sender may then reuse its own.

    ``free`` and ``arrived`` are symmetric addresses of counters (64 bits, 0 at rest), of which the sender's ``free``
    and the receiver's ``arrived`` are used. Both are semaphores: the other PE adds one, and this one waits for one and
    takes it.

    Ordering. The receiver adds to ``free`` behind all that its stream did with the buffer, and the sender puts behind
    its wait for that: no message is overwritten before it is used. A signal follows the data of its put, and the
    receiver's stream goes on behind its wait for it: no message is used before it is whole. Each wait takes what it has
    seen, so that a later call cannot see it again, and the values of all operations are constants: a CUDA graph may
    hold any number of calls, and be replayed. All updates are atomic additions, since NVSHMEM may implement a signal
    that is set by a copy from the host's stack, which a graph would read when it is replayed.
    """

    free: int
    arrived: int
    sender: int
    receiver: int

    def send(self, target: int, source: int, size: int, stream: int) -> Call:
        """A call on the sender that puts ``size`` bytes from its ``source`` to the receiver's ``target``."""
        from nvshmem.bindings import nvshmem as lib

        add = int(lib.Signal_op.SIGNAL_ADD)

        def call() -> None:
            self._take(lib, self.free, self.sender, stream)
            lib.putmem_signal_on_stream(target, source, size, self.arrived, 1, add, self.receiver, stream)

        return call

    def receive(self, stream: int) -> Call:
        """A call on the receiver, behind which its buffer holds the message."""
        from nvshmem.bindings import nvshmem as lib

        add = int(lib.Signal_op.SIGNAL_ADD)

        def call() -> None:
            lib.signal_op_on_stream(self.free, 1, add, self.sender, stream)
            self._take(lib, self.arrived, self.receiver, stream)

        return call

    def _take(self, lib: Any, counter: int, pe: int, stream: int) -> None:
        lib.signal_wait_until_on_stream(counter, int(lib.Cmp_type.CMP_GE), 1, stream)
        lib.signal_op_on_stream(counter, MINUS_ONE, int(lib.Signal_op.SIGNAL_ADD), pe, stream)


def transport(address: int, pes: Iterable[int]) -> str:
    """The transports from this PE to ``pes``; ``address`` is a symmetric address."""
    from nvshmem.bindings import nvshmem as lib

    reached = all(lib.ptr(address, pe) for pe in pes)
    provider = os.environ.get("NVSHMEM_LIBFABRIC_PROVIDER", transports.DEFAULT_PROVIDER)
    return transports.of_nvshmem(reached, mapped_files(), provider)


def version_in_use() -> str | None:
    """Version of the NVSHMEM library that this process uses; None without, though others may have loaded one: PyTorch
    does, where nvshmem4py need not be installed."""
    return version() if "nvshmem.core" in sys.modules else None


def version() -> str:
    """Version of the loaded NVSHMEM library."""
    import nvshmem.core as nvshmem

    return str(nvshmem.get_version().libnvshmem_version)
