"""The all-reduces of PyTorch's symmetric memory that need no multicast: one shot and two shots.

Each rank loads from the memory of its peers (torch, csrc/distributed/c10d/symm_mem/CUDASymmetricMemoryOps.cu):

- one shot: every rank adds the whole messages of all ranks. Out of place only, since peers read the input while results
  are written.
- two shots: every rank adds its part of all messages and stores the sums to all ranks. In place only; out of place, the
  input is first copied to the output, which is timed (vLLM copies in and out, device_communicators/symm_mem.py).

Without the parameter ``shots`` it is one shot up to 128 KiB out of place, the limit up to which inductor replaces an
all-reduce by one (torch, _inductor/config.py, one_shot_all_reduce_threshold_bytes), and else two.

Buffers are torch's own symmetric memory. Ranks exchange its handles through a store on the host, in a group that has no
communicators: symmetric memory needs a name, a rank, a size and a store of it only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from collbench.backends import _torch
from collbench.errors import CannotRunError, pick
from collbench.host.gpus import gpu_missing
from collbench.kernels.calls import KernelCall
from collbench.plan.refusals import other_collective

if TYPE_CHECKING:
    from collbench.backends import ExactOrder
    from collbench.devices.device import Array, Call, Device
    from collbench.devices.gpu import Gpu
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

NAME, LEAST = "torch's symmetric memory", "2.11"  # before, a group announces itself to symmetric memory
TYPES = ("bfloat16", "float32")
ONE_SHOT_BYTES = 128 << 10
SMALLEST_ACCESS, LARGEST_ACCESS = 4, 16  # bytes of one load
LOOPBACK, STORE_SECONDS = "127.0.0.1", 60
ALONE_BYTES = 16
_numbers = count()


@dataclass(frozen=True)
class TorchSymm:
    """``torch-symm`` with its parameter; ``shots`` 0 decides by size. Implements ``Backend`` and ``Configurable``."""

    shots: int = 0
    DEVICE: str = "gpu"
    SUMMARY: str = "one-shot and two-shot all-reduce of PyTorch's symmetric memory"
    ON_REQUEST: bool = True

    def configured(self, parameters: dict[str, str]) -> TorchSymm:
        """With ``shots=1`` or ``shots=2``; raises UsageError for anything else."""
        for key in parameters:
            pick("parameter of torch-symm", key, ("shots",))
        return TorchSymm(_torch.shots_of("torch-symm", parameters))

    def missing(self) -> str | None:
        """Why this machine cannot run it: no GPU, or no torch that is new enough; or None."""
        return gpu_missing() or _torch.lacking("torch", "torch", LEAST)

    def shots_for(self, problem: Problem) -> int:
        """The number of shots for ``problem``."""
        return self.shots or (2 if problem.in_place or problem.bytes > ONE_SHOT_BYTES else 1)

    def refuses(self, problem: Problem) -> str | None:
        """Why torch's operators cannot run ``problem``, or None."""
        if reason := other_collective(NAME, problem) or _torch.not_a_sum_on_one_host(NAME, problem):
            return reason
        if problem.dtype.name not in TYPES:
            return f"{NAME} adds {' and '.join(TYPES)} only, not {problem.dtype.name}"
        if problem.bytes % SMALLEST_ACCESS:
            return f"{NAME} needs a multiple of {SMALLEST_ACCESS} bytes, not {problem.bytes}"
        if problem.in_place and self.shots == 1:
            return "torch's one shot has no in-place form; omit shots=1"
        return None

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """None: torch documents none."""
        return None

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that peers load from one rank, and that it stores to them."""
        return _torch.wire_bytes(problem, self.shots_for(problem))

    def open(self, world: World, device: Device, arena_bytes: int) -> TorchSession:
        """A session whose arena is symmetric memory of the world; raises CannotRunError where torch cannot start."""
        if not world.is_local:
            raise CannotRunError(f"{NAME} needs all ranks on one host")
        gpu, size = cast("Gpu", device), arena_bytes if world.member else ALONE_BYTES
        memory = _torch.agreed(world, lambda: _allocate(gpu, size))
        group = world.once("group of torch", lambda: _open_group(world))
        group.meet(memory)
        return TorchSession(self, memory, group, _as_array(memory) if world.member else None)


def _allocate(gpu: Gpu, size: int) -> Any:
    """``size`` bytes that can become symmetric memory, as a tensor."""
    torch = _torch.start(gpu)
    from torch._C import _distributed_c10d as c10d

    return c10d._SymmetricMemory.empty_strided_p2p((size,), (1,), torch.uint8, torch.device("cuda", gpu.index))


def _as_array(memory: Any) -> Array:
    """The same bytes as a cupy array, which keeps the tensor alive."""
    import cupy

    return cupy.asarray(memory)


def _open_group(world: World) -> Group:
    """The members of ``world`` as a group of torch; on a rank outside, a group of that rank alone."""
    from torch._C import _distributed_c10d as c10d

    if world.member:
        group = c10d.ProcessGroup(_store(world), world.rank, world.size)
    else:
        group = c10d.ProcessGroup(c10d.HashStore(), 0, 1)
    name = f"collbench-{next(_numbers)}"
    c10d._register_process_group(name, group)
    return Group(name, group)


def _store(world: World) -> Any:
    """The key-value store of the members, served by rank 0 on a port that the host chooses."""
    from torch._C import _distributed_c10d as c10d

    served: list[Any] = []
    limit = timedelta(seconds=STORE_SECONDS)

    def serve() -> int:
        served.append(c10d.TCPStore(LOOPBACK, 0, world.size, True, limit, wait_for_workers=False))
        return int(served[0].port)

    port = world.led(serve)
    return served[0] if served else c10d.TCPStore(LOOPBACK, port, world.size, False, limit, wait_for_workers=False)


@dataclass(frozen=True)
class Group:
    """A group that symmetric memory finds by its name; torch holds ``group`` weakly."""

    name: str
    group: Any

    def meet(self, memory: Any) -> None:
        """Make ``memory`` symmetric among the ranks of the group.

        torch numbers these meetings in one sequence per process, whatever the group, and ranks that meet must agree on
        the number: so a rank outside a world meets itself whenever the members meet.
        """
        from torch._C import _distributed_c10d as c10d

        c10d._SymmetricMemory.rendezvous(memory, self.name)

    def close(self) -> None:
        """Forget the name."""
        from torch._C import _distributed_c10d as c10d

        c10d._unregister_process_group(self.name)


@dataclass(frozen=True)
class TorchSession:
    """Symmetric memory open on one world; implements ``Session``. ``arena`` shows ``memory``, and is None on ranks
    outside the world."""

    choice: TorchSymm
    memory: Any
    group: Group
    arena: Array

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """The operator of torch, with a copy before it where it works in place only."""
        from torch import ops

        source, target = (self._tensor(part, problem.dtype.name) for part in (send, recv))
        shots, group = self.choice.shots_for(problem), self.group.name
        calls = [partial(ops.symm_mem.one_shot_all_reduce_out, source, "sum", group, target)]
        if shots == 2:
            calls = [] if problem.in_place else [partial(target.copy_, source)]
            calls.append(partial(ops.symm_mem.two_shot_all_reduce_, target, "sum", group))
        params = {"shots": str(shots), "copies": str(len(calls) - 1)}
        return KernelCall(calls, params, self.choice.wire_bytes(problem), None)

    def _tensor(self, part: Array, kind: str) -> Any:
        """``part`` of the arena as a tensor of the element type ``kind`` in the storage that torch knows."""
        import torch

        start = part.data.ptr - self.arena.data.ptr
        if start % LARGEST_ACCESS:  # torch checks the input's alignment alone, and stores as widely as it loads
            raise CannotRunError(f"{NAME} needs buffers that start at a multiple of {LARGEST_ACCESS} bytes")
        return self.memory[start : start + part.nbytes].view(getattr(torch, kind))

    def transport(self) -> str:
        """Loads and stores between GPUs."""
        return "p2p"

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Does nothing: the memory goes with the last array of it."""


PRESENT = TorchSymm()
DEVICE, SUMMARY, ON_REQUEST = PRESENT.DEVICE, PRESENT.SUMMARY, PRESENT.ON_REQUEST
configured, missing, refuses = PRESENT.configured, PRESENT.missing, PRESENT.refuses
exact_order, wire_bytes, open = PRESENT.exact_order, PRESENT.wire_bytes, PRESENT.open
