"""NVSHMEM's transport between hosts of the lab, with a stand-in for CUDA's driver."""

from __future__ import annotations

import _ctypes
import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import GUARD_SECONDS

from collbench.kernels import host_compiler
from lab import transport
from lab.building import built
from lab.launch import RANK, on_host
from lab.network import Faults, Link, missing, network

pytest.importorskip("cuda.pathfinder")
NO_HEADERS = None if transport.headers() else "NVSHMEM is not installed; pip install 'collbench[compiler]'"
pytestmark = pytest.mark.skipif(
    (NO_HEADERS or host_compiler.missing()) is not None, reason=str(NO_HEADERS or host_compiler.missing())
)
PES = 3
FINISHED = """\
signals_follow_their_data True True True True True True
quiet_means_there True True True
a_blocking_put_frees_its_source True
additions_add_up True
what_is_not_there_is_refused True
a_peer_that_ends_is_named_and_the_others_go_on True
finalized
"""
NO_NETWORK = missing()


@pytest.mark.skipif(NO_NETWORK is not None, reason=str(NO_NETWORK))
def test_pes_on_two_hosts_exchange_puts_signals_and_quiet_over_a_network_that_fails(tmp_path: Path) -> None:
    driver = built("driver.c", "libcuda.so.1", ("-fPIC", "-shared", "-pthread"))
    # As a rank does it: the library is preloaded by its path, and opened by the name that NVSHMEM uses.
    words = [str(RANK), sys.executable, str(Path(__file__).with_name("pe.py"))]
    variables = {"LAB_PRELOAD": str(transport.plugin()), "LAB_GPUS": "0 0", "LAB_COUNTS": "1"}
    with network(2, Link(delay_us=100)) as net:
        net.switch.set_faults(Faults(drop=0.001, overtake=0.1, overtake_us=300))
        environment = {**os.environ, **net.environment, "LD_LIBRARY_PATH": str(driver.parent), **variables}
        first, second = net.hosts
        children = [
            subprocess.Popen(
                on_host(host, *words, str(pe), str(PES), str(tmp_path), transport.SONAME), env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for pe, host in enumerate((first, second, second))
        ]  # fmt: skip
        (out, err), (other_out, other_err), (last_out, last_err) = (
            child.communicate(timeout=GUARD_SECONDS) for child in children
        )
        counts = net.switch.counts()
    assert out == FINISHED, err
    assert other_out == FINISHED, other_err
    assert last_out == "".join(FINISHED.splitlines(keepends=True)[:-2]), last_err
    assert "tcp: this is a transport of plugin ABI 3 (NVSHMEM 3.4.5), and NVSHMEM's here is 7\n" in err
    assert "tcp: there is no operation 4, only put and p\n" in err
    assert "tcp: there is no atomic 14, only set, add and signals\n" in err
    assert "tcp: PE 2 is gone\n" in err
    assert "tcp: PE 1 is gone\n" not in err
    assert "tcp: PE 0: " in err
    assert min(counts[pair].bytes for pair in ((1, 2), (2, 1))) > 10 << 20


def test_the_kernels_that_add_can_be_linked() -> None:
    core = pytest.importorskip("cuda.core")
    library = ctypes.CDLL(str(transport.plugin()))
    ptx = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library, "lab_ptx"))).decode()
    _ctypes.dlclose(library._handle)  # other tests look for transports that are loaded
    options = core.LinkerOptions(arch="sm_90")
    linked = core.Linker(core.ObjectCode.from_ptx(ptx.encode()), options=options).link("cubin").code
    assert b"add4" in linked
    assert b"add8" in linked


def test_another_plugin_abi_is_refused_before_a_rank_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    include = transport.headers()
    assert include is not None
    (tmp_path / "include").symlink_to(include)
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(transport, "headers", lambda: tmp_path / "include")
    library = tmp_path / "lib" / "nvshmem_transport_ibrc.so.7"
    library.touch()
    with pytest.raises(RuntimeError, match=r"plugin ABI 7, and the lab's is of ABI 3; pip install .*==3\.4\.5"):
        transport.settings()
    library.rename(library.with_suffix(".3"))
    monkeypatch.setattr(transport, "plugin", lambda: Path("it"))
    assert transport.settings()["LAB_PRELOAD"] == "it"
