"""When ranks wait for a core, read from made-up files of /proc and /sys/fs/cgroup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from planting import plant

from collbench.host.load import crowding

WAITING = "latencies include waiting for a core"
V2 = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
V1 = "31 30 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct"


def spend(root: Path, *busy: float) -> Callable[[], None]:
    """A wait of 100 ticks during which each core is busy for a share of the time; half of the rest waits for disks."""

    def write(ticks: int) -> None:
        shares = [(int(share * ticks), int((1 - share) * ticks) // 2) for share in busy]
        lines = [f"cpu{core} {work} 0 0 {idle} {idle} 0 0 0 {work} 0" for core, (work, idle) in enumerate(shares)]
        plant(root, {"proc/stat": "\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *lines, "intr 7 0"])})

    write(1000)
    return lambda: write(1100)


@pytest.mark.parametrize(
    ("ranks", "busy", "words"),
    [
        (2, (0, 0), None),
        (2, (0.2, 0.2), None),
        (4, (0, 0), f"4 ranks share 2 cores; {WAITING}"),
        (4, (1, 0.9), f"4 ranks share 2 cores, of which 1.9 are busy; {WAITING}"),
        (2, (1, 0), f"2 ranks share 2 cores, of which 1.0 are busy; {WAITING}"),
        (1, (1, 1), f"1 rank shares 2 cores, of which 2.0 are busy; {WAITING}"),
        (2, (0, 1, 0, 1), None),
        (4, (0, 1, 0, 1), f"4 ranks share 4 cores, of which 2.0 are busy; {WAITING}"),
    ],
)
def test_ranks_that_outnumber_the_free_cores(
    tmp_path: Path, ranks: int, busy: tuple[float, ...], words: str | None
) -> None:
    assert crowding(ranks, range(len(busy)), tmp_path, spend(tmp_path, *busy)) == words


def test_only_the_cores_of_the_ranks_count(tmp_path: Path) -> None:
    assert crowding(2, {0, 1}, tmp_path, spend(tmp_path, 0, 0, 1, 1)) is None
    assert (
        crowding(2, {2, 3}, tmp_path, spend(tmp_path, 0, 0, 1, 1))
        == f"2 ranks share 2 cores, of which 2.0 are busy; {WAITING}"
    )


@pytest.mark.parametrize(
    ("mount", "files"),
    [
        (V2, {"group/cpu.max": "150000 100000"}),
        (V2, {"group/cpu.max": "max 100000", "cpu.max": "150000 100000"}),
        (V1, {"cpu/group/cpu.cfs_quota_us": "150000", "cpu/group/cpu.cfs_period_us": "100000"}),
    ],
)
def test_the_quota_of_a_control_group_bounds_the_cores(tmp_path: Path, mount: str, files: dict[str, str]) -> None:
    plant(tmp_path, {"proc/self/cgroup": "3:cpu,cpuacct:/group\n0::/group", "proc/self/mountinfo": mount})
    plant(tmp_path / "sys/fs/cgroup", files)
    wait = spend(tmp_path, *[0.0] * 8)
    assert crowding(1, range(8), tmp_path, wait) is None
    assert crowding(2, range(8), tmp_path, wait) == f"2 ranks share 1.5 cores; {WAITING}"


def test_a_quota_of_none_is_no_limit(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/self/cgroup": "3:cpu,cpuacct:/", "proc/self/mountinfo": V1})
    plant(tmp_path / "sys/fs/cgroup/cpu", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"})
    assert crowding(8, range(8), tmp_path, spend(tmp_path, *[0.0] * 8)) is None


def test_a_machine_that_reports_nothing_is_judged_by_its_cores(tmp_path: Path) -> None:
    assert crowding(1, {0}, tmp_path, lambda: None) is None
    assert crowding(2, {0}, tmp_path, lambda: None) == f"2 ranks share 1 core; {WAITING}"


def test_ten_thousand_ranks_crowd_this_machine() -> None:
    assert "10000 ranks share" in (crowding(10_000) or "")


def test_without_a_look_at_what_is_busy_numbers_alone_count(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/stat": "cpu0 9 0 0 0 0 0 0 0\ncpu1 9 0 0 0 0 0 0 0\n"})
    assert crowding(2, {0, 1}, tmp_path, None) is None
    assert crowding(3, {0, 1}, tmp_path, None) == f"3 ranks share 2 cores; {WAITING}"
