"""Job scripts: values that try to get out of them, what shellcheck says, and what their shell does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from running import GUARD_SECONDS

from collbench.batch.job import Job
from collbench.batch.slurm import sbatch_quote
from collbench.errors import UsageError
from collbench.jobs import profiles
from collbench.jobs.profiles import Profile, Setting
from collbench.jobs.scripts import script

JOB = Job("collbench-r", 2, 4, 4, 1, 1, False, ("--sizes", "4K:64M", "--backend", "mpi,nvrar"))
PLAIN = Profile("plain", "a cluster", ("srun",), 4)
NASTY = (
    "$(touch x)",
    "`touch x`",
    "a b",
    "'; touch x; '",
    '"; touch x; "',
    "a#b",
    "\\",
    'a\\"b',
    "*",
    "-n 3",
    "é ",
    "%j",
    "@part@",
)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=12)


def read_by_sbatch(line: str) -> str:
    """The value after the first = as Slurm's _get_argument reads it: character by character."""
    value, quote, escaped = "", "", False
    for character in line.split("=", 1)[1]:
        if escaped:
            value, escaped = value + character, False
        elif character == "\\":
            escaped = True
        elif quote:
            value, quote = (value, "") if character == quote else (value + character, quote)
        elif character in "\"'":
            quote = character
        elif character == "#" or character.isspace():
            break
        else:
            value += character
    assert not quote
    assert not escaped
    return value


@given(PRINTABLE)
@example("")
@example("a\\b")
@example('a\\"b # c')
def test_sbatch_reads_a_value_back(value: str) -> None:
    assert read_by_sbatch(f"#SBATCH --account={sbatch_quote(value)}") == value


@pytest.mark.parametrize("value", ["a\nb", "a\x00b", "\x1b[2J", "a\u2028b", "tab\there"])
def test_a_value_that_does_not_print_is_refused(value: str) -> None:
    setting = Setting("NAME", value, "why", "source", True)
    for job, profile in (
        (replace(JOB, asked={"account": value}), PLAIN),
        (replace(JOB, sweep=("--seed", value)), PLAIN),
        (JOB, replace(PLAIN, settings=(setting,))),
        (JOB, replace(PLAIN, launch=("srun", value))),
    ):
        with pytest.raises(UsageError, match="non-printable"):
            script(job, profile)


def run_script(folder: Path, text: str, srun: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a job script as Slurm would, with an ``srun`` of our own."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "srun").write_text(f"#!/bin/bash\n{srun}\n")
    (folder / "bin" / "srun").chmod(0o755)
    kept = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "64", **variables}
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env=kept, capture_output=True, text=True, timeout=GUARD_SECONDS, check=False
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(PRINTABLE, min_size=6, max_size=6))
@example(list(NASTY[:6]))
@example(list(NASTY[6:12]))
@example([NASTY[-1]] * 6)
def test_no_value_gets_out_of_its_place(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    folder = tmp_path_factory.mktemp("job")
    account, name, word, launch, about, variable = values
    profile = replace(
        PLAIN, about=about, launch=("srun", launch), collbench=("me",),
        settings=(Setting("NAME", variable, f"{about}\ntouch x", f"{about}\rtouch x", False),),
    )  # fmt: skip
    job = replace(JOB, name=name, sweep=("--seed", word), asked={"account": account})
    ran = run_script(folder, script(job, profile), 'rm -f *.doing; printf "%s\\0" "$NAME" "$@" >> reported')
    assert ran.returncode == 0, ran.stderr
    reported = (folder / "reported").read_text().split("\0")[:-1]
    assert reported == [
        variable, launch, "me", "doctor", "--json",
        variable, launch, "me", "sweep", "--seed", word, "--launches", "1", "--resume", "-o", "nodes2.0.csv",
    ]  # fmt: skip
    made = {path.name for path in folder.iterdir()}
    assert made == {"bin", "reported", "nodes2.0.ended", "nodes2.0.job", "nodes2.0.doctor.json"}


@pytest.mark.parametrize("name", profiles.names())
def test_shellcheck_has_nothing_to_say(tmp_path: Path, name: str) -> None:
    shellcheck = shutil.which("shellcheck", path=sysconfig.get_path("scripts"))
    assert shellcheck, "the group dev brings shellcheck"
    asked = {"account": "a $(touch x)", "partition": "p"}
    paths = [tmp_path / f"{nodes}.sh" for nodes in (1, 2, 8)]
    for path in paths:
        nodes = int(path.stem)
        path.write_text(script(replace(JOB, nodes=nodes, allocations=nodes, asked=asked), profiles.find(name)))
    said = subprocess.run([shellcheck, *map(str, paths)], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_a_launch_that_did_not_come_to_its_end_is_started_again(tmp_path: Path) -> None:
    srun = """
        [[ $* == *doctor* ]] && exit 1
        echo >> starts
        case $(wc -l < starts) in
          1) echo a case > nodes2.0.doing; exit 134;;
          2) exit 15;;
          3) rm nodes2.0.doing; exit 3;;
          *) rm nodes2.0.doing; exit 0;;
        esac"""
    ran = run_script(tmp_path, script(replace(JOB, launches=2), PLAIN), srun)
    assert (tmp_path / "starts").read_text() == "\n" * 4
    assert ran.returncode == 3, "what counts is how complete launches ended"
    assert (tmp_path / "nodes2.0.ended").read_text() == "3\n"
    assert "a launch did not finish (exit code 134); starting it again" in ran.stderr
    assert "doctor reports problems" in ran.stderr


def test_a_launch_starts_ranks_for_plain_backends_and_for_each_variant(tmp_path: Path) -> None:
    text = script(replace(JOB, launches=2, legs=3), PLAIN)
    ran = run_script(tmp_path, text, "[[ $* == *doctor* ]] || echo $* >> starts; rm -f *.doing")
    assert (ran.returncode, ran.stderr) == (0, "")
    starts = (tmp_path / "starts").read_text().splitlines()
    assert len(starts) == 6
    assert all("--launches 2 --resume" in start for start in starts)


def test_a_check_ends_once_it_is_decided_and_exits_as_it_says(tmp_path: Path) -> None:
    srun = """
        [[ $* == *doctor* ]] && exit 0
        echo $* >> starts; rm nodes2.0.doing
        (($(wc -l < starts) > 3)) && exit 4
        echo row >> nodes2.0.csv; exit 6"""
    ran = run_script(tmp_path, script(replace(JOB, check=20), PLAIN), srun)
    assert (ran.returncode, ran.stderr) == (4, ""), "without noise about a file that is not there yet"
    starts = (tmp_path / "starts").read_text().splitlines()
    assert len(starts) == 4, "the last one adds no row"
    assert all(" check " in start and "--launches" not in start for start in starts)


def test_a_case_that_always_ends_the_ranks_does_not_hold_the_job_for_ever(tmp_path: Path) -> None:
    ran = run_script(tmp_path, script(JOB, PLAIN), "echo >> starts; exit 139")
    assert ran.returncode == 139
    assert (tmp_path / "starts").read_text().count("\n") == 1 + 1 + 9  # doctor, the launch, and nine times again
    assert not (tmp_path / "nodes2.0.ended").exists()


def test_a_sweep_that_is_refused_ends_the_job_unfinished(tmp_path: Path) -> None:
    ran = run_script(tmp_path, script(replace(JOB, launches=3), PLAIN), "echo >> starts; exit 2")
    assert ran.returncode == 2
    assert (tmp_path / "starts").read_text().count("\n") == 2
    assert not (tmp_path / "nodes2.0.ended").exists()


def test_a_task_of_an_array_has_files_of_its_own(tmp_path: Path) -> None:
    text = script(replace(JOB, allocations=3), PLAIN)
    assert "#SBATCH --array=0-2%1" in text.splitlines()
    assert "#SBATCH --array=0-2" in script(replace(JOB, allocations=3, at_once=True), PLAIN).splitlines()
    run_script(tmp_path, text, "rm -f *.doing", SLURM_ARRAY_JOB_ID="40", SLURM_ARRAY_TASK_ID="2")
    assert (tmp_path / "nodes2.2.job").read_text() == "40_2\n"


def test_a_job_that_is_resumed_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "nodes2.0.ended").write_text("0\n")
    run_script(tmp_path, script(JOB, PLAIN), "exit 2")
    assert not (tmp_path / "nodes2.0.ended").exists()


@pytest.mark.parametrize(("looks", "code"), [(2, 0), (99, 1)])
def test_two_jobs_do_not_write_one_part(tmp_path: Path, looks: int, code: int) -> None:
    (tmp_path / "nodes2.0.job").write_text("6\n")
    (tmp_path / "bin").mkdir()
    for name, text in (("squeue", f"echo >> looks; [ $(wc -l < looks) -le {looks} ] && echo 6"), ("sleep", "exit 0")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    ran = run_script(tmp_path, script(JOB, PLAIN), "rm -f *.doing; echo >> starts")
    assert ran.returncode == code, ran.stderr
    assert (tmp_path / "starts").exists() == (code == 0)
    assert ("job 6 is still running nodes2.0" in ran.stderr) == (code == 1)


@pytest.mark.parametrize(("ranks", "each"), [(4, "16"), (3, "21"), (64, "1"), (100, "1")])
def test_ranks_share_all_cores_of_their_node(tmp_path: Path, ranks: int, each: str) -> None:
    text = script(replace(JOB, ranks_per_node=ranks), PLAIN)
    run_script(tmp_path, text, 'rm -f *.doing; echo "$SRUN_CPUS_PER_TASK" > reported')  # of 64 cores
    assert (tmp_path / "reported").read_text().strip() == each


def test_modules_may_use_variables_that_are_not_set(tmp_path: Path) -> None:
    profile = replace(PLAIN, before=("echo [$never_set]", "export FROM_MODULE=1"))
    assert run_script(tmp_path, script(JOB, profile), 'rm -f *.doing; echo "$FROM_MODULE" >> reported').stdout == "[]\n"
    assert (tmp_path / "reported").read_text() == "1\n1\n"


def test_what_depends_on_the_number_of_nodes() -> None:
    one, several = (
        Setting(name, "1", "w", "s", True, place) for name, place in (("ONE", "one node"), ("SEVERAL", "several nodes"))
    )
    profile = replace(PLAIN, settings=(one, several, Setting("GONE", None, "w", "s", False)))
    assert "export ONE=1" in script(replace(JOB, nodes=1), profile)
    assert "SEVERAL" not in script(replace(JOB, nodes=1), profile)
    text = script(JOB, profile)
    assert "export ONE" not in text
    assert "# w (s; confirmed)\nexport SEVERAL=1\n# w (s; not confirmed)\nunset GONE" in text


def noted(folder: Path, settings: tuple[Setting, ...], before: str, nodes: int = 2) -> tuple[str, ...]:
    """What a job's script leaves in NAME and in its notes, where the environment has run ``before``."""
    text = script(replace(JOB, nodes=nodes), replace(PLAIN, settings=settings, before=(before,)))
    shown = 'printf "%s\\0" "${NAME-none}" "$COLLBENCH_CONFLICTS" "$COLLBENCH_GIVEN" > reported; rm -f *.doing'
    ran = run_script(folder, text, shown)
    assert ran.returncode == 0, ran.stderr
    return tuple((folder / "reported").read_text().split("\0")[:-1])


@pytest.mark.parametrize(
    ("value", "keep", "before", "left", "conflict"),
    [
        ("a b", False, "true", "a b", ""),
        ("a b", True, "true", "a b", ""),
        ("a b", False, "export NAME='a b'", "a b", ""),
        ("a b", True, "export NAME='a b'", "a b", ""),
        ("a b", False, "export NAME=c", "a b", "NAME\tc\ta b\toverruled"),
        ("a b", True, "export NAME=$'c\\td\\n'", "c\td\n", "NAME\tc d \ta b\tkept"),
        ("a b", True, "NAME=c", "c", "NAME\tc\ta b\tkept"),  # not exported by the module
        ("'$(touch x)", True, "true", "'$(touch x)", ""),
        (None, False, "export NAME=c", "none", "NAME\tc\t\toverruled"),
        (None, False, "true", "none", ""),
    ],
)
def test_a_value_that_the_environment_has_wins_or_loses_openly(
    tmp_path: Path, value: str | None, keep: bool, before: str, left: str, conflict: str
) -> None:
    setting = Setting("NAME", value, "why", "source", True, keep=keep)
    assert noted(tmp_path, (setting,), before)[:2] == (left, conflict)


def test_the_script_notes_what_ranks_are_to_see(tmp_path: Path) -> None:
    setting = Setting("NCCL_NET", "AWS Libfabric", "why", "source", True)
    *_, given = noted(tmp_path, (setting,), "export FI_PROVIDER=cxi MPICH_X=$'a\\nb' OTHER=1 NCCL_UNSEEN=")
    assert set(given.splitlines()) == {
        "NCCL_NET\tAWS Libfabric", "FI_PROVIDER\tcxi", "MPICH_X\ta b", "NCCL_UNSEEN\t",
    }  # fmt: skip


@pytest.mark.parametrize(("nodes", "left"), [(1, "none"), (2, "x")])
def test_a_variable_can_be_unset_where_it_does_not_apply(tmp_path: Path, nodes: int, left: str) -> None:
    setting = Setting("NAME", "x", "why", "source", True, "several nodes", unset_elsewhere=True)
    assert noted(tmp_path, (setting,), "export NAME=x", nodes)[0] == left


def test_directives() -> None:
    profile = replace(PLAIN, slurm={"time": "00:30:00", "exclusive": "", "gpus-per-node": "{gpus}"})
    lines = [
        line for line in script(replace(JOB, asked={"time": "5"}), profile).splitlines() if line.startswith("#SBATCH")
    ]
    assert lines == [
        "#SBATCH --job-name=collbench-r", "#SBATCH --nodes=2", "#SBATCH --ntasks-per-node=4", "#SBATCH --time=5",
        "#SBATCH --exclusive", "#SBATCH --gpus-per-node=4", "#SBATCH --dependency=singleton",
        "#SBATCH --output=nodes2.%j.log",
    ]  # fmt: skip
    without = script(replace(JOB, gpus_per_node=0, at_once=True), profile)
    assert "gpus-per-node" not in without
    assert "singleton" not in without


def test_what_only_the_user_knows_must_be_given() -> None:
    with pytest.raises(UsageError, match="plain needs --account"):
        script(JOB, replace(PLAIN, needs=("account",)))


def test_jobs_run_the_collbench_that_submitted_them() -> None:
    assert f"collbench=({sys.executable} -P -m collbench)" in script(JOB, PLAIN)


def test_files_in_the_folder_of_a_job_are_no_modules_of_it(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise RuntimeError('not mine')\n")
    job = replace(JOB, sweep=("--help",))
    ran = run_script(tmp_path, script(job, PLAIN), 'rm -f *.doing; [[ $* == *doctor* ]] || exec "$@"')
    assert ran.returncode == 0, ran.stderr
    assert "Usage: collbench sweep" in ran.stdout
