"""GPUs that this process may use, and what their backends lack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collbench.host import gpus as host_gpus
from collbench.host.gpus import gpu_count, gpu_missing


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """As many GPUs under /dev as the parameter says."""

    def glob(folder: Path, pattern: str) -> Iterator[Path]:
        assert (str(folder), pattern) == ("/dev", "nvidia[0-9]*")
        return iter([Path(f"/dev/nvidia{index}") for index in range(request.param)])

    monkeypatch.setattr(Path, "glob", glob)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


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
    assert "needs an NVIDIA GPU" in str(gpu_missing())


@pytest.mark.parametrize("gpus", [1], indirect=True)
@pytest.mark.usefixtures("gpus")
def test_what_gpu_backends_lack_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_gpus, "GPU_PACKAGES", {"json": "never-lacking", "no_such.module": "some-package"})
    missing = gpu_missing(nowhere="other-package")
    assert missing == "some-package, other-package not installed; pip install 'collbench[gpu]'"
    monkeypatch.setattr(host_gpus, "GPU_PACKAGES", {"json": "never-lacking"})
    assert gpu_missing() is None
