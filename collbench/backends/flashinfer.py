"""FlashInfer's all-reduce from TensorRT-LLM, plain and fused with the residual's addition and RMSNorm.

With one shot every rank stores its message to all peers, where a cell is empty while it holds -0 (Lamport). With two it
copies the message to a shared buffer, adds its share of all ranks' rows after a barrier, and stores the sums to all.
Without the parameter ``shots`` FlashInfer's own limits decide (flashinfer/comm/trtllm_ar.py, _use_oneshot_heuristics).

A message is rows of ``hidden`` elements, each of which a cluster of thread blocks reduces. Where the problem has no
rows, a message of up to 4096 elements is one, and a longer one has the longest row up to 4096 that divides it; the
parameter ``hidden`` sets another. Sums are formed in fp32 and launches are programmatic dependent ones, as in vLLM
(compilation/passes/fusion/allreduce_rms_fusion.py); with ``pdl=0`` they are not, and with ``trigger=start``, which vLLM
avoids for one shot, the next launch may begin when a kernel has begun, not when it has ended.

FlashInfer compiles its kernels when they are first used. It exchanges handles of its memory through MPI, and binds the
memory to no multicast object; its other all-reduces (mnnvl) do, and are not run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from collbench.backends import _torch
from collbench.errors import CannotRunError, UsageError, pick
from collbench.host.gpus import gpu_missing
from collbench.kernels.calls import KernelCall
from collbench.plan.refusals import other_collective
from collbench.plan.rms_norm import EPSILON

if TYPE_CHECKING:
    from collbench.backends import ExactOrder
    from collbench.devices.device import Array, Call, Device
    from collbench.devices.gpu import Gpu
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

NAME, LEAST = "FlashInfer", "0.6.11"  # before, a workspace cannot be freed
LEAST_TORCH = "2.5"  # flashinfer.comm imports torch.distributed._symmetric_memory
FUSED = "all_reduce_rms_norm"
TYPES = ("float16", "bfloat16", "float32")
ACCESS = 16  # bytes that a thread loads or stores at once
ONE_SHOT_BYTES = {2: 128 << 20, 4: 8 << 20, 8: 42 << 16}  # by ranks; these are all numbers of ranks that it supports
LARGEST_ONE_SHOT = (2**31 - 1) & ~((1 << 21) - 1)  # bytes that arrive at a rank: MAX_COMM_SIZE
SHORTEST_ROW, LONGEST_ROW, MOST_THREADS = 512, 4096, 1024
WORKSPACE_ROW, SMALLEST_WORKSPACE = 512, 1 << 20  # elements
COMPILE_SECONDS = 900.0
PARAMETERS = ("shots", "hidden", "pdl", "trigger")


def _has_kernels() -> bool:
    """Whether FlashInfer's kernels are installed, or CUDA's compiler is where it looks (flashinfer/jit/cpp_ext.py,
    get_cuda_path)."""
    if importlib.util.find_spec("flashinfer_jit_cache") is not None:
        return True
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    return Path(home or "/usr/local/cuda", "bin", "nvcc").exists() or (not home and shutil.which("nvcc") is not None)


def _hidden(parameters: dict[str, str]) -> int:
    """The parameter ``hidden``; 0 where it is not given. Raises UsageError where it is no number of elements."""
    text = parameters.get("hidden")
    if text is None:
        return 0
    if not (text.isdecimal() and int(text)):
        raise UsageError(f"hidden of flashinfer is {text!r}; give a number of elements.")
    return int(text)


@lru_cache(maxsize=1024)
def row_of(count: int, width: int) -> int:
    """Elements in a row for a message of ``count`` elements of ``width`` bytes; 0 where rows of whole accesses do not
    divide it."""
    step = ACCESS // width
    if count <= LONGEST_ROW:
        return count if count % step == 0 else 0
    return next((row for row in range(LONGEST_ROW, SHORTEST_ROW - 1, -step) if count % row == 0), 0)


@dataclass(frozen=True)
class FlashInfer:
    """``flashinfer`` with its parameters; 0 where ``shots`` or ``hidden`` are not given. Implements ``Backend`` and
    ``Configurable``."""

    shots: int = 0
    hidden: int = 0
    pdl: bool = True
    at_end: bool = True
    DEVICE: str = "gpu"
    SUMMARY: str = "FlashInfer's one-shot and two-shot all-reduce, plain and fused with RMSNorm"
    ON_REQUEST: bool = True

    def configured(self, parameters: dict[str, str]) -> FlashInfer:
        """With ``shots=1|2``, ``hidden=ELEMENTS``, ``pdl=0|1``, ``trigger=start|end``; raises UsageError for others."""
        for key in parameters:
            pick("parameter of flashinfer", key, PARAMETERS)
        pdl = pick("pdl of flashinfer", parameters.get("pdl", "1"), ("0", "1"))
        trigger = pick("trigger of flashinfer", parameters.get("trigger", "end"), ("start", "end"))
        return FlashInfer(_torch.shots_of("flashinfer", parameters), _hidden(parameters), pdl == "1", trigger == "end")

    def missing(self) -> str | None:
        """Why this machine cannot run it: no GPU, no FlashInfer or torch that is new enough, no compiler; or None."""
        reason = gpu_missing() or _torch.lacking("torch", "torch", LEAST_TORCH)
        reason = reason or _torch.lacking("flashinfer", "flashinfer-python", LEAST)
        return reason or (None if _has_kernels() else "FlashInfer compiles with nvcc; set CUDA_HOME to a CUDA Toolkit")

    @property
    def trigger(self) -> str:
        """When the next launch may begin: at the ``start`` of a kernel or at its ``end``."""
        return "end" if self.at_end else "start"

    def row(self, problem: Problem) -> int:
        """Elements in a row; 0 where there is none."""
        return problem.hidden or self.hidden or row_of(problem.count, problem.dtype.itemsize)

    def shots_for(self, problem: Problem) -> int:
        """The number of shots for ``problem``."""
        return self.shots or (1 if problem.bytes <= ONE_SHOT_BYTES[problem.layout.size] else 2)

    def refuses(self, problem: Problem) -> str | None:
        """Why FlashInfer cannot run ``problem``, or None."""
        if problem.collective.name != FUSED and (reason := other_collective(NAME, problem)):
            return reason
        if reason := _torch.not_a_sum_on_one_host(NAME, problem):
            return reason
        if problem.dtype.name not in TYPES:
            return f"{NAME} adds {', '.join(TYPES)} only, not {problem.dtype.name}"
        if problem.layout.size not in ONE_SHOT_BYTES:
            return f"{NAME} is run on {', '.join(map(str, ONE_SHOT_BYTES))} ranks, not {problem.layout.size}"
        return self._refuses_rows(problem) or self._refuses_shots(problem)

    def _refuses_rows(self, problem: Problem) -> str | None:
        row, step = self.row(problem), ACCESS // problem.dtype.itemsize
        if problem.hidden and self.hidden not in (0, row):
            return f"the rows of this {problem.collective.name} have {row} elements, not hidden={self.hidden}"
        if not row or problem.count % row or row % step:
            rows = f"rows of {row}" if row else f"rows of {SHORTEST_ROW} to {LONGEST_ROW}"
            return f"{NAME} needs {rows} elements, in multiples of {step}, and the message has {problem.count}"
        cluster = next(blocks for blocks in (8, 4, 2, 1) if row // step % blocks == 0)
        if row // step > cluster * MOST_THREADS:
            return f"{NAME} cannot divide a row of {row} elements among blocks of {MOST_THREADS} threads"
        return None

    def _refuses_shots(self, problem: Problem) -> str | None:
        ranks, rows = problem.layout.size, problem.count // self.row(problem)
        if self.shots_for(problem) == 2 and rows <= ranks:
            return f"{NAME}'s two shots need more rows than ranks, and the message has {rows} of {self.row(problem)}"
        if self.shots_for(problem) == 1 and problem.bytes * ranks > LARGEST_ONE_SHOT:
            return f"{NAME}'s one shot takes {LARGEST_ONE_SHOT // ranks} bytes at most on {ranks} ranks"
        return None

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """None: FlashInfer documents none."""
        return None

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that one rank stores to its peers, and that they load from it; the data are their own flags."""
        return _torch.wire_bytes(problem, self.shots_for(problem)) if problem.layout.size in ONE_SHOT_BYTES else None

    def open(self, world: World, device: Device, arena_bytes: int) -> FlashInferSession:
        """A session on the shared arena; raises CannotRunError where FlashInfer or torch cannot start."""
        if not world.is_local:
            raise CannotRunError(f"{NAME} needs all ranks on one host")
        comm = _torch.agreed(world, partial(_start, cast("Gpu", device)))
        return FlashInferSession(self, world, cast("Gpu", device), device.arena(arena_bytes), comm)


def _start(gpu: Gpu) -> Any:
    """The module ``flashinfer.comm``, which launches on the stream of ``gpu``."""
    _torch.start(gpu)
    from flashinfer import comm

    return comm


@dataclass(frozen=True)
class Workspace:
    """Memory of FlashInfer on all members, for messages of up to ``elements`` elements of the type ``kind``."""

    made: Any
    kind: str
    elements: int


@dataclass(frozen=True)
class FlashInferSession:
    """FlashInfer on one world; implements ``Session``. ``comm`` is its module. Workspaces grow with the messages."""

    choice: FlashInfer
    world: World
    device: Gpu
    arena: Array
    comm: Any
    workspaces: list[Workspace] = field(default_factory=list)

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """One call of FlashInfer."""
        choice, row, shots = self.choice, self.choice.row(problem), self.choice.shots_for(problem)
        count = problem.count
        if (send.data.ptr | recv.data.ptr) % ACCESS:  # FlashInfer does not check, and faults
            raise CannotRunError(f"flashinfer needs buffers that start at a multiple of {ACCESS} bytes")
        source, target = (_tensor(part, problem.dtype.name) for part in (send, recv))
        rows, first = (part[:count].view(-1, row) for part in (source, target))
        tensors = {"output": first}
        if problem.collective.name == FUSED:
            second = target[count:].view(-1, row)
            # An output of the pattern is required lest FlashInfer allocates one; this pattern does not write it.
            tensors |= {"norm_out": first, "residual_in": second, "residual_out": second, "rms_gamma": source[count:]}
        patterns = self.comm.AllReduceFusionPattern
        call = partial(
            self.comm.allreduce_fusion,
            input=rows,
            workspace=self._workspace(problem).made,
            pattern=patterns.kARResidualRMSNorm if problem.collective.name == FUSED else patterns.kAllReduce,
            launch_with_pdl=choice.pdl,
            trigger_completion_at_end=choice.at_end,
            rms_eps=EPSILON,
            use_oneshot=shots == 1,
            fp32_acc=True,
            **tensors,
        )
        params = {"shots": str(shots), "row": str(row), "pdl": str(int(choice.pdl)), "trigger": choice.trigger}
        return KernelCall([call], params, choice.wire_bytes(problem), None)

    def _workspace(self, problem: Problem) -> Workspace:
        """A workspace that fits ``problem``, created where there is none; collective over the members."""
        kind = "float32" if problem.dtype.name == "float32" else "float16"  # the 16-bit types share one
        for held in self.workspaces:
            if held.kind == kind and held.elements >= problem.count:
                return held
        made = Workspace(*self._create(kind, max(SMALLEST_WORKSPACE, 1 << (problem.count - 1).bit_length())))
        self.workspaces.append(made)
        return made

    def _create(self, kind: str, elements: int) -> tuple[Any, str, int]:
        import torch

        with self.world.patience(COMPILE_SECONDS):
            made = self.comm.create_allreduce_fusion_workspace(
                backend="trtllm",
                world_size=self.world.size,
                rank=self.world.rank,
                max_token_num=elements // WORKSPACE_ROW,
                hidden_dim=WORKSPACE_ROW,
                dtype=getattr(torch, kind),
                comm_backend=self.world.comm,
            )
        return made, kind, elements

    def transport(self) -> str:
        """Loads and stores between GPUs."""
        return "p2p"

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Free the workspaces."""
        self.device.settle()
        for held in self.workspaces:
            self.comm.trtllm_destroy_ipc_workspace_for_all_reduce_fusion(held.made.ipc_handles)
            held.made.destroy()
        self.workspaces.clear()


def _tensor(part: Array, kind: str) -> Any:
    """``part`` of an arena as a tensor of the element type ``kind`` over the same memory."""
    import torch

    return torch.as_tensor(part.view("uint8"), device="cuda").view(getattr(torch, kind))


PRESENT = FlashInfer()
DEVICE, SUMMARY, ON_REQUEST = PRESENT.DEVICE, PRESENT.SUMMARY, PRESENT.ON_REQUEST
configured, missing, refuses = PRESENT.configured, PRESENT.missing, PRESENT.refuses
exact_order, wire_bytes, open = PRESENT.exact_order, PRESENT.wire_bytes, PRESENT.open
