"""Whether ranks will wait for a core of this host: too few cores, or cores that other processes keep busy."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection
from pathlib import Path

from collbench.host import cgroups, procfs
from collbench.host.procfs import ROOT
from collbench.tables import counted

WATCHED_SECONDS = 0.2
SLACK = 0.5  # cores: less than this may be busy by chance
_IDLE = slice(3, 5)  # columns idle and iowait of /proc/stat
_TIMES = 8  # columns that add up to all of the time (proc_stat(5)); those after them are counted in the first two


def _watch() -> None:
    time.sleep(WATCHED_SECONDS)


def crowding(
    ranks: int,
    cores: Collection[int] | None = None,
    root: Path = ROOT,
    wait: Callable[[], object] | None = _watch,
) -> str | None:
    """One sentence that warns if ``ranks`` ranks of this host will wait for a core, else None; takes about 0.2 s.

    ``cores``: those that the ranks may use, by default this process's. Call it before the ranks run, since they count
    as busy; without ``wait``, what is busy is not looked at, and their number alone counts.
    """
    own = os.sched_getaffinity(0) if cores is None else cores
    busy = _busy_during(wait, root, own) if wait else 0.0
    usable = min(float(len(own)), _quota(root))
    if ranks <= usable and ranks <= len(own) - busy + SLACK:
        return None
    verb = "shares" if ranks == 1 else "share"
    taken = f", of which {busy:.1f} are busy" if busy >= SLACK else ""
    return f"{counted(ranks, 'rank')} {verb} {counted(usable, 'core')}{taken}; latencies include waiting for a core"


def _busy_during(wait: Callable[[], object], root: Path, cores: Collection[int]) -> float:
    before = _times(root)
    wait()
    return _busy(before, _times(root), cores)


def _times(root: Path) -> dict[int, list[int]]:
    """The times in /proc/stat of each core."""
    lines = re.findall(r"(?m)^cpu(\d+) +(.*)$", procfs.text(root / "proc/stat"))
    return {int(core): [int(time) for time in times.split()[:_TIMES]] for core, times in lines}


def _busy(before: dict[int, list[int]], after: dict[int, list[int]], cores: Collection[int]) -> float:
    """How many of ``cores`` were busy between two readings."""
    return sum(_busy_share(before[core], after[core]) for core in cores if core in before and core in after)


def _busy_share(before: list[int], after: list[int]) -> float:
    spent = [now - then for then, now in zip(before, after, strict=True)]
    return 1 - sum(spent[_IDLE]) / sum(spent) if sum(spent) > 0 else 0.0


def _quota(root: Path) -> float:
    """Cores' worth of processor time that the control groups of this process allow; infinite without a limit."""
    return min(map(_quota_of, cgroups.folders("cpu", root)), default=float("inf"))


def _quota_of(folder: Path) -> float:
    v1 = f"{procfs.text(folder / 'cpu.cfs_quota_us')} {procfs.text(folder / 'cpu.cfs_period_us')}"
    limit = re.fullmatch(r"(\d+) (\d+)", procfs.text(folder / "cpu.max") or v1)  # "max" and -1 mean no limit
    return int(limit[1]) / int(limit[2]) if limit else float("inf")
