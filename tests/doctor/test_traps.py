"""Launches that go wrong in silence: each seen from its facts, and none seen where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from collbench.doctor import traps
from collbench.doctor.findings import BAD, FINE, NOTE, Finding
from collbench.host.probes import GpuState, Node, Process, Reach
from collbench.ranks.launcher import Launcher

MPICH = {"library": "MPICH Version: 4.3", "path": "/opt/cray/libmpi.so.12"}
GPU = GpuState(1, "NVIDIA A100", "0000:81:00.0", 1410, 1410, 1512, 1512, None)
NODE = Node("nid1", 64, (GPU,), (), ("hsn0", "lo"), None, None)
RANK = Process("nid1", MPICH, (0, 1), 4, None, "boot-1")
STEP = {"SLURM_STEP_ID": "0"}


def grade(finding: Finding | None) -> str | None:
    """Of a finding, if there is one; every one that is not fine has a cure."""
    assert finding is None or bool(finding.cure) == (finding.grade != FINE), finding
    return finding.grade if finding else None


@pytest.mark.parametrize(
    ("launch", "size", "plugin", "vendor", "cure"),
    [
        (
            Launcher("srun", 0, 4),
            1,
            "none",
            "MPICH",
            "srun --mpi=pmi2 instead of --mpi=none, so that MPICH connects its ranks",
        ),
        (Launcher("srun", 0, 4), 1, "pmi2", "Open MPI", "srun --mpi=pmix"),
        (Launcher("srun", 0, 4), 1, None, "Cray MPICH", "srun --mpi=cray_shasta"),
        (Launcher("srun", 0, 4), 1, None, "Some MPI", "srun --mpi=pmix or pmi2"),
        (Launcher("mpiexec", 3, 4), 1, None, "Open MPI", "the mpiexec that belongs to Open MPI"),
    ],
)
def test_ranks_that_are_all_alone(launch: Launcher, size: int, plugin: str | None, vendor: str, cure: str) -> None:
    found = traps.singletons(launch, size, plugin, vendor)
    assert grade(found) == BAD
    assert found.found == f"{launch.name} started 4 processes, the MPI world has 1 rank: {found.found.split(': ')[1]}"
    assert cure in found.cure


@pytest.mark.parametrize(("started", "size"), [(4, 4), (1, 1), (None, 1), (8, 4)])
def test_ranks_that_know_of_each_other(started: int | None, size: int) -> None:
    assert grade(traps.singletons(Launcher("srun", 0, started), size, "pmi2", "MPICH")) == FINE


@pytest.mark.parametrize(
    ("variables", "vendor", "expected"),
    [
        ({**STEP, "SLURM_MPI_TYPE": "pmi2"}, "MPICH", FINE),
        ({**STEP, "SLURM_MPI_TYPE": "cray_shasta"}, "MPICH", FINE),
        ({**STEP, "SLURM_MPI_TYPE": "pmix_v4"}, "Open MPI", FINE),
        ({**STEP, "SLURM_MPI_TYPE": "pmix"}, "MPICH", NOTE),
        ({**STEP, "SLURM_MPI_TYPE": "none"}, "Open MPI", NOTE),
        ({**STEP, "SLURM_MPI_TYPE": "none"}, "Some MPI", None),
        ({"SLURM_MPI_TYPE": "none"}, "MPICH", None),
        (STEP, "MPICH", None),
    ],
)
def test_the_plugin_of_srun_fits_the_mpi(variables: dict[str, str], vendor: str, expected: str | None) -> None:
    assert grade(traps.mpi_plugin(variables, vendor)) == expected


@pytest.mark.parametrize(
    ("wheels", "variables", "nodes", "network", "expected"),
    [
        ([], {"SLURM_JOB_ID": "1"}, 2, "slingshot", FINE),
        (["mpich"], {}, None, "tcp", FINE),
        (["mpich"], {"SLURM_JOB_ID": "1"}, 1, "slingshot", NOTE),
        (["mpich"], {"SLURM_JOB_ID": "1"}, 2, "tcp", NOTE),
        (["mpich"], {"SLURM_JOB_ID": "1"}, 2, "slingshot", BAD),
        (["openmpi"], {"SLURM_JOB_ID": "1"}, 2, "infiniband", BAD),
        (["mpich"], {"PBS_JOBID": "1.pbs1"}, 2, "slingshot", BAD),
        (["mpich"], {"LOADEDMODULES": "gcc"}, None, "slingshot", NOTE),
    ],
)
def test_a_wheel_that_hides_the_clusters_mpi(
    wheels: list[str], variables: dict[str, str], nodes: int | None, network: str, expected: str
) -> None:
    assert grade(traps.wheel(wheels, variables, nodes, network)) == expected


def test_nodes_are_those_of_the_step_else_of_the_job() -> None:
    assert traps.nodes_of({"SLURM_NNODES": "4", "SLURM_STEP_NUM_NODES": "2"}) == 2
    assert traps.nodes_of({"SLURM_NNODES": "4"}) == 4
    assert traps.nodes_of({}) is None


def test_root_needs_two_permissions_of_open_mpi_alone() -> None:
    given = {"OMPI_ALLOW_RUN_AS_ROOT": "1"}
    found = traps.root(given, "Open MPI", 0)
    assert grade(found) == NOTE
    assert "export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 before" in str(found)
    assert traps.root({**given, "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}, "Open MPI", 0) is None
    assert traps.root({}, "Open MPI", 1000) is None
    assert traps.root({}, "MPICH", 0) is None


@pytest.mark.parametrize(
    ("limit", "network", "expected"),
    [(None, "infiniband", FINE), (8 << 20, "infiniband", NOTE), (8 << 30, "slingshot", FINE), (8 << 20, "tcp", None)],
)
def test_a_fabric_needs_locked_memory(limit: int | None, network: str, expected: str | None) -> None:
    assert grade(traps.locked(replace(NODE, locked_bytes=limit), network)) == expected


@pytest.mark.parametrize(
    ("reach", "container", "expected", "word"),
    [
        (Reach("InfiniBand", False, "libibverbs.so.1", True), "APPTAINER_CONTAINER", BAD, "bind /dev/infiniband"),
        (Reach("Slingshot", False, "libfabric.so.1", True), None, BAD, "/dev/cxi* is missing"),
        (Reach("Slingshot", True, "libfabric.so.1", False), "/.dockerenv", NOTE, "libfabric.so.1 does not load inside"),
        (Reach("InfiniBand", True, "libibverbs.so.1", False), None, NOTE, "load the module"),
    ],
)
def test_a_fabric_that_the_process_cannot_use(reach: Reach, container: str | None, expected: str, word: str) -> None:
    (found,) = traps.fabric_reach([reach], replace(NODE, container=container))
    assert grade(found) == expected
    assert word in f"{found.found} {found.cure}"


def test_a_fabric_within_reach_is_no_finding() -> None:
    assert traps.fabric_reach([Reach("Slingshot", True, "libfabric.so.1", True)], NODE) == []


def test_libraries_of_a_fabric_that_are_found_and_that_are_not() -> None:
    image = {"libfabric.so.1": True, "libcxi.so.1": False, "libgdrapi.so.2": False}
    found = traps.fabric_libraries("slingshot", image)
    assert grade(found) == NOTE
    assert "libfabric.so.1 found; libcxi.so.1, libgdrapi.so.2 not found" in str(found)
    assert "hook cxi at CSCS" in str(found)
    whole = traps.fabric_libraries("slingshot", {**image, "libcxi.so.1": True})
    assert grade(whole) == FINE, "GDRCopy is for speed"
    assert "libgdrapi.so.2 not found" in str(whole)
    assert grade(traps.fabric_libraries("infiniband", {"libibverbs.so.1": False, "libmlx5.so.1": True})) == NOTE
    assert traps.fabric_libraries("tcp", {}) is None


def ranks(*hosts: str, **changes: Any) -> list[Process]:
    """A rank on each of these hosts, each with a core of its own, and the hosts machines of their own."""
    return [
        replace(RANK, **{"host": host, "cores": (index,), "machine": f"boot-{host}", **changes})
        for index, host in enumerate(hosts)
    ]


def test_ranks_are_counted_by_host() -> None:
    even, uneven = traps.node_map(ranks("a", "b", "a", "b")), traps.node_map(ranks("a", "a", "a", "b"))
    assert (even.grade, even.found) == (FINE, "a: 2, b: 2")
    assert (grade(uneven), uneven.found) == (NOTE, "a: 3, b: 1; nodes have different numbers of ranks")
    many = traps.node_map(ranks(*(f"nid{number}" for number in range(16) for _ in range(4))))
    assert many.found == "4 on each of 16 hosts"


def test_ranks_with_different_mpis() -> None:
    other = replace(RANK, mpi={**MPICH, "path": "environment/lib/libmpi.so.12"})
    assert grade(traps.agreement([RANK, RANK])) == FINE
    found = traps.agreement([RANK, RANK, other])
    assert grade(found) == BAD
    assert found.found.startswith("2 ranks: MPICH Version: 4.3, /opt/cray/libmpi.so.12; 1 rank:")


def test_ranks_that_share_cores() -> None:
    assert grade(traps.cores(ranks("a", "a", "b"))) == FINE
    assert grade(traps.cores(ranks("a", "a", cores=(0, 1)))) == FINE
    found = traps.cores([*ranks("a"), *ranks("b", "b", "b", cores=(0, 1))])
    assert (grade(found), found.found) == (NOTE, "3 ranks share 2 cores on b")
    found = traps.cores(ranks("node1", "node2", "node1", "node2", cores=(0, 1), machine="boot"))
    assert (grade(found), found.found) == (NOTE, "4 ranks share 2 cores on node1 and node2")


def test_hosts_of_one_machine_are_a_lab() -> None:
    assert traps.lab(ranks("a", "a", "b")) is None
    found = traps.lab(ranks("node1", "node2", "node1", machine="boot"))
    assert grade(found) == NOTE
    assert found is not None
    assert found.found.startswith("node1 and node2 are one machine: what they exchange crosses its memory")
    many = [*ranks(*(f"node{number}" for number in range(1, 9)), machine="boot"), *ranks("c", "d")]
    found = traps.lab([*many, *ranks("x", "y", machine="other")])
    assert found is not None
    assert found.found.startswith("node1, node2, node3 and 5 more are one machine; x and y are one machine: ")


def test_ranks_of_a_host_that_see_one_gpu_each() -> None:
    alone = [replace(RANK, gpus=1, visible=str(index)) for index in range(2)]
    assert grade(traps.hidden_gpus(alone)) == NOTE
    assert "NVSHMEM needs all" in str(traps.hidden_gpus(alone))
    assert "export CUDA_VISIBLE_DEVICES=0,1,2,3 before srun" in str(traps.hidden_gpus(alone))
    renumbered = [replace(RANK, gpus=1, visible="0")] * 2  # as Slurm's control groups do it
    assert grade(traps.hidden_gpus(renumbered)) == NOTE
    assert traps.hidden_gpus([RANK, RANK]) is None
    assert traps.hidden_gpus([replace(each, host=host) for each, host in zip(alone, "ab", strict=True)]) is None
    assert traps.hidden_gpus([replace(RANK, gpus=1)] * 2) is None, "a host of one GPU hides none"


def test_ranks_on_one_gpu() -> None:
    assert traps.shared_gpu([("a", "01"), ("a", "02"), ("b", "01")]) is None
    found = traps.shared_gpu([("a", "01"), ("b", "01"), ("b", "01")])
    assert grade(found) == BAD
    assert "2 ranks share GPU 01 of b" in str(found)


def test_gpus_whose_clocks_are_held_down() -> None:
    assert traps.clocks([NODE]) is None
    hot = replace(NODE, gpus=(GPU, replace(GPU, throttled="hardware slowdown")))
    assert "GPU 1 of nid1: hardware slowdown" in str(traps.clocks([NODE, hot]))
    assert grade(traps.clocks([hot])) == NOTE


def test_where_libraries_meet_on_slingshot() -> None:
    found = traps.bootstrap(NODE, 2, {"NCCL_SOCKET_IFNAME": "hsn"})
    assert (grade(found), found and found.cure) == (NOTE, "NVSHMEM_BOOTSTRAP_UID_SOCK_IFNAME=hsn")
    assert traps.bootstrap(NODE, 1, {}) is None
    assert traps.bootstrap(replace(NODE, interfaces=("eth0",)), 2, {}) is None


@pytest.mark.parametrize(
    ("transports", "network", "hosts", "expected"),
    [
        ({"NCCL": "socket", "NVSHMEM": "libfabric/cxi"}, "slingshot", 2, BAD),
        ({"NCCL": "ofi/cxi", "NVSHMEM": "libfabric/cxi"}, "slingshot", 2, None),
        ({"NCCL": "socket"}, "tcp", 2, None),
        ({"NCCL": "socket"}, "infiniband", 1, None),
    ],
)
def test_libraries_that_miss_the_fabric(
    transports: dict[str, str], network: str, hosts: int, expected: str | None
) -> None:
    assert grade(traps.slow_network(transports, network, hosts)) == expected


def test_multicast_that_is_switched_off() -> None:
    assert traps.multicast({}) is None
    found = traps.multicast({"nccl": "NCCL_NVLS_ENABLE=0", "nvshmem": "NVSHMEM_DISABLE_NVLS=1"})
    assert grade(found) == NOTE
    assert found is not None
    assert "NCCL_NVLS_ENABLE=0 and NVSHMEM_DISABLE_NVLS=1" in found.found
    assert found.cure.startswith("unset NCCL_NVLS_ENABLE NVSHMEM_DISABLE_NVLS, unless your site")
