"""The command line: bad input gets one sentence and exit code 2, from one rank only."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from running import Here, Mpi, clean_environment

from collbench.results.records import COLUMNS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sizes", "4X"), "is not a valid size"),
        (("--sizes", "64K:4K"), "reversed"),
        (("--sizes", "0"), "0 bytes"),
        (("--sizes", "0.3K"), "whole number of bytes"),
        (("-b", "8K", "-e", "4K"), "swap them"),
        (("-b", "8K", "--sizes", "4K"), "both set the sizes"),
        (("--backend", "mpi-nvra"), "did you mean 'mpi-nvrar'?"),
        (("--dtype", "bfloat"), "did you mean 'bfloat16'?"),
        (("--collective", "allreduce"), "did you mean 'all_reduce'?"),
        (("--gpus", "8"), "needs an NVIDIA GPU"),
        (("--ranks", "four"), "not a count"),
        (("--layout", "3x2", "--ranks", "4"), "layout 3x2 needs 6 ranks, not"),
        (("--layout", "axb"), "is not a valid layout"),
        (("--nodes", "2"), "2 nodes requested"),
        (("--resume",), "name it with -o"),
    ],
)
def test_bad_input_gets_one_sentence(here: Here, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    ran = here("sweep", *arguments, CUDA_VISIBLE_DEVICES="")
    assert ran.code == 2
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ranks", "4"), "4 ranks requested, but this launch has 2"),
        (("--layout", "3x2"), "layout 3x2 needs 6 ranks, not"),
        (("--sizes", "4Q"), "is not a valid size"),
    ],
)
def test_only_one_rank_speaks(mpich: Mpi, arguments: tuple[str, ...], words: str) -> None:
    ran = mpich.run("sweep", *arguments, ranks=2)
    assert ran.code == 2
    assert ran.err.count(words) == 1


def test_a_mistake_is_reported_though_the_first_rank_is_the_last_to_find_it(mpi: Mpi) -> None:
    first = "'0' in (os.environ.get('OMPI_COMM_WORLD_RANK'), os.environ.get('PMI_RANK'))"
    (mpi.folder / "sitecustomize.py").write_text(f"import os, time\nif {first}: time.sleep(1)\n")
    ran = mpi.run("sweep", "--sizes", "foo", ranks=2, PYTHONPATH=str(mpi.folder))
    assert (ran.code, ran.err.count("'foo' is not a valid size")) == (2, 1)


def test_results_are_never_overwritten(mpich: Mpi) -> None:
    path = mpich.folder / "r.csv"
    path.write_text("precious")
    for ranks in (None, 2):
        ran = mpich.run("sweep", "--sizes", "4K", "-o", "r.csv", ranks=ranks)
        assert ran.code == 2
        assert "--force" in ran.err
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "not a results file"),
        (",".join([*COLUMNS, "novel"]) + "\n", "newer collbench"),
    ],
)
@pytest.mark.parametrize("command", ["plot", "compare"])
def test_bad_results_files_get_one_sentence(here: Here, tmp_path: Path, command: str, text: str, words: str) -> None:
    (tmp_path / "r.csv").write_text(text)
    ran = here(command, "r.csv")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert words in ran.err


@pytest.mark.parametrize(
    ("variables", "cure"),
    [
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"}, "the mpiexec of the MPI"),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_ID": "0"}, "srun --mpi=pmi2"),
    ],
)
def test_singletons_are_refused_with_the_cure(mpich: Mpi, variables: dict[str, str], cure: str) -> None:
    ran = mpich.run("sweep", "--sizes", "4K", ranks=None, **variables)
    assert ran.code == 2
    assert cure in ran.err


def test_dry_run_plans_and_runs_nothing(here: Here, tmp_path: Path) -> None:
    words = ("sweep", "--dry-run", "--sizes", "4,4K", "--backend", "mpi,nccl")
    ran = here(*words, "--json", CUDA_VISIBLE_DEVICES="")
    facts = json.loads(ran.out)
    assert [(fact["backend"], fact["bytes"], fact["status"]) for fact in facts] == [
        ("mpi", 4, "planned"), ("mpi", 4096, "planned"), ("nccl", 4, "skipped"), ("nccl", 4096, "skipped"),
    ]  # fmt: skip
    assert not list(tmp_path.iterdir())
    assert "2 cases to run, 2 skipped" in here(*words).out


@pytest.mark.parametrize("option", ["--ranks=2", "--gpus=2", "--nodes=2", "--layout=2x2"])
def test_pairs_of_hosts_are_all_worlds_or_none(option: str, here: Here) -> None:
    ran = here("sweep", "--pairs", option)
    assert ran.code == 2
    assert f"--pairs takes all ranks of two hosts at a time; omit {option.split('=', maxsplit=1)[0]}." in ran.err


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_pairs_of_a_single_host_are_refused_in_a_sentence(words: tuple[str, ...], here: Here, tmp_path: Path) -> None:
    ran = here("sweep", "--pairs", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "--pairs needs ranks on at least two hosts" in ran.err
    assert not list(tmp_path.iterdir())


def test_list_says_how_to_get_what_is_missing(here: Here) -> None:
    found = {each["name"]: each for each in json.loads(here("list", "--json", CUDA_VISIBLE_DEVICES="").out)["backends"]}
    assert found["mpi"]["missing"] is None
    assert "GPU" in found["nvshmem"]["missing"]


def test_a_backend_that_does_not_load_does_not_hide_the_others(mpich: Mpi) -> None:
    folder = mpich.folder / "ghost-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: ghost\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[collbench.backends]\nghost = nowhere\nhollow = json\n")
    ran = mpich.run("list", PYTHONPATH=str(mpich.folder))
    assert ran.code == 0, ran.err
    assert "ghost: cannot be loaded (ModuleNotFoundError" in ran.out
    assert "hollow: does not define DEVICE" in ran.out


def test_doctor_tells_library_and_launcher(mpi: Mpi) -> None:
    alone, launched = mpi.run("doctor"), mpi.run("doctor", ranks=2)
    assert alone.code == launched.code == 0, alone.out
    assert {"mpich": "MPICH", "openmpi": "Open MPI"}[mpi.name] in alone.out
    assert "the MPI world has 2 ranks" in launched.out
    assert launched.out.count("launcher:") == 1


def test_doctor_says_how_to_get_a_compiler_and_calls_nothing_ill_that_needs_none(mpich: Mpi) -> None:
    ran = mpich.run("doctor", "--json", CXX="c++-of-nobody", CUDA_VISIBLE_DEVICES="")
    assert ran.code == 0, "MPI can be timed without"
    found = {each["what"]: each for each in json.loads(ran.out)}
    for what in ("C++ compiler", "backend oneshot"):
        assert found[what]["found"].startswith("CXX names 'c++-of-nobody', which is not a command; ")
        assert (found[what]["grade"], found[what]["matters"]) == ("fine", False)


def test_completion_knows_backends(mpich: Mpi) -> None:
    ran = subprocess.run(
        [mpich.python, "-c", "from collbench.cli.main import cli; cli(prog_name='collbench')"],
        env=clean_environment(
            _COLLBENCH_COMPLETE="bash_complete", COMP_WORDS="collbench sweep --backend mpi,mpi-", COMP_CWORD="3"
        ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "mpi,mpi-nvrar" in ran.stdout
