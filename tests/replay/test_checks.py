"""What a machine or a launch must have for a replay."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from mpi4py import MPI

from collbench.errors import UsageError
from collbench.llm.spec import parse_spec
from collbench.replay import checks
from collbench.replay.request import ReplayRequest

REQUEST = ReplayRequest(
    spec=parse_spec("llama-3.1-8b:tp=2"), which="decode", backends=("nccl",), rest="nccl", compute="none",
    spin_seconds=0.0, skews=(), warmup=0, samples=1, max_seconds=1.0, launches=1, seed=1, timeout=1.0, path=Path("r"),
    resume=False, force=False, argv=(),
)  # fmt: skip


class Comm:
    """The first rank of a launch whose last rank lacks something."""

    def __init__(self, size: int, words: str | None) -> None:
        self.size, self.words = size, words

    def Get_size(self) -> int:  # noqa: N802
        return self.size

    def allgather(self, mine: str | None) -> list[str | None]:
        return [mine, self.words]


def check_launch(size: int, words: str | None) -> None:
    checks.check_launch(REQUEST, cast("MPI.Intracomm", Comm(size, words)))


def test_a_machine_without_gpus_replays_no_gpu_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "gpu_missing", lambda: "needs an NVIDIA GPU")
    with pytest.raises(UsageError, match=r"^nccl cannot run here: needs an NVIDIA GPU\.$"):
        checks.check_gpus(REQUEST)
    monkeypatch.setattr(checks, "gpu_missing", lambda: None)
    monkeypatch.setattr(checks, "gpu_count", lambda: 1)
    with pytest.raises(UsageError, match="needs 2 GPUs, but this machine has 1"):
        checks.check_gpus(REQUEST)


def test_every_rank_of_a_launch_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "gpu_missing", lambda: None)
    check_launch(2, None)
    with pytest.raises(UsageError, match=r"nccl cannot run on rank 1: cupy not installed\."):
        check_launch(2, "cupy not installed")
    with pytest.raises(UsageError, match="needs 2 ranks, but this launch has 3"):
        check_launch(3, None)
