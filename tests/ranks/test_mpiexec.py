"""How ranks of our own are started: on this machine, with nothing of a launcher, and no modules from the folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from collbench.ranks import mpiexec
from collbench.ranks.mpiexec import python_command, without_launcher

LEFT = (
    "PMI_RANK", "PMI_FD", "PMI2_SPAWNED", "PMIX_RANK", "PMIX_SERVER_URI4", "OMPI_COMM_WORLD_SIZE", "OMPI_MCA_orte_hnp",
    "PRTE_LAUNCHED", "PALS_RANKID", "FLUX_JOB_SIZE", "HYDRA_HOST_FILE", "I_MPI_HYDRA_HOST_FILE", "SLURM_JOB_ID",
    "SLURM_NODELIST", "PBS_NODEFILE", "LSB_MCPU_HOSTS", "PE_HOSTFILE", "PRTE_MCA_prte_default_hostfile",
)  # fmt: skip
KEPT = ("PATH", "NCCL_DEBUG", "OMPI_MCA_btl", "PMIX_MCA_gds", "MPIR_CVAR_X", "CUDA_VISIBLE_DEVICES", "FI_PROVIDER")


def test_ranks_see_no_launcher_and_no_resource_manager_but_all_settings() -> None:
    assert set(without_launcher(dict.fromkeys((*LEFT, *KEPT), "x"))) == set(KEPT)


@pytest.mark.parametrize("vendor", ["MPICH", "Open MPI", "Intel MPI"])
def test_ranks_stay_on_this_machine(vendor: str) -> None:
    options = mpiexec._stay_here(vendor, 4)
    assert any(option.startswith("localhost") for option in options)


def test_the_working_directory_is_no_place_for_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/somewhere", *sys.path])
    assert python_command() == [sys.executable, "-P", "-m", "collbench"]


def test_but_for_a_checkout_in_which_collbench_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = Path(mpiexec.__file__).parents[2]
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(sys, "path", [str(checkout), "/usr/lib/python3"])
    assert python_command() == [sys.executable, "-m", "collbench"]
    monkeypatch.setattr(sys, "path", [str(checkout), str(checkout)])
    assert "-P" in python_command(), "it is installed, too"
