"""The doctor: what it finds, and an exit code that only a bad finding spoils."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from running import Mpi

from collbench import registry
from collbench.doctor import examine
from collbench.doctor.findings import Finding
from collbench.host import multicast, nccl_plugin, probes
from collbench.kernels import nvrtc
from collbench.ranks import launcher
from collbench.ranks.launcher import Launcher


def found(text: str) -> dict[str, dict[str, Any]]:
    """Findings of ``--json`` by what they are about."""
    return {each["what"]: each for each in json.loads(text)}


def test_a_wrong_plugin_is_reported_before_mpi_is_started(mpich: Mpi) -> None:
    ran = mpich.run("doctor", SLURM_STEP_ID="0", SLURM_PROCID="0", SLURM_STEP_NUM_TASKS="2", SLURM_MPI_TYPE="none")
    assert ran.err.startswith("collbench: srun --mpi=none, which MPICH usually does not support; try srun --mpi=pmi2")
    assert "BAD   launcher: srun started 2 processes" in ran.out
    assert ran.code == 1


def test_a_wheel_in_a_job_of_one_node_is_a_note(mpich: Mpi) -> None:
    ran = mpich.run("doctor", "--json", SLURM_JOB_ID="7", SLURM_NNODES="1", FI_PROVIDER="cxi")
    assert (ran.code, found(ran.out)["MPI wheel"]["grade"]) == (0, "note")
    assert "libcxi.so.1" in found(ran.out)["fabric libraries"]["found"], "found or not"


@pytest.mark.parametrize(
    ("variables", "reported"),
    [
        ({}, False),
        ({"NCCL_DEBUG": "WARN"}, True),
        ({"NCCL_DEBUG": "INFO"}, True),
        ({"NCCL_DEBUG": "INFO", "NCCL_DEBUG_FILE": "nccl.%p"}, False),
    ],
)
def test_settings_that_hide_the_transport_are_reported(
    variables: dict[str, str], reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "gpu_count", lambda: 2)
    finding = examine._logging(variables)
    assert (finding is not None) == reported
    assert finding is None or finding.grade == "note"


@pytest.mark.parametrize(
    ("gpus", "has", "variables", "reported"),
    [
        (4, True, {"NCCL_NVLS_ENABLE": "0"}, True),
        (4, True, {"NVSHMEM_DISABLE_NVLS": "1"}, True),
        (4, True, {}, False),
        (4, False, {"NCCL_NVLS_ENABLE": "0"}, False),
        (4, None, {"NCCL_NVLS_ENABLE": "0"}, False),
        (1, True, {"NCCL_NVLS_ENABLE": "0"}, False),  # nobody to share with
    ],
)
def test_multicast_that_is_there_and_off_is_reported(
    gpus: int, has: bool | None, variables: dict[str, str], reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "gpu_count", lambda: gpus)
    monkeypatch.setattr(multicast, "supported", lambda index: has)
    finding = examine._multicast(variables)
    assert (finding is not None) == reported
    assert finding is None or finding.grade == "note"


@pytest.mark.parametrize(
    ("member", "grade"), [({}, "bad"), ({"ON_REQUEST": False}, "bad"), ({"ON_REQUEST": True}, "fine")]
)
def test_a_backend_on_request_that_is_not_installed_is_nothing_bad(
    member: dict[str, bool], grade: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "gpu_count", lambda: 2)
    monkeypatch.setattr(registry, "find", lambda name: SimpleNamespace(missing=lambda: "not installed", **member))
    finding = examine._backend("peer")
    assert (finding.grade, finding.found) == (grade, "not installed")


def test_what_nccl_opens_and_what_does_not_suit_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(examine, "gpu_count", lambda: 4)
    opened = nccl_plugin.Plugin({}, (nccl_plugin.Attempt("libnccl-net.so", "Libfabric", ""),), ())
    monkeypatch.setattr(nccl_plugin, "find", lambda variables: opened)
    monkeypatch.setenv("FI_MR_CACHE_MONITOR", "memhooks")
    monkeypatch.setenv("FI_CXI_RDZV_PROTO", "alt_read")
    node = probes.Node("nid1", 64, (), (), (), None, None, rendezvous_get=True)
    found = examine._plugin("slingshot", node)
    assert [(each.what, each.grade) for each in found if each] == [
        ("NCCL's plugin", "fine"), ("memory monitor", "note"), ("rendezvous", "note"),
    ]  # fmt: skip
    lost = nccl_plugin.Attempt("libnccl-net.so", "", "libnccl-net.so: cannot open shared object file")
    monkeypatch.setattr(nccl_plugin, "find", lambda variables: nccl_plugin.Plugin({}, (lost,), ()))
    (tmp_path / "nodes").write_text("a\nb\n")
    monkeypatch.setenv("PBS_NODEFILE", str(tmp_path / "nodes"))
    missing = examine._plugin("slingshot", node)[0]
    assert (missing and missing.grade) == "bad", "the job has two nodes"
    monkeypatch.setattr(examine, "gpu_count", lambda: 0)
    assert [each.what for each in examine._plugin("slingshot", node) if each] == ["rendezvous"]


def test_gpu_support_without_its_library_is_reported_before_mpi_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from collbench.doctor import ranks

    monkeypatch.setenv("MPICH_GPU_SUPPORT_ENABLED", "1")
    monkeypatch.setattr(launcher, "detect", lambda variables: Launcher("srun", 0, 2))
    monkeypatch.setattr(ranks, "examine", lambda *_: [])
    (found,) = examine._ranks("Cray MPICH", "slingshot", (probes.node({}), ()))
    assert (found.what, found.grade) == ("GPU support of MPI", "bad")
    assert capsys.readouterr().err.startswith("collbench: MPICH_GPU_SUPPORT_ENABLED=1, but libmpi_gtl_cuda.so is not")


def test_gpus_are_listed_with_their_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = probes.GpuState(0, "NVIDIA H200", "0000:01:00.0", 345, 1980, 3201, 3201, "power brake")
    node = probes.Node("here", 2, (gpu,), (), (), None, None)
    monkeypatch.setattr(examine, "gpu_count", lambda: 1)
    reported, held = examine._gpus(node)
    assert reported.found == "1 NVIDIA; 0: NVIDIA H200, SM 345 of 1980 MHz, memory 3201 of 3201 MHz"
    assert (held.grade, held.found) == ("note", "throttled: GPU 0 of here: power brake")


@pytest.mark.parametrize(("gpus", "grade"), [(0, "note"), (2, "bad")])
def test_a_linker_that_does_not_fit_its_compiler_is_reported(
    gpus: int, grade: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "gpu_count", lambda: gpus)
    monkeypatch.setattr(nvrtc, "mismatch", lambda: "nvJitLink is old; upgrade it")
    assert examine._gpu_compiler() == Finding("GPU compiler", grade, "nvJitLink is old", "upgrade it")
    monkeypatch.setattr(nvrtc, "mismatch", lambda: None)
    assert examine._gpu_compiler() is None
