"""PyTorch, on which peers run that collbench does not install: what is missing, our stream, and what they share."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

from collbench.errors import CannotRunError, pick
from collbench.plan.problem import Problem

if TYPE_CHECKING:
    from collbench.devices.gpu import Gpu
    from collbench.ranks.world import World

T = TypeVar("T")
NO_MULTICAST = "TORCH_SYMM_MEM_DISABLE_MULTICAST"


def lacking(module: str, distribution: str, least: str) -> str | None:
    """Why ``module`` of ``distribution`` cannot be used, which is not there or older than ``least``, or None. Imports
    nothing."""
    cure = f"pip install '{distribution}>={least}'"
    if importlib.util.find_spec(module) is None:
        return f"{distribution} not installed; {cure}"
    try:
        found = metadata.version(distribution)
    except metadata.PackageNotFoundError:  # a source tree says no version
        return None
    return f"{distribution} {found} is older than {least}; {cure}" if _numbers(found) < _numbers(least) else None


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version: (2, 11, 0) of "2.11.0+cu130"."""
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()


def start(gpu: Gpu) -> Any:
    """The module ``torch``, which works on the device and the stream of ``gpu`` from now on, without NVLink multicast.
    Raises CannotRunError where it is built without CUDA."""
    os.environ[NO_MULTICAST] = "1"
    import torch

    if not torch.cuda.is_available():
        raise CannotRunError(f"torch {torch.__version__} finds no GPU; install one that is built with CUDA")
    torch.cuda.set_device(gpu.index)
    torch.cuda.set_stream(torch.cuda.ExternalStream(gpu.stream.ptr, device=gpu.index))
    return torch


def agreed(world: World, action: Callable[[], T]) -> T:
    """The result of ``action`` on each rank of the launch; where it fails on one, CannotRunError on all, so that none
    waits for it in a collective call."""
    try:
        result, words = action(), None
    except Exception as error:  # of any kind: the other ranks wait
        words = f"{world.name_of_rank()}: {error}"
    reason = next(filter(None, world.launch.allgather(words)), None)
    if reason is not None:
        raise CannotRunError(reason)
    return result


def shots_of(backend: str, parameters: dict[str, str]) -> int:
    """The parameter ``shots``, 1 or 2; 0 where it is not given. Raises UsageError for any other value."""
    return int(pick(f"shots of {backend}", parameters["shots"], ("1", "2"))) if "shots" in parameters else 0


def not_a_sum_on_one_host(name: str, problem: Problem) -> str | None:
    """Why ``name``, which adds by loads and stores between the GPUs of a host, cannot run ``problem``, or None."""
    if problem.op != "sum":
        return f"{name} supports sum only, not {problem.op or problem.collective.name}"
    layout = problem.layout
    return None if layout.node_count == 1 or layout.virtual else f"{name} needs all ranks on one host"


def wire_bytes(problem: Problem, shots: int) -> float:
    """Bytes that leave one rank: with one shot its message to every peer; with two its part of each peer's message, and
    then its sums, to every peer."""
    peers = problem.layout.size - 1
    return problem.bytes * (peers if shots == 1 else 2 * peers / problem.layout.size)
