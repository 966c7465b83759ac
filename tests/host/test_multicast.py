"""NVLink multicast: what the driver says, and which settings keep a library from it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import pytest

from collbench.host import multicast


@dataclass
class Driver:
    """Stands in for libcuda.so.1: ``has`` is multicast of each GPU; one function may fail with an error."""

    has: tuple[int, ...] = (1, 0)
    failing: str = ""

    def cuInit(self, flags: int) -> int:  # noqa: N802 - CUDA's name
        return 100 if self.failing == "cuInit" else flags

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802 - CUDA's name
        device._obj.value = index
        return 101 if index >= len(self.has) else 0

    def cuDeviceGetAttribute(self, found: Any, attribute: int, device: ctypes.c_int) -> int:  # noqa: N802 - CUDA's name
        assert attribute == 132
        found._obj.value = self.has[device.value]
        return 1 if self.failing == "cuDeviceGetAttribute" else 0


def test_the_driver_is_asked_for_the_gpu() -> None:
    assert [multicast.supported(index, Driver()) for index in (0, 1, 2)] == [True, False, None]


@pytest.mark.parametrize("cuda", [Driver(failing="cuInit"), Driver(failing="cuDeviceGetAttribute"), object()])
def test_a_driver_that_does_not_say_is_no_answer(cuda: object) -> None:
    assert multicast.supported(0, cuda) is None


def test_without_a_driver_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert multicast.supported(0) is None


@pytest.mark.parametrize(
    ("name", "value", "off"),
    [
        *(("NCCL_NVLS_ENABLE", value, True) for value in ("0", " 0", "-0", "0x0", "off")),
        *(("NCCL_NVLS_ENABLE", value, False) for value in ("", "1", "2", "01", "0x1", "-1")),
        *(("NVSHMEM_DISABLE_NVLS", value, True) for value in ("1", "yes", "true")),
        *(("NVSHMEM_DISABLE_NVLS", value, False) for value in ("", "0", "no", "False")),
        ("NVLS", "0", False),
    ],
)
def test_which_settings_switch_it_off(name: str, value: str, off: bool) -> None:
    library = "nccl" if name.startswith("NCCL") else "nvshmem"
    assert multicast.switched_off({name: value}) == ({library: f"{name}={value}"} if off else {})


def gpu(supported: bool | None, **off: str) -> dict[str, Any]:
    return {"gpu": {"multicast": {"supported": supported, "off": off}}}


def test_what_is_unused_is_what_the_gpu_has_and_a_setting_switches_off() -> None:
    nccl, nvshmem = {"nccl": "NCCL_NVLS_ENABLE=0"}, {"nvshmem": "NVSHMEM_DISABLE_NVLS=1"}
    assert multicast.unused_by([gpu(True), gpu(True, **nccl), gpu(False, **nvshmem)]) == {"nccl"}
    assert multicast.unused_by([gpu(None, **nccl), gpu(True)]) == set()
    assert multicast.unused_by([{"cpu": {}}, {"gpu": {"name": "of an earlier version"}}]) == set()


@pytest.mark.parametrize(
    ("backend", "library"),
    [("nccl", "nccl"), ("nccl-symm", "nccl"), ("nccl@ring", "nccl"), ("nvshmem:a=b", "nvshmem"), ("nvrar", "nvrar")],
)
def test_the_library_of_a_backend(backend: str, library: str) -> None:
    assert multicast.reader_of(backend) == library
