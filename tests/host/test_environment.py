"""What is recorded of a machine, what never is, and what may be missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from planting import plant

from collbench.host import environment
from collbench.host.environment import (
    allowed_variables,
    loaded_libraries,
    machine,
    mapped_path,
    shown_path,
    versions,
)
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
    "COLLBENCH_GIVEN": "FI_Api_Key\tplanted-12",
    "COLLBENCH_CONFLICTS": "FI_Api_Key\tplanted-13\tx\tkept",
    "OMPI_MCA_orte_hnp_uri": "planted-10",  # a launcher's own address, other in every run
    "COLLBENCH_CHILD": '{"variables": {"AWS_SECRET_ACCESS_KEY": "planted-11"}}',
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


def test_a_rank_records_the_job_of_the_process_that_started_it() -> None:
    child = json.dumps({"variables": {"SLURM_JOB_ID": "42", "NCCL_ALGO": "Ring", "SLURM_JWT": "planted"}})
    assert allowed_variables({"COLLBENCH_CHILD": child, "NCCL_ALGO": "Tree"}) == {
        "NCCL_ALGO": "Tree",
        "SLURM_JOB_ID": "42",
    }


def test_no_secret_gets_into_the_sidecar(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, **SETTINGS}.items():
        monkeypatch.setenv(name, value)
    content = launch_facts(["sweep", "--sizes", "4K"])
    assert "planted" not in json.dumps(content)
    assert content["variables"].items() >= SETTINGS.items()


def test_conflicts_of_profile_and_environment_are_in_the_sidecar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "conflicts" not in launch_facts([])
    monkeypatch.setenv("COLLBENCH_CONFLICTS", "NCCL_X\t0\t1\tkept")
    content = launch_facts([])
    assert content["conflicts"] == [{"name": "NCCL_X", "environment": "0", "profile": "1", "kept": True}]
    assert "COLLBENCH_CONFLICTS" not in content["variables"]


def test_versions_are_of_what_is_installed() -> None:
    found = versions()
    assert found["python"].startswith("3.")
    assert found["collbench"]
    assert set(found) <= {"python", *environment.PACKAGES}


def test_a_package_that_is_absent_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert set(versions()) == {"python", "numpy"}


def test_a_machine_without_proc_is_described_all_the_same(tmp_path: Path) -> None:
    found = machine(tmp_path)
    assert found["cpu"]
    assert found["memory"] is None


def test_memory_is_shown_in_the_unit_of_a_reader(tmp_path: Path) -> None:
    assert machine(plant(tmp_path, {"proc/meminfo": "MemTotal:       24684092 kB"}))["memory"] == "23.5 GiB"


def maps(folder: Path, *paths: str) -> Path:
    """A file as the kernel writes it, of a process that has mapped ``paths``."""
    named = [f"7f0000000000-7f0000001000 r-xp 00000000 00:1d 99                   {path}" for path in paths]
    others = "7ffb-7ffc rw-p 00000000 00:00 0 ", "7ffd-7ffe rw-p 00000000 00:00 0                  [stack]"
    return plant(folder, {"maps": "\n".join([others[0], *named, others[1]])}) / "maps"


@pytest.mark.parametrize("deleted", ["", " (deleted)"])
@pytest.mark.parametrize("folder", ["/opt/mpi", "/my env", "/a  b\t", "/\u2028\x0c", "/\udcff", "/libmpi/x"])
def test_a_library_is_found_by_any_path(tmp_path: Path, folder: str, deleted: str) -> None:
    others = ("/opt/libmpi/libfoo.so", "/opt/(deleted)/libc.so.6")
    read = maps(
        tmp_path, *others, f"{folder}/lib/libmpi.so.12.1{deleted}", f"{folder}/lib/libmpi_usempif08.so{deleted}"
    )
    assert mapped_path(read) == f"{folder}/lib/libmpi.so.12.1"


def test_a_newline_in_a_path_is_read_back(tmp_path: Path) -> None:
    assert mapped_path(maps(tmp_path, "/a\\012b/libmpi.so")) == "/a\nb/libmpi.so"


def test_a_file_may_be_named_deleted(tmp_path: Path) -> None:
    path = str(plant(tmp_path, {"libmpi.so (deleted)": ""}) / "libmpi.so (deleted)")
    assert mapped_path(maps(tmp_path, path)) == path


def test_without_maps_nothing_is_known(tmp_path: Path) -> None:
    assert (mapped_path(tmp_path / "none"), loaded_libraries(tmp_path / "none")) == (None, {})
    assert loaded_libraries() == {}


def test_libraries_that_are_loaded_are_named_by_their_paths(tmp_path: Path) -> None:
    loaded = ("/usr/lib/libm.so.6", f"{sys.prefix}/lib/nvidia/nccl/lib/libnccl.so.2", "/opt/a b/libnvshmem_host.so.3")
    assert loaded_libraries(maps(tmp_path, *loaded)) == {
        "nccl": "environment/lib/nvidia/nccl/lib/libnccl.so.2",
        "nvshmem": "/opt/a b/libnvshmem_host.so.3",
    }


def test_a_path_in_an_environment_does_not_name_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "link"))
    for folder in ("link", "real"):
        assert shown_path(f"{tmp_path}/{folder}/lib/libmpi.so") == "environment/lib/libmpi.so"
    assert shown_path(f"{tmp_path}/real2/libmpi.so") == f"{tmp_path}/real2/libmpi.so"
