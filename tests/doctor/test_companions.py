"""Settings that need others: each seen, and none seen where all is well."""

from __future__ import annotations

import pytest

from collbench.doctor import companions
from collbench.doctor.findings import BAD, NOTE, Finding
from collbench.host.probes import GpuState, Node, Process

ZEROS = dict.fromkeys(companions.ZEROS, "0")
OVER_CXI = {"NVSHMEM_REMOTE_TRANSPORT": "libfabric"}


def a_node(gpu: str = "NVIDIA GH200 120GB", host: str = "nid1", get: bool | None = None) -> Node:
    """A node with one GPU of that name."""
    state = GpuState(0, gpu, "0009:01:00.0", None, None, None, None, None)
    return Node(host, 288, (state,), (), (), None, None, get)


def rank(loaded: str = "libfabric.so", **settings: str) -> Process:
    """A rank after MPI_Init."""
    return Process("nid1", {}, (0,), 4, None, "boot", settings, frozenset({loaded}))


def grade(found: Finding | None) -> str | None:
    """Of a finding; each has a cure."""
    assert found is None or found.cure
    return found.grade if found else None


@pytest.mark.parametrize(
    ("monitor", "plugin", "expected"),
    [("memhooks", True, NOTE), ("memhooks", False, None), ("kdreg2", True, None), ("userfaultfd", True, None)],
)
def test_memory_hooks_do_not_suit_the_plugin_of_nccl(monitor: str, plugin: bool, expected: str | None) -> None:
    assert grade(companions.memhooks({"FI_MR_CACHE_MONITOR": monitor}, plugin)) == expected
    assert companions.memhooks({}, plugin) is None


@pytest.mark.parametrize(
    ("protocol", "get", "expected"),
    [("alt_read", True, NOTE), ("alt_read", False, None), ("alt_read", None, None), ("default", True, None)],
)
def test_the_alternative_rendezvous_needs_its_option(protocol: str, get: bool | None, expected: str | None) -> None:
    found = companions.alt_read({"FI_CXI_RDZV_PROTO": protocol}, a_node(get=get))
    assert grade(found) == expected
    assert found is None or "srun --network=disable_rdzv_get" in found.cure
    assert companions.alt_read({}, a_node(get=True)) is None


@pytest.mark.parametrize(
    ("asked", "vendor", "loaded", "expected"),
    [
        ("1", "Cray MPICH", "libmpi.so", BAD),
        ("1", "Cray MPICH", "libmpi_gtl_cuda.so", None),
        ("0", "Cray MPICH", "libmpi.so", None),
        ("1", "MPICH", "libmpi.so", None),
    ],
)
def test_gpu_support_needs_its_library(asked: str, vendor: str, loaded: str, expected: str | None) -> None:
    variables = {"MPICH_GPU_SUPPORT_ENABLED": asked}
    assert grade(companions.gpu_support(variables, vendor, frozenset({loaded}))) == expected
    assert companions.gpu_support({}, vendor, frozenset()) is None


def test_what_nvshmem_sets_comes_too_late_for_an_mpi_on_libfabric() -> None:
    found = companions.too_late([rank(**OVER_CXI, FI_CXI_OPTIMIZED_MRS="0")], "slingshot")
    assert grade(found) == NOTE
    assert found is not None
    assert "FI_CXI_DISABLE_HMEM_DEV_REGISTER is unset, FI_HMEM_CUDA_USE_GDRCOPY is unset" in found.found
    assert found.cure == "set in the job: FI_CXI_DISABLE_HMEM_DEV_REGISTER=1 FI_HMEM_CUDA_USE_GDRCOPY=1"
    wrong = companions.too_late([rank(**OVER_CXI, **{**companions.EARLY, "FI_CXI_OPTIMIZED_MRS": "1"})], "slingshot")
    assert wrong is not None
    assert wrong.found.startswith("FI_CXI_OPTIMIZED_MRS is 1: ")


@pytest.mark.parametrize(
    ("process", "network"),
    [
        (rank(**OVER_CXI, **companions.EARLY), "slingshot"),
        (rank("libucp.so", **OVER_CXI), "slingshot"),  # the MPI has no part in libfabric
        (rank(**OVER_CXI), "infiniband"),
        (rank(**OVER_CXI, NVSHMEM_LIBFABRIC_PROVIDER="efa"), "slingshot"),
        (rank(NVSHMEM_REMOTE_TRANSPORT="none"), "slingshot"),
    ],
)
def test_settings_that_come_in_time(process: Process, network: str) -> None:
    assert companions.too_late([process], network) is None


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, NOTE),
        ({"NCCL_PROTO": "LL128"}, NOTE),
        ({"NCCL_PROTO": "^LL"}, NOTE),
        ({**ZEROS, "FI_CXI_RDZV_GET_MIN": "1"}, NOTE),
        ({"NCCL_PROTO": "^LL128"}, None),
        ({"NCCL_PROTO": "^ll,ll128"}, None),
        ({"NCCL_PROTO": "LL,Simple"}, None),
        ({"NCCL_LL128_C2C": "0"}, None),
        (ZEROS, None),
    ],
)
def test_ll128_between_gh200_nodes(variables: dict[str, str], expected: str | None) -> None:
    assert grade(companions.ll128([a_node(), a_node()], variables, "slingshot")) == expected


def test_ll128_elsewhere_is_not_suspected() -> None:
    assert companions.ll128([a_node()], {}, "slingshot") is None
    assert companions.ll128([a_node("NVIDIA A100-SXM4-40GB")] * 2, {}, "slingshot") is None
    assert companions.ll128([a_node()] * 2, {}, "infiniband") is None
