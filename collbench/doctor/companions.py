"""Settings that do harm without another one, or with a library that does not suit them: pure functions of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collbench.doctor.findings import Finding, bad, note
from collbench.host.probes import Node, Process

# What NVSHMEM sets itself when its transport loads, and warns of otherwise (3.5.1, libfabric.cpp).
EARLY = {"FI_CXI_OPTIMIZED_MRS": "0", "FI_CXI_DISABLE_HMEM_DEV_REGISTER": "1", "FI_HMEM_CUDA_USE_GDRCOPY": "1"}
ZEROS = ("FI_CXI_RDZV_THRESHOLD", "FI_CXI_RDZV_GET_MIN", "FI_CXI_RDZV_EAGER_SIZE")


def memhooks(variables: Mapping[str, str], plugin: bool) -> Finding | None:
    """Whether libfabric watches memory by hooks where NCCL uses it; ``plugin``: whether NCCL opens its plugin."""
    if not plugin or variables.get("FI_MR_CACHE_MONITOR") != "memhooks":
        return None
    words = "FI_MR_CACHE_MONITOR=memhooks with NCCL's plugin: HPE has userfaultfd or kdreg2 for NCCL"
    return note("memory monitor", words, "FI_MR_CACHE_MONITOR=userfaultfd")


def alt_read(variables: Mapping[str, str], node: Node) -> Finding | None:
    """Whether the alternative rendezvous protocol is chosen while the driver has the usual one switched on."""
    if variables.get("FI_CXI_RDZV_PROTO") != "alt_read" or not node.rendezvous_get:
        return None
    words = f"FI_CXI_RDZV_PROTO=alt_read, but the driver's rdzv_get_en is 1 on {node.host}"
    cure = "srun --network=disable_rdzv_get (PBS: --disable_rdzv_get), or unset FI_CXI_RDZV_PROTO"
    return note("rendezvous", words, cure)


def gpu_support(variables: Mapping[str, str], vendor: str, loaded: frozenset[str]) -> Finding | None:
    """Whether Cray MPICH is to support GPUs without the library for it; MPI_Init then ends the process."""
    asked = variables.get("MPICH_GPU_SUPPORT_ENABLED", "0") not in ("", "0")
    if vendor != "Cray MPICH" or not asked or "libmpi_gtl_cuda.so" in loaded:
        return None
    words = "MPICH_GPU_SUPPORT_ENABLED=1, but libmpi_gtl_cuda.so is not loaded: MPI_Init ends the process"
    return bad("GPU support of MPI", words, "MPICH_GPU_SUPPORT_ENABLED=0; collbench passes only host memory to MPI")


def too_late(ranks: Sequence[Process], network: str) -> Finding | None:
    """Settings that NVSHMEM makes for libfabric after MPI has read them, or that it finds otherwise. ``ranks`` are
    those of after MPI_Init."""
    opened = [rank for rank in ranks if "libfabric.so" in rank.loaded and _by_libfabric(rank.settings)]
    if network != "slingshot" or not opened:
        return None
    wrong = {
        name: rank.settings.get(name, "")
        for rank in opened
        for name, value in EARLY.items()
        if rank.settings.get(name, "") != value
    }
    if not wrong:
        return None
    shown = ", ".join(f"{name} is {value or 'unset'}" for name, value in wrong.items())
    words = f"{shown}: NVSHMEM sets what is unset only when its transport loads, and MPI has opened libfabric before"
    cure = "set in the job: " + " ".join(f"{name}={EARLY[name]}" for name in wrong)
    return note("libfabric's settings", words, cure)


def _by_libfabric(settings: Mapping[str, str]) -> bool:
    provider = settings.get("NVSHMEM_LIBFABRIC_PROVIDER", "cxi")
    return settings.get("NVSHMEM_REMOTE_TRANSPORT") == "libfabric" and provider == "cxi"


def ll128(nodes: Sequence[Node], variables: Mapping[str, str], network: str) -> Finding | None:
    """Whether NCCL may use LL128 between GH200 nodes on Slingshot, where it has corrupted data."""
    has = any("GH200" in gpu.name for node in nodes for gpu in node.gpus)
    if network != "slingshot" or len(nodes) < 2 or not has or not _may_use_ll128(variables):
        return None
    if all(variables.get(name) == "0" for name in ZEROS) or variables.get("NCCL_LL128_C2C") == "0":
        return None
    words = "NCCL may use LL128 between these GH200, which has corrupted data on Slingshot (NVIDIA/nccl issue 2001)"
    return note("LL128", words, f"{' '.join(f'{name}=0' for name in ZEROS)} (HPE), or NCCL_PROTO=^LL128 (CSCS)")


def _may_use_ll128(variables: Mapping[str, str]) -> bool:
    protocols = variables.get("NCCL_PROTO", "").upper()
    named = "LL128" in protocols.removeprefix("^").split(",")
    return not named if protocols.startswith("^") else named or not protocols
