"""What is recorded of a machine, what never is, and what may be missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from collbench.host import environment
from collbench.host.environment import allowed_variables, loaded_libraries, machine, versions
from collbench.measure.sidecar import launch_facts

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-1",
    "NCCL_SOMETHING_TOKEN": "planted-2",
    "COLLBENCH_PASSWORD": "planted-3",
    "UCX_AUTH_COOKIE": "planted-4",
    "SLURM_JWT": "planted-5",
    "FI_Api_Key": "planted-6",
    "HOME": "planted-7",
    "MY_NCCL_DEBUG": "planted-8",
    "nccl_debug": "planted-9",
    "OMPI_MCA_orte_hnp_uri": "planted-10",  # a launcher's own address, other in every run
    "COLLBENCH_CHILD": "planted-11",
}
SETTINGS = {
    "NCCL_ALGO": "Ring",
    "NVSHMEM_DISABLE_NCCL": "1",
    "MPICH_GPU_SUPPORT_ENABLED": "1",
    "OMPI_MCA_btl": "self,vader",
    "FI_PROVIDER": "cxi",
    "UCX_TLS": "rc",
    "CUDA_VISIBLE_DEVICES": "0,1",
    "SLURM_JOB_ID": "42",
}


def test_settings_are_recorded_and_nothing_else() -> None:
    assert allowed_variables({**SECRETS, **SETTINGS}) == SETTINGS


def test_no_secret_gets_into_the_sidecar(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, **SETTINGS}.items():
        monkeypatch.setenv(name, value)
    content = launch_facts(["sweep", "--sizes", "4K"])
    assert "planted" not in json.dumps(content)
    assert content["variables"].items() >= SETTINGS.items()


def test_versions_are_of_what_is_installed() -> None:
    found = versions()
    assert found["python"].startswith("3.")
    assert found["collbench"]
    assert set(found) <= {"python", *environment.PACKAGES}


def test_a_package_that_is_absent_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert set(versions()) == {"python", "numpy"}


def test_a_machine_without_proc_is_described_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: Path, encoding: str) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "read_text", unreadable)
    found = machine()
    assert found["cpu"]
    assert found["memory"] is None


def test_libraries_that_are_loaded_are_named_by_their_paths(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    loaded = ("/usr/lib/libm.so.6", f"{sys.prefix}/lib/nvidia/nccl/lib/libnccl.so.2", "/opt/a b/libnvshmem_host.so.3")
    line = "7f0000000000-7f0000001000 r-xp 00000000 00:1d 99                   "
    maps.write_text("\n".join([f"{line}{path}" for path in loaded] + ["7ffd-7ffe rw-p 00000000 00:00 0  [stack]", ""]))
    assert loaded_libraries(str(maps)) == {
        "nccl": "environment/lib/nvidia/nccl/lib/libnccl.so.2",
        "nvshmem": "/opt/a b/libnvshmem_host.so.3",
    }
    assert loaded_libraries(str(tmp_path / "none")) == {}
    assert loaded_libraries() == {}
