"""Which launcher started this process: those that answer, and variables that one left behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from collbench.errors import UsageError
from collbench.ranks.launcher import Launcher, check_world, detect, speaks, started_by
from collbench.ranks.start import launch_of

STEP = {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_ID": "0"}
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (STEP, ("srun", 2, 4)),
        ({**STEP, "PMI_RANK": "2", "PMI_SIZE": "4"}, ("srun", 2, 4)),
        (OPEN_MPI, ("mpiexec of Open MPI", 1, 4)),
        ({"PMI_RANK": "3", "PMI_SIZE": "8", "PMI_CONTROL_PORT": "n1:7"}, ("mpiexec", 3, 8)),
        ({"PALS_RANKID": "3", "PALS_SIZE": "8"}, ("mpiexec of Cray PALS", 3, 8)),
        ({"FLUX_TASK_RANK": "0", "FLUX_JOB_SIZE": "2"}, ("flux run", 0, 2)),
        ({"PMIX_RANK": "5"}, ("an unknown launcher", 5, None)),
    ],
)
def test_a_launcher_is_found_by_its_variables(variables: dict[str, str], expected: tuple[str, int, int | None]) -> None:
    found = detect(variables)
    assert found is not None
    assert (found.name, found.rank, found.size) == expected


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {**STEP, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},  # salloc, srun --pty
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "8"},  # a batch script
        {"PMI_RANK": "0", "PMI_SIZE": "1"},
        {"PMI_RANK": "1", "PMI_SIZE": "4"},  # exported from a launch that has ended
        {"PMI_RANK": "1", "PMI_SIZE": "4", "PMI_FD": "977"},
        {"PMI_RANK": "1", "PMI_SIZE": "4", "PMI_FD": "nine"},
        {**OPEN_MPI, "PMIX_SERVER_TMPDIR": "/no/such", "PMIX_SERVER_URI4": "x@0.0;tcp4://127.0.0.1:1"},
        {"PMIX_RANK": "1", "PMIX_SERVER_TMPDIR": "/no/such"},
    ],
)
def test_one_task_and_variables_that_nobody_answers_for_are_no_launcher(variables: dict[str, str]) -> None:
    assert detect(variables) is None


def test_a_socket_or_a_server_answers(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    with here, there:
        assert detect({"PMI_RANK": "1", "PMI_SIZE": "4", "PMI_FD": str(here.fileno())})
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"prterun-x@0.0;tcp4://127.0.0.1:{server.getsockname()[1]}"
        assert detect({**OPEN_MPI, "PMIX_SERVER_TMPDIR": "/no/such", "PMIX_SERVER_URI4": uri})
    assert detect({**OPEN_MPI, "PMIX_SERVER_TMPDIR": str(tmp_path)})


def test_a_single_rank_that_collbench_started_is_a_rank() -> None:
    one = {"PALS_RANKID": "0", "PALS_SIZE": "1"}
    assert launch_of(one) is None
    found = launch_of({**one, "COLLBENCH_CHILD": "{}"})
    assert found == started_by(one)
    assert found is not None


def test_what_concerns_all_is_printed_where_no_daemon_started_this_process() -> None:
    assert speaks(None)
    assert speaks(Launcher("mpiexec", 0, 4))
    assert speaks(Launcher("mpiexec", 3, 4)), "these tests are no child of a launcher: it may be the only one"


def test_worlds_of_one_rank_name_the_variable_to_unset() -> None:
    with pytest.raises(UsageError, match=r"each is a separate MPI world; .* unset SLURM_PROCID\."):
        check_world(Launcher("srun", 2, 4, "SLURM_PROCID"), 1)
    check_world(Launcher("srun", 2, 4, "SLURM_PROCID"), 4)
