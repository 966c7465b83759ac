"""``torch-symm``: what it refuses, how many shots it takes, and what it asks of PyTorch, which is a fake here."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import fake_torch
import pytest
from fake_torch import BASE, Fakes, FakeWorld, Memory
from samples import a_layout, a_problem

from collbench import registry
from collbench.backends import torch_symm
from collbench.backends._torch import NO_MULTICAST, lacking
from collbench.backends.torch_symm import ALONE_BYTES, TorchSession, TorchSymm
from collbench.errors import CannotRunError, UsageError
from collbench.host import gpus as host_gpus
from collbench.kernels.calls import KernelCall
from collbench.plan.problem import Problem

BF16 = a_problem(dtype="bfloat16", ranks=2)


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """The calls of a fake PyTorch."""
    fakes = Fakes()
    fake_torch.install(monkeypatch, fakes)
    return fakes


def opened(world: FakeWorld, choice: TorchSymm = torch_symm.PRESENT, size: int = 1 << 20) -> TorchSession:
    return choice.open(cast(Any, world), cast(Any, fake_torch.device()), size)


def prepared(problem: Problem, send: Memory, recv: Memory, choice: TorchSymm = torch_symm.PRESENT) -> KernelCall:
    call = opened(FakeWorld(), choice).prepare(problem, send, recv)
    assert isinstance(call, KernelCall)
    call()
    return call


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (BF16, None),
        (a_problem(dtype="float32", ranks=3), None),
        (a_problem(dtype="bfloat16", layout=a_layout(4, nodes=2, virtual=True)), None),
        (a_problem(dtype="bfloat16", in_place=True), None),
        (a_problem("reduce_scatter", dtype="bfloat16"), "implements all_reduce, not reduce_scatter"),
        (a_problem(dtype="bfloat16", op="avg"), "supports sum only, not avg"),
        (a_problem(dtype="float16"), "adds bfloat16 and float32 only, not float16"),
        (a_problem(dtype="int32"), "not int32"),
        (a_problem(dtype="bfloat16", size=4098), "needs a multiple of 4 bytes, not 4098"),
        (a_problem(dtype="bfloat16", layout=a_layout(4, nodes=2)), "needs all ranks on one host"),
    ],
)
def test_what_torch_cannot_run_is_refused_with_its_reason(problem: Problem, words: str | None) -> None:
    reason = torch_symm.refuses(problem)
    assert words in reason if words and reason else reason is words


def test_one_shot_is_refused_in_place() -> None:
    in_place = a_problem(dtype="bfloat16", in_place=True)
    assert "no in-place form" in str(TorchSymm(shots=1).refuses(in_place))
    assert TorchSymm(shots=2).refuses(in_place) is None


@pytest.mark.parametrize(
    ("spec", "changes", "shots", "wire"),
    [
        ("torch-symm", {}, 1, 3),
        ("torch-symm", {"size": 128 << 10}, 1, 3),
        ("torch-symm", {"size": (128 << 10) + 4}, 2, 1.5),
        ("torch-symm", {"in_place": True}, 2, 1.5),
        ("torch-symm:shots=1", {"size": 1 << 20}, 1, 3),
        ("torch-symm:shots=2", {}, 2, 1.5),
    ],
)
def test_shots_follow_inductor_unless_they_are_given(
    spec: str, changes: dict[str, Any], shots: int, wire: float
) -> None:
    backend, problem = registry.find(spec), a_problem(dtype="bfloat16", ranks=4, **changes)
    assert isinstance(backend, TorchSymm) or backend is cast(Any, torch_symm)
    choice = backend if isinstance(backend, TorchSymm) else torch_symm.PRESENT
    assert (choice.shots_for(problem), backend.wire_bytes(problem)) == (shots, wire * problem.bytes)


@pytest.mark.parametrize(
    ("spec", "words"),
    [("torch-symm:shots=3", "unknown shots of torch-symm '3'"), ("torch-symm:shot=1", "did you mean 'shots'")],
)
def test_other_parameters_are_usage_errors(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        registry.find(spec)


def test_what_is_missing_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch_symm.missing() == "needs an NVIDIA GPU" or host_gpus.gpu_count()
    assert lacking("no_such_module", "some-package", "2.11") == (
        "some-package not installed; pip install 'some-package>=2.11'"
    )
    assert "is older than 9999.1; pip install 'numpy>=9999.1'" in str(lacking("numpy", "numpy", "9999.1"))
    assert lacking("numpy", "numpy", "1.9") is None
    assert lacking("json", "no-such-distribution", "9") is None
    monkeypatch.setattr(host_gpus, "gpu_count", lambda: 1)
    monkeypatch.setattr(host_gpus, "GPU_PACKAGES", {})
    monkeypatch.setattr("collbench.backends._torch.importlib.util.find_spec", lambda name: None)
    assert torch_symm.missing() == "torch not installed; pip install 'torch>=2.11'"
    assert "torch" not in sys.modules


def test_members_meet_in_a_group_without_communicators(torch: Fakes) -> None:
    world = FakeWorld(rank=0, size=2)
    session = opened(world)
    ((host, port, size, serves, _, more),) = torch.named("store")
    assert (host, port, size, serves, more) == ("127.0.0.1", 0, 2, True, {"wait_for_workers": False})
    ((_, rank, size),) = torch.named("group")
    assert (rank, size) == (0, 2)
    assert torch.named("allocate") == [[(1 << 20,), (1,), "uint8", ("cuda", 1)]]
    assert torch.named("meet") == [[session.memory, session.group.name]]
    assert torch.named("register") == [[session.group.name, (0, 2)]]
    assert session.arena.data.ptr == session.memory.start
    assert (torch.named("set device"), torch.named("set stream")) == ([[1]], [[("stream", 0x57, 1)]])
    assert os.environ[NO_MULTICAST] == "1"
    assert opened(world).group is session.group
    assert len(torch.named("meet")) == 2
    session.group.close()
    assert torch.named("unregister") == [[session.group.name]]


def test_other_members_connect_to_the_port_of_rank_0(torch: Fakes) -> None:
    opened(FakeWorld(rank=1, port=4321))
    ((_, port, _, serves, _, _),) = torch.named("store")
    assert (port, serves) == (4321, False)


def test_a_rank_outside_meets_itself_as_often_as_the_members_meet(torch: Fakes) -> None:
    session = opened(FakeWorld(member=False))
    assert torch.named("group") == [["a store of its own", 0, 1]]
    assert torch.named("allocate")[0][0] == (ALONE_BYTES,)
    assert torch.named("meet") == [[session.memory, session.group.name]]
    assert session.arena is None
    assert torch.named("store") == []


def test_worlds_have_groups_of_their_own(torch: Fakes) -> None:
    assert opened(FakeWorld()).group.name != opened(FakeWorld()).group.name
    assert len(torch.named("register")) == 2


@pytest.mark.parametrize(
    ("world", "cuda", "words"),
    [
        (FakeWorld(is_local=False), True, "needs all ranks on one host"),
        (FakeWorld(others=("rank 1 on there: out of memory",)), True, "rank 1 on there: out of memory"),
        (FakeWorld(), False, r"rank 0 on here: torch 2.11.0\+cu130 finds no GPU"),
    ],
)
def test_no_rank_waits_for_one_that_cannot_start(
    monkeypatch: pytest.MonkeyPatch, world: FakeWorld, cuda: bool, words: str
) -> None:
    fakes = Fakes()
    fake_torch.install(monkeypatch, fakes, cuda)
    with pytest.raises(CannotRunError, match=words):
        opened(world)
    assert fakes.named("meet") == []


def test_one_shot_reads_the_input_in_place_of_the_arena(torch: Fakes) -> None:
    send, recv = Memory(BASE + 512, 2048, "float16"), Memory(BASE + 8192, 2048, "float16")  # cupy has no bfloat16
    call = prepared(BF16, send, recv)
    ((source, op, group, target),) = torch.named("one shot")
    assert (source, target, op) == (Memory(BASE + 512, 2048, "bfloat16"), Memory(BASE + 8192, 2048, "bfloat16"), "sum")
    assert group == torch.named("meet")[0][1]
    assert (call.params, call.wire_bytes) == ({"shots": "1", "copies": "0"}, 4096)


def test_two_shots_are_in_place_and_cost_a_copy_out_of_place(torch: Fakes) -> None:
    send, recv = Memory(BASE, 1024, "float32"), Memory(BASE + 8192, 1024, "float32")
    problem = a_problem(dtype="float32", ranks=2)
    call = prepared(problem, send, recv, TorchSymm(shots=2))
    ((target, op, _),) = torch.named("two shots")
    assert (target, op, target.copied) == (recv, "sum", [send])
    assert call.params == {"shots": "2", "copies": "1"}
    call = prepared(a_problem(dtype="float32", ranks=2, in_place=True), recv, recv)
    (target, _, _) = torch.named("two shots")[1]
    assert (target, target.copied, call.params) == (recv, [], {"shots": "2", "copies": "0"})


def test_buffers_that_torch_would_misread_are_refused(torch: Fakes) -> None:
    with pytest.raises(CannotRunError, match="multiple of 16 bytes"):
        prepared(BF16, Memory(BASE, 2048, "float16"), Memory(BASE + 8200, 2048, "float16"))
