"""Cores and adapters near a GPU, in a made-up /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from collbench.host.numa import cores_of, near_cores, near_nics


def a_host(root: Path, *, node: str = "3") -> Path:
    """A host with a GPU on a NUMA node, and two adapters, of which one is there as well."""
    gpu = root / "sys/bus/pci/devices/0000:c1:00.0"
    gpu.mkdir(parents=True)
    (gpu / "numa_node").write_text(f"{node}\n")
    (gpu / "local_cpulist").write_text("48-63,112-127\n")
    for name, where in (("cxi/cxi0", "0"), ("cxi/cxi3", "3"), ("infiniband/mlx5_0", "-1")):
        device = root / "sys/class" / name / "device"
        device.mkdir(parents=True)
        (device / "numa_node").write_text(f"{where}\n")
    return root


@pytest.mark.parametrize("pci", ["0000:C1:00.0", "00000000:C1:00.0"])
def test_a_gpu_has_cores_and_adapters_near_it(tmp_path: Path, pci: str) -> None:
    root = a_host(tmp_path)
    assert near_cores(pci, root) == {*range(48, 64), *range(112, 128)}
    assert near_nics(pci, root) == ("cxi3",)


def test_where_the_kernel_does_not_say_nothing_is_near(tmp_path: Path) -> None:
    root = a_host(tmp_path, node="-1")  # its list of cores then holds all
    for pci in ("0000:c1:00.0", "0000:01:00.0"):
        assert near_cores(pci, root) == frozenset()
        assert near_nics(pci, root) == ()


def test_lists_of_cores() -> None:
    assert cores_of("0-2,7\n") == {0, 1, 2, 7}
    assert cores_of("") == frozenset()
