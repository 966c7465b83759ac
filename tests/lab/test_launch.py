"""Jobs on hosts of the lab: what the command line starts, and the GPUs and the library of each rank."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import GUARD_SECONDS, clean_environment

from lab import transport
from lab.launch import RANK, gpu_environment, on_host
from lab.network import Link, missing, network

MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
SHOW = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['LD_PRELOAD'])"


def test_a_job_runs_on_its_hosts_and_says_what_crossed_the_network() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.launch", "--delay-us", "300", "--", "sweep", "--backend", "nothing"],
        env=clean_environment(PYTHONPATH=os.pathsep.join(sys.path)),
        capture_output=True, text=True, timeout=GUARD_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "unknown backend 'nothing'" in done.stderr
    for pair in ("node1 to node2", "node2 to node1"):  # of mpiexec and its daemon
        assert re.search(rf"^{pair}: \d{{3,}} bytes in \d+ packets; 0 dropped, 0 stalled, 0 over", done.stderr, re.M)


def test_a_rank_has_the_gpus_of_its_host_and_loads_the_transport(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "none.so"  # the loader ignores what is not there, with a line on stderr
    monkeypatch.setattr(transport, "settings", lambda: {"LAB_PRELOAD": str(library)})
    with network(2, Link(0)) as net:
        environment = {**os.environ, **net.environment, **gpu_environment("0,1:3", hosts=2)}
        shown = [
            subprocess.run(
                on_host(host, str(RANK), sys.executable, "-c", SHOW), env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
            ).stdout
            for host in net.hosts
        ]  # fmt: skip
        fewer = subprocess.run(
            on_host("10.77.0.2", str(RANK), "true"), env={**environment, "LAB_GPUS": "0"}, text=True,
            stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert shown == [f"0,1 {library}\n", f"3 {library}\n"]
    assert (fewer.returncode, fewer.stderr) == (2, "rank: no GPUs for node2; there are: 0\n")
    with pytest.raises(RuntimeError, match="names the GPUs of 1 hosts, not of 2"):
        gpu_environment("0,1", hosts=2)


def test_the_bytes_of_a_call_are_counted_beside_what_its_backend_states() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.launch", "--module", "lab.wire", "--", "mpi-nvrar", "256K"],
        env=clean_environment(PYTHONPATH=os.pathsep.join(sys.path)),
        capture_output=True, text=True, timeout=GUARD_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    backend, size, unit, sent, packets, stated, ratio = done.stdout.splitlines()[1].split()
    assert (backend, size, unit, stated) == ("mpi-nvrar", "256", "KiB", str(256 << 10))
    assert float(ratio) == pytest.approx(float(sent) / (256 << 10), abs=1e-3)
    headers = 66 * float(packets)  # of Ethernet, IP and TCP
    assert float(sent) - headers == pytest.approx(256 << 10, rel=0.01)
