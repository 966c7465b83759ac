"""A PyTorch that records its calls, for machines without one: tensors are ranges of memory, nothing is computed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

BASE, WIDTHS = 0x10000, {"uint8": 1, "float16": 2, "bfloat16": 2, "float32": 4}


@dataclass(frozen=True)
class Memory:
    """Elements of ``kind`` from an address on, as an array of cupy (``data.ptr``) and a tensor of torch show them."""

    start: int
    count: int
    kind: str = "uint8"
    shape: tuple[int, ...] = ()
    copied: list[Memory] = field(default_factory=list, compare=False)

    @property
    def data(self) -> SimpleNamespace:
        return SimpleNamespace(ptr=self.start)

    @property
    def nbytes(self) -> int:
        return self.count * WIDTHS[self.kind]

    def __getitem__(self, part: slice) -> Memory:
        first, last, _ = part.indices(self.count)
        return Memory(self.start + first * WIDTHS[self.kind], last - first, self.kind)

    def view(self, *what: Any) -> Memory:
        """As elements of another type, or with another shape."""
        if isinstance(what[0], str):
            return Memory(self.start, self.nbytes // WIDTHS[what[0]], what[0])
        assert self.count % what[1] == 0
        return Memory(self.start, self.count, self.kind, (self.count // what[1], what[1]))

    def copy_(self, source: Memory) -> None:
        """Record the copy."""
        self.copied.append(source)


@dataclass
class Fakes:
    """What was called, in order: (name, arguments)."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def recorder(self, name: str, answer: Callable[..., Any] = lambda *args, **more: None) -> Callable[..., Any]:
        """A function that records its arguments and returns ``answer`` of them."""

        def called(*args: Any, **more: Any) -> Any:
            self.calls.append((name, *args, *([more] if more else [])))
            return answer(*args, **more)

        return called

    def named(self, name: str) -> list[Any]:
        """The arguments of each call of ``name``, as lists."""
        return [arguments for called, *arguments in self.calls if called == name]


@dataclass
class FakeWorld:
    """The ranks of one host, of which this process is ``rank``; ``others`` are what other ranks gather."""

    rank: int = 0
    size: int = 2
    member: bool = True
    is_local: bool = True
    others: tuple[str | None, ...] = ()
    port: int = 7777
    shared: dict[str, Any] = field(default_factory=dict)
    patient: list[float] = field(default_factory=list)
    comm: Any = "the members"

    @property
    def launch(self) -> SimpleNamespace:
        return SimpleNamespace(allgather=lambda mine: [mine, *self.others])

    def name_of_rank(self) -> str:
        return f"rank {self.rank} on here"

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.shared:
            self.shared[name] = make()
        return self.shared[name]

    def led(self, action: Callable[[], int]) -> int:
        return action() if self.rank == 0 else self.port

    def patience(self, seconds: float) -> Any:
        from contextlib import nullcontext

        self.patient.append(seconds)
        return nullcontext()


def device() -> SimpleNamespace:
    """A GPU, the second of its host, whose arenas start at ``BASE``."""
    return SimpleNamespace(
        index=1, stream=SimpleNamespace(ptr=0x57), arena=lambda size: Memory(BASE, size), settle=lambda: None
    )


def install(monkeypatch: pytest.MonkeyPatch, fakes: Fakes, cuda: bool = True) -> None:
    """Put the fakes in the place of torch and cupy."""
    monkeypatch.setenv("TORCH_SYMM_MEM_DISABLE_MULTICAST", "0")
    symmetric = SimpleNamespace(
        empty_strided_p2p=fakes.recorder("allocate", lambda size, stride, kind, where: Memory(BASE, size[0], kind)),
        rendezvous=fakes.recorder("meet"),
    )
    c10d = SimpleNamespace(
        _SymmetricMemory=symmetric,
        TCPStore=fakes.recorder("store", lambda host, port, *_, **__: SimpleNamespace(port=port or 7777)),
        HashStore=lambda: "a store of its own",
        ProcessGroup=fakes.recorder("group", lambda store, rank, size: (rank, size)),
        _register_process_group=fakes.recorder("register"),
        _unregister_process_group=fakes.recorder("unregister"),
    )
    torch: Any = ModuleType("torch")
    torch.__version__ = "2.11.0+cu130"
    torch.cuda = SimpleNamespace(
        is_available=lambda: cuda,
        set_device=fakes.recorder("set device"),
        set_stream=fakes.recorder("set stream"),
        ExternalStream=lambda pointer, device: ("stream", pointer, device),
    )
    torch.device = lambda kind, index: (kind, index)
    torch.as_tensor = lambda array, device: array
    torch.ops = SimpleNamespace(
        symm_mem=SimpleNamespace(
            one_shot_all_reduce_out=fakes.recorder("one shot"), two_shot_all_reduce_=fakes.recorder("two shots")
        )
    )
    for kind in WIDTHS:
        setattr(torch, kind, kind)
    inside: Any = ModuleType("torch._C")
    inside._distributed_c10d = c10d
    cupy: Any = ModuleType("cupy")
    cupy.asarray = lambda tensor: tensor
    for module in (torch, inside, cupy):
        monkeypatch.setitem(sys.modules, module.__name__, module)
