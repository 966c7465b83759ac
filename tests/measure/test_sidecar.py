"""The sidecar of a launch: whole, JSON, without secrets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from collbench.measure import sidecar
from collbench.measure.sidecar import gather_late, launch_facts
from collbench.ranks.world import World
from collbench.results.facts import facts_of


def test_the_sidecar_is_json_and_holds_what_it_is_given() -> None:
    content = launch_facts(["sweep"], ranks=[{"rank": 0, "host": "here"}])
    there = json.loads(json.dumps(content))
    assert there == content
    assert there["argv"] == ["sweep"]
    assert there["ranks"] == [{"rank": 0, "host": "here"}]
    assert there["machine"]["cores"] == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("used", [True, False], ids=["used", "loaded by PyTorch alone"])
def test_the_version_of_nvshmem_is_that_of_the_library_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: bool
) -> None:
    monkeypatch.setattr(sidecar, "loaded_libraries", lambda: {"nvshmem": "/opt/lib/libnvshmem_host.so.3"})
    version = SimpleNamespace(libnvshmem_version="3.8.0")
    core = SimpleNamespace(get_version=lambda: version)
    for name, module in (("nvshmem", SimpleNamespace(core=core)), ("nvshmem.core", core if used else None)):
        if module:
            monkeypatch.setitem(sys.modules, name, module)
        else:
            monkeypatch.delitem(sys.modules, name, raising=False)
    alone = cast(World, SimpleNamespace(launch=SimpleNamespace(gather=lambda facts: [facts])))
    late: Any = gather_late(alone, {})
    entry = {"launch": 0, "versions": {"nvidia-nvshmem-cu13": "3.4.5"}, "ranks": [{"host": "here", **late[0]}]}
    (tmp_path / "run.json").write_text(json.dumps({"schema": 1, "launches": [entry]}))
    (facts,) = facts_of(tmp_path / "run.csv").values()
    assert facts["nvshmem"] == ("3.8.0" if used else "3.4.5")
