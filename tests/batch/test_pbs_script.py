"""Job scripts for PBS: what a profile says, and what their shell does where PBS runs a copy of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
from pbs_stage import POLARIS
from running import GUARD_SECONDS

from collbench.batch import pbs
from collbench.batch.job import Job
from collbench.errors import UsageError
from collbench.jobs.profiles import Profile, folder, load
from collbench.jobs.scripts import script

JOB = Job("collbench-r", 2, 4, 4, 1, 1, False, ("--sizes", "4K"), {"account": "a 'b' $(touch x)"})
PASSES = 'rm -f *.doing; echo "$PWD $*" >> reported'


def profile(folder: Path, text: str = POLARIS) -> Profile:
    """The profile with that text."""
    path = folder / "polaris.toml"
    path.write_text(text)
    return load(path)


def command(folder: Path, name: str, text: str) -> None:
    """A command of our own, first on the path of the job."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / "bin" / name).chmod(0o755)


def run_copy(folder: Path, text: str, mpiexec: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a job script as PBS would: a copy of it, in another folder, with the folder of qsub in a variable only."""
    command(folder, "mpiexec", mpiexec)
    (folder / "spool").mkdir()
    (folder / "my jobs").mkdir(exist_ok=True)
    copy = folder / "spool" / "7.pbs1.SC"
    copy.write_text(text)
    copy.chmod(0o700)
    kept = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "PBS_JOBID": "7.pbs1", "PBS_O_WORKDIR": f"{folder}/my jobs"}
    return subprocess.run(
        [copy], cwd=folder / "spool", env={**kept, **variables}, capture_output=True, text=True,
        timeout=GUARD_SECONDS, check=False,
    )  # fmt: skip


def test_a_copy_works_in_the_folder_of_its_submission(tmp_path: Path) -> None:
    job = replace(JOB, allocations=3)
    ran = run_copy(tmp_path, script(job, profile(tmp_path)), f"{PASSES}; echo out; echo err >&2", **{pbs.INDEX: "2"})
    folder = tmp_path / "my jobs"
    log = (folder / "nodes2.2.7.log").read_text()
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", ""), log
    assert {"out", "err"} <= set(log.splitlines())
    assert (folder / "nodes2.2.job").read_text() == "7.pbs1\n"
    launch = f"{folder} -n 8 --ppn 4 --depth=8 --cpu-bind depth "
    reported = (folder / "reported").read_text().splitlines()
    assert len(reported) == 2
    assert all(line.startswith(launch) for line in reported)
    assert reported[1].endswith(" -o nodes2.2.csv")
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["7.pbs1.SC"]


@pytest.mark.parametrize(("letter", "code"), [("R", 1), ("Q", 0), ("F", 0)])
def test_two_jobs_do_not_write_one_part(tmp_path: Path, letter: str, code: int) -> None:
    (tmp_path / "my jobs").mkdir()
    (tmp_path / "my jobs" / "nodes2.0.job").write_text("6.pbs1\n")
    lines = "Job id  Name  User  Time Use S Queue\n------- ----- ----- -------- - -----\n"
    command(tmp_path, "qstat", f'[ "$*" = 6.pbs1 ] && echo "{lines}6.pbs1  r  me  00:00:01 {letter} workq"')
    command(tmp_path, "sleep", "exit 0")
    ran = run_copy(tmp_path, script(JOB, profile(tmp_path)), PASSES)
    assert ran.returncode == code
    assert (tmp_path / "my jobs" / "reported").exists() == (code == 0)


@pytest.mark.parametrize("nodes", [1, 2, 8])
def test_shellcheck_has_nothing_to_say(tmp_path: Path, nodes: int) -> None:
    shellcheck = shutil.which("shellcheck", path=sysconfig.get_path("scripts"))
    assert shellcheck, "the group dev brings shellcheck"
    path = tmp_path / "job.sh"
    path.write_text(script(replace(JOB, nodes=nodes, allocations=nodes), profile(tmp_path)))
    said = subprocess.run([shellcheck, str(path)], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_a_script_for_pbs_has_nothing_of_slurm(tmp_path: Path) -> None:
    text = script(JOB, profile(tmp_path))
    assert "#PBS -l select=2:system=polaris\n" in text
    assert "run qsub in the folder of this file" in text
    assert not [word for word in ("SBATCH", "SLURM", "SRUN", "squeue", "sbatch") if word in text]


def test_a_profile_names_its_system(tmp_path: Path) -> None:
    found = profile(tmp_path, f'like = "slingshot"\n{POLARIS}\nplace = false\n')
    assert (found.system, found.slurm, found.site) == ("pbs", {}, found.pbs)
    assert set(found.site) == {"select", "walltime", "filesystems", "q"}, "nothing of the [slurm] that it is like"
    assert "FI_PROVIDER" in {setting.name for setting in found.settings}
    assert profile(tmp_path, 'launch = ["mpiexec"]\n[pbs]\n').system == "pbs"
    assert profile(tmp_path, 'launch = ["srun"]\n').system == "slurm"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[pbs]\n'l select' = 1", "'l select' is not an option of qsub, which is one letter, or a resource"),
        ("[pbs]\nv = 'A=1'", "v is set by collbench for each job; give variables as"),
        ("[pbs]\nJ = '0-3'", "J is set by collbench"),
        ("[pbs]\n[slurm]\n", r"has both \[slurm\] and \[pbs\]"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        profile(tmp_path, f'launch = ["mpiexec"]\n{text}\n')


def test_the_example_of_the_readme_is_a_profile(tmp_path: Path) -> None:
    section = (folder() / "README.md").read_text(encoding="utf-8").split("\n## PBS\n")[1]
    example = profile(tmp_path, section.split("```toml\n")[1].split("```")[0])
    assert "#PBS -l select=2:system=polaris" in script(JOB, example)
    assert "launch=(mpiexec -n 8 --ppn 4 --depth=8 --cpu-bind depth)" in script(JOB, example)
