"""``flashinfer``: what it refuses, rows and shots, and what it asks of FlashInfer, which is a fake here."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import fake_torch
import pytest
from fake_torch import BASE, Fakes, FakeWorld, Memory
from samples import a_layout, a_problem

from collbench import registry
from collbench.backends import flashinfer
from collbench.backends.flashinfer import SMALLEST_WORKSPACE, FlashInfer, FlashInferSession, row_of
from collbench.errors import CannotRunError, UsageError
from collbench.host import gpus as host_gpus
from collbench.kernels.calls import KernelCall
from collbench.plan.problem import Problem

BF16 = a_problem(dtype="bfloat16", ranks=2)
FUSED = a_problem("all_reduce_rms_norm", dtype="bfloat16", ranks=2, size=64 << 10, hidden=4096)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """The calls of a fake FlashInfer."""
    fakes = Fakes()
    fake_torch.install(monkeypatch, fakes)
    comm: Any = ModuleType("flashinfer.comm")
    comm.AllReduceFusionPattern = SimpleNamespace(kAllReduce=0, kARResidualRMSNorm=1)
    comm.create_allreduce_fusion_workspace = fakes.recorder(
        "workspace", lambda **_: SimpleNamespace(ipc_handles=[1], destroy=fakes.recorder("destroy"))
    )
    comm.trtllm_destroy_ipc_workspace_for_all_reduce_fusion = fakes.recorder("free")
    comm.allreduce_fusion = fakes.recorder("all-reduce")
    package: Any = ModuleType("flashinfer")
    package.comm = comm
    for module in (package, comm):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return fakes


def opened(choice: FlashInfer = flashinfer.PRESENT, world: FakeWorld | None = None) -> FlashInferSession:
    return choice.open(cast(Any, world or FakeWorld()), cast(Any, fake_torch.device()), 1 << 20)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (BF16, None),
        (FUSED, None),
        (a_problem(dtype="float32", ranks=8), None),
        (a_problem(dtype="float16", in_place=True), None),
        (a_problem(dtype="bfloat16", layout=a_layout(4, nodes=2, virtual=True)), None),
        (a_problem("all_gather", dtype="bfloat16"), "implements all_reduce, not all_gather"),
        (a_problem(dtype="bfloat16", op="max"), "supports sum only, not max"),
        (a_problem(dtype="float64"), "not float64"),
        (a_problem(dtype="bfloat16", ranks=3), "is run on 2, 4, 8 ranks, not 3"),
        (a_problem(dtype="bfloat16", layout=a_layout(4, nodes=2)), "needs all ranks on one host"),
        (a_problem(dtype="bfloat16", size=4104), "in multiples of 8, and the message has 2052"),
        (a_problem(dtype="bfloat16", size=16 * 4099), "needs rows of 512 to 4096 elements"),
        (a_problem("all_reduce_rms_norm", dtype="bfloat16", size=8200 * 2, hidden=8200), "blocks of 1024 threads"),
        (a_problem("all_reduce_rms_norm", dtype="bfloat16", size=16384 * 2, hidden=16384), None),
    ],
)
def test_what_flashinfer_cannot_run_is_refused_with_its_reason(problem: Problem, words: str | None) -> None:
    reason = flashinfer.refuses(problem)
    assert words in reason if words and reason else reason is words


@pytest.mark.parametrize(
    ("choice", "problem", "words"),
    [
        (FlashInfer(shots=2), BF16, "need more rows than ranks, and the message has 1 of 2048"),
        (FlashInfer(shots=2), a_problem(dtype="bfloat16", ranks=2, size=24 << 10), None),
        (FlashInfer(shots=1), a_problem(dtype="bfloat16", ranks=8, size=256 << 20), "takes 268173312 bytes at most"),
        (FlashInfer(hidden=1536), BF16, "needs rows of 1536 elements"),
        (FlashInfer(hidden=1024), BF16, None),
        (FlashInfer(hidden=2048), FUSED, "have 4096 elements, not hidden=2048"),
        (FlashInfer(hidden=4096), FUSED, None),
    ],
)
def test_parameters_that_do_not_fit_the_message_are_refused(
    choice: FlashInfer, problem: Problem, words: str | None
) -> None:
    reason = choice.refuses(problem)
    assert words in reason if words and reason else reason is words


@pytest.mark.parametrize(
    ("count", "width", "row"),
    [(8, 2, 8), (12, 2, 0), (12, 4, 12), (4096, 2, 4096), (4104, 2, 1368), (12288, 2, 4096), (8 * 4099, 2, 0)],
)
def test_a_row_is_the_message_or_the_longest_that_divides_it(count: int, width: int, row: int) -> None:
    assert row_of(count, width) == row


@pytest.mark.parametrize(
    ("ranks", "size", "shots", "wire"),
    [
        (2, 128 << 20, 1, 1),
        (2, (128 << 20) + 8192, 2, 1),
        (4, 8 << 20, 1, 3),
        (4, 16 << 20, 2, 1.5),
        (8, 4 << 20, 2, 1.75),
    ],
)
def test_shots_follow_flashinfer(ranks: int, size: int, shots: int, wire: float) -> None:
    problem = a_problem(dtype="bfloat16", ranks=ranks, size=size)
    assert flashinfer.PRESENT.shots_for(problem) == shots
    assert flashinfer.wire_bytes(problem) == wire * size
    assert flashinfer.wire_bytes(a_problem(dtype="bfloat16", ranks=3)) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("flashinfer:shots=0", "unknown shots of flashinfer '0'"),
        ("flashinfer:pdl=yes", "unknown pdl of flashinfer 'yes'; known: 0, 1"),
        ("flashinfer:trigger=begin", "unknown trigger of flashinfer"),
        ("flashinfer:hidden=0", "give a number of elements"),
        ("flashinfer:hidden=4k", "give a number of elements"),
        ("flashinfer:hide=1", "did you mean 'hidden'"),
    ],
)
def test_other_parameters_are_usage_errors(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        registry.find(spec)


def test_all_parameters() -> None:
    assert registry.find("flashinfer:shots=2:hidden=1024:pdl=0:trigger=start") == FlashInfer(2, 1024, False, False)


def test_what_is_missing_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(host_gpus, "gpu_count", lambda: 1)
    monkeypatch.setattr(host_gpus, "GPU_PACKAGES", {})
    there = {"torch"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.11.0" if name == "torch" else "0.6.10")
    assert flashinfer.missing() == "flashinfer-python not installed; pip install 'flashinfer-python>=0.6.11'"
    there.add("flashinfer")
    assert str(flashinfer.missing()).startswith("flashinfer-python 0.6.10 is older than 0.6.11")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.11.0" if name == "torch" else "0.7.2.post1")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert flashinfer.missing() == "FlashInfer compiles with nvcc; set CUDA_HOME to a CUDA Toolkit"
    there.add("flashinfer_jit_cache")
    assert flashinfer.missing() is None
    there.remove("flashinfer_jit_cache")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").touch()
    assert flashinfer.missing() is None
    assert "flashinfer" not in sys.modules


def test_a_plain_all_reduce(calls: Fakes) -> None:
    send, recv = Memory(BASE, 2048, "float16"), Memory(BASE + 8192, 2048, "float16")  # cupy has no bfloat16
    session = opened(FlashInfer(hidden=1024))
    call = session.prepare(BF16, send, recv)
    assert isinstance(call, KernelCall)
    call()
    ((asked,),) = calls.named("all-reduce")
    source, target = (Memory(start, 2048, "bfloat16", (2, 1024)) for start in (BASE, BASE + 8192))
    assert asked == {
        "input": source, "output": target, "workspace": session.workspaces[0].made, "pattern": 0, "rms_eps": 1e-5,
        "launch_with_pdl": True, "trigger_completion_at_end": True, "use_oneshot": True, "fp32_acc": True,
    }  # fmt: skip
    assert call.params == {"shots": "1", "row": "1024", "pdl": "1", "trigger": "end"}


def test_the_fused_one_has_the_weight_behind_the_message_and_the_residual_behind_the_rows(calls: Fakes) -> None:
    count = FUSED.count
    send, recv = Memory(BASE, count + 4096, "float16"), Memory(BASE + (1 << 20), 2 * count, "float16")
    opened(FlashInfer(shots=2, pdl=False, at_end=False)).prepare(FUSED, send, recv)()
    ((asked,),) = calls.named("all-reduce")
    normalised, residual = (Memory(BASE + (1 << 20) + at, count, "bfloat16", (8, 4096)) for at in (0, FUSED.bytes))
    assert (asked["input"], asked["norm_out"]) == (Memory(BASE, count, "bfloat16", (8, 4096)), normalised)
    assert (asked["residual_in"], asked["residual_out"]) == (residual, residual)
    assert asked["rms_gamma"] == Memory(BASE + FUSED.bytes, 4096, "bfloat16")
    assert asked["output"] == normalised  # lest FlashInfer allocates one while a graph is captured
    assert (asked["pattern"], asked["use_oneshot"], asked["launch_with_pdl"]) == (1, False, False)
    assert asked["trigger_completion_at_end"] is False


def test_workspaces_are_shared_grow_and_are_freed(calls: Fakes) -> None:
    world = FakeWorld(rank=1, size=2)
    session = opened(world=world)
    buffer = Memory(BASE, 1 << 26)

    def prepare(dtype: str, size: int) -> None:
        problem = a_problem(dtype=dtype, ranks=2, size=size)
        part = buffer[:size].view(dtype)
        session.prepare(problem, part, part)

    for size in (4096, 6 << 20, 4096):
        for dtype in ("bfloat16", "float16"):
            prepare(dtype, size)
        prepare("float32", 4096)
    made = [asked for (asked,) in calls.named("workspace")]
    assert [(each["dtype"], each["max_token_num"] * each["hidden_dim"]) for each in made] == [
        ("float16", SMALLEST_WORKSPACE), ("float32", SMALLEST_WORKSPACE), ("float16", 4 << 20),
    ]  # fmt: skip
    assert {(each["backend"], each["world_size"], each["rank"], each["comm_backend"]) for each in made} == {
        ("trtllm", 2, 1, world.comm)
    }
    assert len(world.patient) == 3
    session.close()
    assert calls.named("free") == [[[1]]] * 3
    assert len(calls.named("destroy")) == 3


def test_no_rank_waits_for_one_that_cannot_start(calls: Fakes) -> None:
    with pytest.raises(CannotRunError, match="rank 1 on there: No module named"):
        opened(world=FakeWorld(others=("rank 1 on there: No module named 'tvm_ffi'",)))
    with pytest.raises(CannotRunError, match="needs all ranks on one host"):
        opened(world=FakeWorld(is_local=False))
