"""Ranks end with the process that started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import GUARD_SECONDS

from collbench.host.processes import Running, began, this_process
from collbench.ranks import lifeline


def test_a_process_is_more_than_its_number() -> None:
    me = this_process()
    assert me.is_alive()
    assert not Running(me.pid, me.began + 1).is_alive()
    with subprocess.Popen(["sleep", "600"]) as child:
        assert began(child.pid) is not None
        child.kill()
        deadline = time.monotonic() + GUARD_SECONDS
        while began(child.pid) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # a zombie, since nobody has asked how it ended
        assert Path(f"/proc/{child.pid}").exists()
    assert began(child.pid) is None


def test_it_is_orphaned_by_its_parent_or_by_the_starter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not lifeline.orphaned(None)()
    assert not lifeline.orphaned(this_process())()
    assert lifeline.orphaned(Running(this_process().pid, 1))()
    is_orphan = lifeline.orphaned(None)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert is_orphan()


def test_it_ends_at_once() -> None:
    program = (
        "import time; from collbench.host.processes import Running; from collbench.ranks import lifeline;"
        "lifeline.end_with_launcher(Running(2 ** 22 + 1, 1)); time.sleep(600)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=300).returncode == 1
