"""What is recorded of a machine, what never is, and what may be missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collbench.host import environment
from collbench.host import gpus as host_gpus
from collbench.host.environment import allowed_variables, loaded_libraries, machine, versions
from collbench.host.gpus import gpu_count, gpu_missing
from collbench.measure.sidecar import git_revision, launch_facts

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-1",
    "NCCL_SOMETHING_TOKEN": "planted-2",
    "COLLBENCH_PASSWORD": "planted-3",
    "UCX_AUTH_COOKIE": "planted-4",
    "SLURM_JWT": "planted-5",
    "FI_Api_Key": "planted-6",
    "HOME": "planted-7",
    "MY_NCCL_DEBUG": "planted-8",
    "nccl_debug": "planted-9",
    "OMPI_MCA_orte_hnp_uri": "planted-10",  # a launcher's own address, other in every run
    "COLLBENCH_CHILD": "planted-11",
}
SETTINGS = {
    "NCCL_ALGO": "Ring",
    "NVSHMEM_DISABLE_NCCL": "1",
    "MPICH_GPU_SUPPORT_ENABLED": "1",
    "OMPI_MCA_btl": "self,vader",
    "FI_PROVIDER": "cxi",
    "UCX_TLS": "rc",
    "CUDA_VISIBLE_DEVICES": "0,1",
    "SLURM_JOB_ID": "42",
}


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """As many GPUs under /dev as the parameter says."""

    def glob(folder: Path, pattern: str) -> Iterator[Path]:
        assert (str(folder), pattern) == ("/dev", "nvidia[0-9]*")
        return iter([Path(f"/dev/nvidia{index}") for index in range(request.param)])

    monkeypatch.setattr(Path, "glob", glob)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_settings_are_recorded_and_nothing_else() -> None:
    assert allowed_variables({**SECRETS, **SETTINGS}) == SETTINGS


def test_no_secret_gets_into_the_sidecar(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, **SETTINGS}.items():
        monkeypatch.setenv(name, value)
    content = launch_facts(["sweep", "--sizes", "4K"])
    assert "planted" not in json.dumps(content)
    assert content["variables"].items() >= SETTINGS.items()


def test_the_sidecar_is_json_and_holds_what_it_is_given() -> None:
    content = launch_facts(["sweep"], ranks=[{"rank": 0, "host": "here"}])
    there = json.loads(json.dumps(content))
    assert there == content
    assert there["argv"] == ["sweep"]
    assert there["ranks"] == [{"rank": 0, "host": "here"}]
    assert there["machine"]["cores"] == len(os.sched_getaffinity(0))


def test_versions_are_of_what_is_installed() -> None:
    found = versions()
    assert found["python"].startswith("3.")
    assert found["collbench"]
    assert set(found) <= {"python", *environment.PACKAGES}


def test_a_package_that_is_absent_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert set(versions()) == {"python", "numpy"}


def test_a_machine_without_proc_is_described_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: Path, encoding: str) -> str:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "read_text", unreadable)
    found = machine()
    assert found["cpu"]
    assert found["memory"] is None


def git(folder: Path, *arguments: str) -> str:
    """Output of git in a folder, for an author of its own."""
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *author, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_revision_is_that_of_the_tree_and_says_whether_it_was_changed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    for step in (["init"], ["add", "file"], ["commit", "-m", "first"], ["tag", "-a", "v9", "-m", "v9"]):
        git(tmp_path, *step)
    revision = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert git_revision(tmp_path) == revision
    (tmp_path / "file").write_text("two")
    assert git_revision(tmp_path) == f"{revision}+"


def test_outside_a_tree_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision(tmp_path) is None
    assert git_revision(tmp_path / "nowhere") is None


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(Path(__file__).parent) is None


def test_a_git_that_hangs_gives_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert git_revision(tmp_path) is None


def test_libraries_that_are_loaded_are_named_by_their_paths(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    loaded = ("/usr/lib/libm.so.6", f"{sys.prefix}/lib/nvidia/nccl/lib/libnccl.so.2", "/opt/a b/libnvshmem_host.so.3")
    line = "7f0000000000-7f0000001000 r-xp 00000000 00:1d 99                   "
    maps.write_text("\n".join([f"{line}{path}" for path in loaded] + ["7ffd-7ffe rw-p 00000000 00:00 0  [stack]", ""]))
    assert loaded_libraries(str(maps)) == {
        "nccl": "environment/lib/nvidia/nccl/lib/libnccl.so.2",
        "nvshmem": "/opt/a b/libnvshmem_host.so.3",
    }
    assert loaded_libraries(str(tmp_path / "none")) == {}
    assert loaded_libraries() == {}


@pytest.mark.parametrize("gpus", [8], indirect=True)
@pytest.mark.parametrize(
    ("visible", "count"),
    [(None, 8), ("", 0), ("-1", 0), ("3", 1), ("0,1", 2), ("0, 5 ,7", 3), ("GPU-8f2a,GPU-91bc", 2)],
)
@pytest.mark.usefixtures("gpus")
def test_gpus_that_this_process_may_use(visible: str | None, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_count() == count


# -1, or a word such as Slurm's NoDevFiles); here all but the negative ones are counted: `sweep` starts too many ranks.
@pytest.mark.parametrize("gpus", [4], indirect=True)
@pytest.mark.parametrize(
    ("visible", "count"), [("NoDevFiles", 0), ("0,1,2,3,4,5,6,7", 4), ("0,-1,1", 1), ("0, -1", 1), ("4", 0)]
)
@pytest.mark.usefixtures("gpus")
def test_invalid_entries_hide_what_follows(visible: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_count() == count


@pytest.mark.parametrize("gpus", [0], indirect=True)
@pytest.mark.usefixtures("gpus")
def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert gpu_count() == 0
    assert "no NVIDIA GPU here" in str(gpu_missing())


@pytest.mark.parametrize("gpus", [1], indirect=True)
@pytest.mark.usefixtures("gpus")
def test_what_gpu_backends_lack_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_gpus, "GPU_PACKAGES", {"json": "never-lacking", "no_such.module": "some-package"})
    missing = gpu_missing(nowhere="other-package")
    assert missing == "some-package, other-package not installed; pip install 'collbench[gpu]'"
    monkeypatch.setattr(host_gpus, "GPU_PACKAGES", {"json": "never-lacking"})
    assert gpu_missing() is None
