"""Scripts for containers, from the examples in jobs/README.md: words arrive at the runtime, and so do the job's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from readmes import TEXTS
from running import GUARD_SECONDS

from collbench.batch.job import Job
from collbench.jobs.profiles import Profile, load
from collbench.jobs.scripts import script

SECTION = TEXTS["jobs/README.md"].split("## In a container\n")[1].split("\n## ")[0]
NAMES = ("environment", "shifter", "podman-hpc", "apptainer")
EXAMPLES = dict(zip(NAMES, re.findall(r"^```toml\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE), strict=True))
(IN_PODMAN,) = re.findall(r"^```bash\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
SHELLCHECK = shutil.which("shellcheck", path=sysconfig.get_path("scripts")) or "shellcheck"
SRUN = '#!/bin/bash\nwhile [[ $1 == -* ]]; do shift; done\nexec "$@"\n'  # drops its options and runs the rest here
RUNTIME = '#!/bin/bash\nprintf "%s\\n" "${0##*/}" "$PWD" "$@"\n'  # shows what it was called with, and where


def a_profile(folder: Path, name: str) -> Profile:
    path = folder / f"{name}.toml"
    path.write_text(EXAMPLES[name].replace("/path/to/in-podman.sh", str(folder / "in-podman.sh")), encoding="utf-8")
    return load(path)


def a_script(folder: Path, name: str, nodes: int = 2) -> str:
    job = Job("collbench-r", nodes, 4, 4, 1, 1, False, ("--sizes", "4K:64M"), {"account": "a"})
    return script(job, a_profile(folder, name))


def called(folder: Path, name: str) -> list[str]:
    """The runtime that the pre-flight of the script calls, its folder, and its words."""
    text = a_script(folder, name)
    arrays = re.findall(r"^(?:launch|collbench)=\(.*?\)$", text, re.DOTALL | re.MULTILINE)
    assert '"${launch[@]}" "${collbench[@]}" doctor --json' in text
    programs = {"srun": SRUN, "in-podman.sh": IN_PODMAN, **dict.fromkeys((*NAMES[1:], "collbench"), RUNTIME)}
    for command, program in programs.items():
        (folder / command).write_text(program)
        (folder / command).chmod(0o755)
    (folder / "NCCL_X").touch()  # what a pattern would become in a shell
    ran = subprocess.run(
        ["bash", "-euc", "\n".join([*arrays, '"${launch[@]}" "${collbench[@]}" doctor --json "two words"'])],
        cwd=folder, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True, timeout=GUARD_SECONDS,
    )  # fmt: skip
    return ran.stdout.splitlines()


def test_the_container_engine_gets_its_file_from_srun_and_not_from_sbatch(tmp_path: Path) -> None:
    text = a_script(tmp_path, "environment")
    assert "--environment=collbench" in re.findall(r"^launch=.*$", text, re.MULTILINE)[0]
    assert not re.search(r"^#SBATCH.*environment", text, re.MULTILINE)
    assert called(tmp_path, "environment") == ["collbench", str(tmp_path), "doctor", "--json", "two words"]


def test_shifter_gets_its_image_from_sbatch(tmp_path: Path) -> None:
    assert "#SBATCH --image=docker:registry.example.org/us/collbench:1" in a_script(tmp_path, "shifter")
    words = ["--module=gpu,nccl-plugin", "collbench", "doctor", "--json", "two words"]
    assert called(tmp_path, "shifter") == ["shifter", str(tmp_path), *words]


def test_podman_gets_the_variables_by_name_and_the_folder(tmp_path: Path) -> None:
    name, _, *words = called(tmp_path, "podman-hpc")
    assert (name, words[:5]) == ("podman-hpc", ["run", "--rm", "--gpu", "--openmpi-pmix", "--nccl"])
    given = {words[place + 1] for place, word in enumerate(words) if word == "--env"}
    assert given >= {"NCCL_*", "FI_*", "NVSHMEM_*", "MPICH_*", "COLLBENCH_*"}
    place = words.index("--volume")
    assert words[place : place + 4] == ["--volume", f"{tmp_path}:{tmp_path}", "--workdir", str(tmp_path)]
    assert words[place + 4 :] == ["us/collbench:1", "collbench", "doctor", "--json", "two words"]


def test_podman_gets_every_setting_that_the_profile_makes(tmp_path: Path) -> None:
    passed = tuple(pattern.removesuffix("*") for pattern in re.findall(r"--env '?(\w+\*?)", IN_PODMAN))
    names = [setting.name for setting in a_profile(tmp_path, "podman-hpc").settings]
    assert [name for name in names if not name.startswith(passed)] == []


def test_apptainer_gets_the_image_with_what_is_bound(tmp_path: Path) -> None:
    assert "\nexport APPTAINERENV_LD_LIBRARY_PATH=/opt/host/lib64\n" in a_script(tmp_path, "apptainer")
    words = ["run", "--nv", "--bind=/opt/cray/libfabric/lib64:/opt/host/lib64", "/path/to/collbench.sif"]
    assert called(tmp_path, "apptainer") == ["apptainer", str(tmp_path), *words, "doctor", "--json", "two words"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_shellcheck_has_nothing_to_say(tmp_path: Path, name: str) -> None:
    paths = [tmp_path / f"{nodes}.sh" for nodes in (1, 2, 8)]
    for path in paths:
        path.write_text(a_script(tmp_path, name, int(path.stem)))
    (tmp_path / "in-podman.sh").write_text(IN_PODMAN)
    command = [SHELLCHECK, *map(str, paths), str(tmp_path / "in-podman.sh")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")
