"""Which variables a variant may set, and whether they come in time under a launcher."""

from __future__ import annotations

from pathlib import Path

import pytest

from collbench.errors import UsageError
from collbench.plan.variants import Variant
from collbench.ranks.variables import check_variables, too_late

MAP = "7f0000000000-7f0000001000 r-xp 00000000 00:01 1 {}\n"


def setting(*names: str) -> Variant:
    return Variant("a", "mpi", tuple((name, "1") for name in names))


def test_what_is_recorded_may_be_set_by_ranks_of_our_own() -> None:
    names = (
        "NCCL_ALGO",
        "MPICH_X",
        "OMPI_MCA_btl",
        "FI_PROVIDER",
        "UCX_TLS",
        "CUDA_VISIBLE_DEVICES",
        "COLLBENCH_TUNED",
    )
    check_variables([setting(*names)], "")


@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "PYTHONPATH", "NCCL", "nccl_algo", "COLLBENCH_CHILD", "NCCL_AUTH_TOKEN", "CUDA_X"]
)
def test_what_is_not_recorded_is_refused(name: str) -> None:
    for launcher in ("", "srun"):
        with pytest.raises(UsageError, match=rf"^variant a sets {name}, which no sidecar would record; .*\.$"):
            check_variables([setting("NCCL_ALGO", name)], launcher)


@pytest.mark.parametrize("name", ["MPICH_X", "OMPI_MCA_btl", "FI_PROVIDER", "UCX_TLS", "OMP_NUM_THREADS"])
def test_what_mpi_reads_is_set_on_the_launcher(name: str) -> None:
    check_variables([setting("NCCL_ALGO", "NVSHMEM_X", "CUDA_VISIBLE_DEVICES")], "srun")
    with pytest.raises(
        UsageError, match=rf"^variant a sets {name}, .* ranks of srun .* set it on the launcher instead"
    ):
        check_variables([setting("NCCL_ALGO", name)], "srun")


def test_a_library_that_is_loaded_may_have_read_them(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text(MAP.format("/usr/lib/libmpi.so.12") + MAP.format("/usr/lib/libcuda.so.580.1"))
    assert too_late(setting("NCCL_ALGO", "NVSHMEM_X"), maps) is None
    words = too_late(setting("NCCL_ALGO", "CUDA_VISIBLE_DEVICES"), maps) or ""
    assert words.startswith("libcuda.so was loaded with MPI and may have read CUDA_VISIBLE_DEVICES of variant a;")
    maps.write_text(MAP.format("/usr/lib/libnccl.so.2"))
    assert "NCCL_ALGO" in (too_late(setting("NCCL_ALGO"), maps) or "")
    assert too_late(setting("CUDA_VISIBLE_DEVICES"), maps) is None
