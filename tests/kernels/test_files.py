"""Kernel files are found in our folder and in those of COLLBENCH_KERNELS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kernel_files import source, write

from collbench.errors import UsageError
from collbench.kernels.files import Broken, find_kernels, own_folder
from collbench.kernels.header import KernelFile


def test_a_directory_in_the_variable_adds_its_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "hop.cu", source())
    for hidden in ("_draft.cu", ".hop.cu", "common.cuh", "README.md"):
        write(tmp_path, hidden, "no kernel")
    before = set(find_kernels())
    monkeypatch.setenv("COLLBENCH_KERNELS", os.pathsep.join([str(tmp_path), str(tmp_path), str(own_folder()), ""]))
    found = find_kernels()
    assert set(found) - before == {"hop"}
    assert isinstance(found["hop"], KernelFile)
    assert list(found) == sorted(found)


def test_a_broken_file_leaves_the_others_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "hop.cu", source())
    path = write(tmp_path, "bad_one.cu", source(ops=None))
    (tmp_path / "binary.cu").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.cu").mkdir()
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path))
    found = find_kernels()
    assert isinstance(found["hop"], KernelFile)
    assert isinstance(found["bad-one"], Broken)
    assert found["bad-one"] == Broken("bad-one", path, found["bad-one"].reason)
    assert found["bad-one"].reason.startswith(f"{path}: the field 'ops' is missing")
    assert isinstance(found["binary"], Broken)
    assert isinstance(found["folder"], Broken)


def test_two_files_with_one_name_are_both_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (write(tmp_path / folder, "hop.cu", source()) for folder in ("a", "b"))
    monkeypatch.setenv("COLLBENCH_KERNELS", os.pathsep.join(str(path.parent) for path in (one, two)))
    found = find_kernels()["hop"]
    assert isinstance(found, Broken)
    assert found.reason == f"{one} and {two} both define the kernel 'hop'; rename one of them."


def test_a_missing_directory_in_the_variable_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"COLLBENCH_KERNELS names .*nowhere, which is not a directory"):
        find_kernels()


def test_in_a_wheel_our_kernels_are_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_folder() == Path(__file__).parents[2] / "kernels"
    (tmp_path / "kernels").mkdir()  # another package of that name
    packed = tmp_path / "collbench" / "share" / "kernels"
    packed.mkdir(parents=True)
    monkeypatch.setattr("collbench.host.shipped.PACKAGE", tmp_path / "collbench")
    assert own_folder() == packed
