"""Environments that newcomers have: variables of launchers and resource managers, modules in the folder, little
memory."""

from __future__ import annotations

import pytest
from running import Mpi

ONE = ("sweep", "--ranks", "2", "--backend", "mpi", "--sizes", "4K", "--samples", "3", "--max-seconds", "0.05")
SLURM = {"SLURM_JOB_ID": "7", "SLURM_JOBID": "7", "SLURM_NODELIST": "n[1-4]", "SLURM_JOB_NODELIST": "n[1-4]",
         "SLURM_NNODES": "4", "SLURM_TASKS_PER_NODE": "1(x4)", "SLURM_STEP_ID": "0"}  # fmt: skip
ENVIRONMENTS = {
    "a shell in a Slurm step of one task": {**SLURM, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "PMI_RANK": "0",
                                            "PMI_SIZE": "1"},
    "left by mpiexec of MPICH": {"PMI_RANK": "1", "PMI_SIZE": "4", "PMI_FD": "77"},
    "left by mpiexec of Open MPI": {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "2",
                                    "PMIX_NAMESPACE": "x", "PMIX_SERVER_TMPDIR": "/no/such",
                                    "PMIX_SERVER_URI4": "prterun-x@0.0;tcp4://127.0.0.1:1"},
    "allocations of PBS, LSF and SGE": {"PBS_JOBID": "1", "PBS_ENVIRONMENT": "PBS_BATCH", "PBS_NODEFILE": "/no/such",
                                        "LSB_JOBID": "4", "LSB_HOSTS": "n1 n2", "LSB_MCPU_HOSTS": "n1 1 n2 1",
                                        "HYDRA_HOST_FILE": "/no/such", "PE_HOSTFILE": "/no/such"},
}  # fmt: skip


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_ranks_of_our_own_run_here(mpi: Mpi, name: str) -> None:
    ran = mpi.run_command(mpi.command(*ONE, "-o", "r.csv"), False, **ENVIRONMENTS[name])
    assert ran.code == 0, ran.err
    assert [(row.status, row.ranks) for row in mpi.rows()] == [("ok", 2)]


def test_what_cannot_be_cured_is_said_by_whichever_rank_there_is(mpich: Mpi) -> None:
    variables = {**SLURM, "SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4"}
    ran = mpich.run_command(mpich.command(*ONE, "-o", "r.csv"), False, **variables)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert ran.err.endswith("If no launcher started this process, unset SLURM_PROCID.\n")


def test_modules_in_the_folder_are_not_taken_for_pythons(mpi: Mpi) -> None:
    for name in ("random", "json", "subprocess", "struct", "numpy"):
        (mpi.folder / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    python = [mpi.python, "-P", "-m", "collbench"]
    ran = mpi.run_command([*python, *ONE, "-o", "r.csv"], False)
    assert ran.code == 0, ran.err
    assert [row.status for row in mpi.rows()] == ["ok"]


def test_only_the_size_that_does_not_fit_is_skipped(mpich: Mpi) -> None:
    ran = mpich.run(*ONE, "--sizes", "4K,2000G", "-o", "r.csv")
    assert ran.code == 0, ran.err
    small, large = sorted(mpich.rows(), key=lambda row: row.bytes)
    assert (small.status, large.status) == ("ok", "skipped")
    assert large.reason.startswith("needs 8000 GiB per rank, but ")
