"""Probes of a host: what they find in a made-up /sys and /dev, and that none of them needs what is not there."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collbench.host import probes
from collbench.host.probes import GpuState, Nic, Reach
from collbench.kernels import host_compiler


def put(path: Path, text: str = "") -> None:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def sys_class(tmp_path: Path) -> Path:
    """A host with one InfiniBand port and one interface of Slingshot."""
    port = tmp_path / "class/infiniband/mlx5_0/ports/1"
    for name, text in {"link_layer": "InfiniBand\n", "rate": "400 Gb/sec (4X NDR)\n", "state": "4: ACTIVE\n"}.items():
        put(port / name, text)
    for name, text in {"speed": "200000\n", "operstate": "up\n"}.items():
        put(tmp_path / "class/net/hsn0" / name, text)
    put(tmp_path / "class/net/lo/operstate", "unknown\n")
    return tmp_path / "class"


def test_adapters_tell_link_rate_and_state(sys_class: Path) -> None:
    assert probes.nics(sys_class) == (
        Nic("mlx5_0:1", "InfiniBand", "400 Gb/sec (4X NDR)", "ACTIVE"),
        Nic("hsn0", "Slingshot", "200 Gb/sec", "up"),
    )
    assert probes.interfaces(sys_class) == ("hsn0", "lo")


def test_an_adapter_that_tells_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "net/hsn1").mkdir(parents=True)
    assert probes.nics(tmp_path) == (Nic("hsn1", "Slingshot", "", ""),)
    assert probes.nics(tmp_path / "nowhere") == ()


def test_a_fabric_is_reached_through_its_devices_and_its_library(
    sys_class: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "_loads", lambda library: library == "libibverbs.so.1")
    put(sys_class / "cxi/cxi0/device")
    put(tmp_path / "dev/infiniband/uverbs0")
    assert probes.reaches(sys_class, tmp_path) == (
        Reach("InfiniBand", True, "libibverbs.so.1", True),
        Reach("Slingshot", False, "libfabric.so.1", False),
    )
    assert probes.reaches(tmp_path / "nowhere", tmp_path) == ()


def test_libraries_are_tried_out_for_real() -> None:
    assert probes._loads("libc.so.6")
    assert not probes._loads("libnowhere.so.1")


def test_libraries_of_a_fabric_are_tried_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = (("libc.so.6", "libnowhere.so.1"), ("libm.so.6",))
    monkeypatch.setattr(probes, "FABRIC_LIBRARIES", {"slingshot": libraries})
    assert probes.fabric_libraries("slingshot") == {"libc.so.6": True, "libnowhere.so.1": False, "libm.so.6": True}
    assert probes.fabric_libraries("tcp") == {}


def test_a_library_that_another_one_brings_along_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a libfabric that names the folder of its libcxi, which the loader would not search by itself."""
    build = (*(host_compiler.compiler() or ()), "-shared", "-fPIC", "-x", "c++", "/dev/null")
    adapter, fabric = tmp_path / "libadapter-of-test.so.1", tmp_path / "libfabric-of-test.so.1"
    subprocess.run([*build, f"-Wl,-soname,{adapter.name}", "-o", str(adapter)], check=True)
    brought = ("-Wl,--no-as-needed", f"-Wl,-rpath,{tmp_path}", "-x", "none", str(adapter))
    subprocess.run([*build, *brought, "-o", str(fabric)], check=True)
    monkeypatch.setattr(probes, "FABRIC_LIBRARIES", {"slingshot": ((adapter.name,), ())})
    assert probes.fabric_libraries("slingshot") == {adapter.name: False}
    monkeypatch.setattr(probes, "FABRIC_LIBRARIES", {"slingshot": ((str(fabric), adapter.name), ())})
    assert probes.fabric_libraries("slingshot") == {str(fabric): True, adapter.name: True}


def test_containers_leave_a_variable_or_a_file(tmp_path: Path) -> None:
    assert probes.container({}, tmp_path) is None
    put(tmp_path / "run/.containerenv")
    assert probes.container({}, tmp_path) == "/run/.containerenv"
    assert probes.container({"APPTAINER_CONTAINER": "/x.sif"}, tmp_path) == "APPTAINER_CONTAINER"


@pytest.mark.parametrize(("limit", "found"), [(resource.RLIM_INFINITY, None), (65536, 65536)])
def test_locked_memory_is_in_bytes_or_any_amount(
    limit: int, found: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    assert probes.locked_bytes() == found


@pytest.mark.parametrize(
    ("values", "found"), [((), None), (("1\n", "1\n"), True), (("0\n",), False), (("0", "1"), True)]
)
def test_the_rendezvous_of_slingshots_driver(tmp_path: Path, values: tuple[str, ...], found: bool | None) -> None:
    for number, value in enumerate(values):
        put(tmp_path / f"cxi/cxi{number}/device/properties/rdzv_get_en", value)
    assert probes.rendezvous_get(tmp_path) == found


def test_a_process_tells_which_libraries_of_an_mpi_it_has(tmp_path: Path) -> None:
    lines = [
        f"7f0-7f1 r-xp 0 00:00 1 {path}" for path in ("/opt/libfabric.so.1.2", "/usr/libmpi.so", "/x/libmpi_gtl.so")
    ]
    put(tmp_path / "maps", "\n".join(lines))
    assert probes.loaded(tmp_path / "maps") == {"libfabric.so"}
    assert probes.process({"NCCL_NET": "x", "HOME": "y"}, {}).settings == {"NCCL_NET": "x"}


class NvmlError(Exception):
    """As NVML raises it."""


@dataclass
class Nvml:
    """A driver with one GPU; ``fails`` names calls that it does not have."""

    fails: tuple[str, ...] = ()
    NVMLError: type[NvmlError] = NvmlError
    NVML_CLOCK_SM: int = 1
    NVML_CLOCK_MEM: int = 2
    answers: dict[str, Any] = field(
        default_factory=lambda: {
            "nvmlInit": None, "nvmlDeviceGetCount": 1, "nvmlDeviceGetHandleByIndex": 0,
            "nvmlDeviceGetName": "NVIDIA H200", "nvmlDeviceGetPciInfo": SimpleNamespace(busId="0000:01:00.0"),
            "nvmlDeviceGetCurrentClocksEventReasons": 0x20 | 0x01,
        }
    )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: int) -> Any:
            if name in self.fails:
                raise NvmlError(name)
            if name == "nvmlDeviceGetClockInfo":
                return {self.NVML_CLOCK_SM: 345, self.NVML_CLOCK_MEM: 3201}[arguments[1]]
            if name == "nvmlDeviceGetMaxClockInfo":
                return {self.NVML_CLOCK_SM: 1980, self.NVML_CLOCK_MEM: 3201}[arguments[1]]
            return self.answers[name]

        return call


def test_gpus_tell_their_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    reported = GpuState(0, "NVIDIA H200", "0000:01:00.0", 345, 1980, 3201, 3201, "software thermal slowdown")
    assert probes.gpus() == (reported,)


def test_a_driver_that_tells_less_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    less = ("nvmlDeviceGetClockInfo", "nvmlDeviceGetCurrentClocksEventReasons")
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(less))
    assert probes.gpus() == (GpuState(0, "NVIDIA H200", "0000:01:00.0", None, 1980, None, 3201, None),)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(("nvmlInit",)))
    assert probes.gpus() == ()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert probes.gpus() == ()


def test_a_machine_is_told_by_its_boot_and_without_one_by_its_name(tmp_path: Path) -> None:
    boot = tmp_path / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("7f1c\n")
    assert probes.machine(tmp_path) == "7f1c"
    assert probes.machine(tmp_path / "none") == probes.process({}, {}).host


def test_this_host_is_json() -> None:
    there = json.loads(json.dumps(probes.plain(probes.node({}))))
    assert there["host"] == probes.process({}, {}).host


def test_nodes_of_a_pbs_job_are_counted_once_each(tmp_path: Path) -> None:
    put(tmp_path / "nodes", "x3006\nx3006\nx3007\nx3007\n")
    assert probes.pbs_nodes({"PBS_NODEFILE": f"{tmp_path}/nodes"}) == 2
    assert probes.pbs_nodes({"PBS_NODEFILE": f"{tmp_path}/elsewhere"}) is None
    assert probes.pbs_nodes({}) is None
