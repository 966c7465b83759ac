"""Transports read from what libraries say of themselves: lines that NCCL 2.28.9 wrote on H200s, and for networks that
are not at hand, lines made from the formats in the libraries' sources."""

from __future__ import annotations

import _ctypes
import ctypes
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from running import Mpi

from collbench.host.maps import mapped_files
from collbench.host.transports import DEFAULT_PROVIDER, UNKNOWN, families, merged, of_nccl, of_nvshmem

# As NCCL 2.28.9 wrote it on two H200s of one host.
START = """\
node7:1013:1013 [0] NCCL INFO Bootstrap: Using eth0:192.0.2.2<0>
node7:1013:1013 [0] NCCL INFO NCCL version 2.28.9+cuda13.0
node7:1013:1013 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so
node7:1013:1013 [0] NCCL INFO NET/IB : No device found.
node7:1013:1013 [0] NCCL INFO NET/IB : Using [RO]; OOB eth0:192.0.2.2<0>
node7:1013:1013 [0] NCCL INFO Failed to initialize NET plugin IB
node7:1013:1013 [0] NCCL INFO NET/Socket : Using [0]eth0:192.0.2.2<0>
node7:1013:1013 [0] NCCL INFO Assigned NET plugin Socket to comm
node7:1013:1013 [0] NCCL INFO Using network Socket
node7:1013:1013 [0] NCCL INFO comm 0x22aa1cf0 rank 0 nRanks 2 nNodes 1 localRanks 2 localRank 0 MNNVL 0
node7:1013:1013 [0] NCCL INFO Channel 00/24 : 0 1
node7:1013:1013 [0] NCCL INFO Check P2P Type isAllDirectP2p 1 directMode 0 isAllCudaP2p 1
"""
P2P = "node7:1013:1013 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM\n"
SHM = "node7:1085:1085 [0] NCCL INFO Channel 00 : 0[0] -> 1[1] via SHM/direct/direct\n"
SOCKET = """\
node7:932:932 [0] NCCL INFO NET/Socket : GPU Direct RDMA Disabled for HCA 0 'eth0'
node7:932:932 [0] NCCL INFO Channel 00/0 : 1[1] -> 0[0] [receive] via NET/Socket/0
node7:932:932 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] [send] via NET/Socket/0
"""
# NCCL, src/transport/{net,p2p,nvls}.cc and src/transport/net_ib.cc; 2.18 wrote bus addresses in the brackets.
IB = """\
n1:9:9 [3] NCCL INFO NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/IB [RO]; OOB ib0:192.0.2.7<0>
n1:9:9 [3] NCCL INFO Channel 00/0 : 3[3] -> 4[0] [send] via NET/IB/0(1)/GDRDMA(PCI)
"""
OLD_IB = "n1:9:9 [0] NCCL INFO Channel 01/0 : 7[1b0] -> 8[1c0] [receive] via NET/IBext_v8/1/GDRDMA/Shared\n"
NVLS = "n1:9:9 [0] NCCL INFO NVLS comm 0x55d2 headRank 0 nHeads 8 nvlsRanks 8 buffSize 1048576\n"
# aws-ofi-nccl, src/nccl_ofi_net.cpp; before 1.9: "Selected Provider is cxi (found 4 nics)".
OFI = """\
n1:9:9 [0] NCCL INFO NET/OFI Selected provider is {provider}, fabric is cxi (found 4 nics)
n1:9:9 [0] NCCL INFO Channel 00/0 : 0[0] -> 4[0] [send] via NET/{name}/2/GDRDMA
"""


@pytest.mark.parametrize(
    ("lines", "transport"),
    [
        (P2P, "p2p"),
        (P2P.replace("P2P/CUMEM", "P2P/direct pointer/read"), "p2p"),
        (P2P.replace("P2P/CUMEM", "P2P/MNNVL/CE"), "p2p"),
        (SHM, "shm"),
        (P2P + SHM, "p2p+shm"),
        (NVLS, "nvls"),
        (SOCKET, "socket"),
        (P2P + SOCKET, "socket"),
        (IB, "ib"),
        (P2P + OLD_IB, "ib"),
        (IB.replace("NET/IB/0", "NET/UCX/0"), "ucx"),
        (OFI.format(provider="cxi", name="AWS Libfabric"), "ofi/cxi"),
        (OFI.format(provider="cxi", name="Libfabric"), "ofi/cxi"),
        (OFI.format(provider="efa", name="AWS Libfabric"), "ofi/efa"),
        (OFI.format(provider="tcp;ofi_rxm", name="AWS Libfabric"), "ofi/tcp"),
        ("NET/OFI Selected Provider is cxi (found 4 nics)\n... [send] via NET/AWS Libfabric/0\n", "ofi/cxi"),
        (IB + SOCKET, "ib+socket"),
    ],
)
def test_channels_tell_what_nccl_took(lines: str, transport: str) -> None:
    assert of_nccl(START + lines, START + lines) == transport


@pytest.mark.parametrize(
    "lines",
    [
        "",
        START,  # it names a network that is never used inside one host
        "n1:9:9 [0] NCCL INFO Channel 00/0 : 0[0] -> 4[0] [send] via NET/FasterThanLight/0\n",
        "n1:9:9 [0] NCCL INFO Channel 00/0 : 0[0] -> 4[0] [send] via NET/AWS Libfabric/0\n",  # of which provider?
        "n1:9:9 [0] NCCL INFO Channel 00/0 : 0[0] -> 4[0] via TELEPATHY/0\n",
        "the network is via NET/ as usual, or via P2P or SHM",
    ],
)
def test_what_does_not_tell_is_unknown(lines: str) -> None:
    assert of_nccl(lines, lines) == UNKNOWN


def test_only_what_was_logged_since_a_world_began_is_of_that_world() -> None:
    whole = START + OFI.format(provider="cxi", name="Libfabric") + P2P
    assert of_nccl(whole, P2P) == "p2p"


def test_a_plugin_tells_its_provider_once_also_for_later_worlds() -> None:
    first, later = OFI.format(provider="cxi", name="Libfabric").splitlines(keepends=True)
    assert of_nccl(first + later, later) == "ofi/cxi"


def mapped(*plugins: str) -> tuple[str, ...]:
    """Files that a process with these plugins has mapped."""
    names = ("libnvshmem_host.so.3", *(f"nvshmem_transport_{name}.so.7.0.0" for name in plugins))
    return tuple(f"/opt/my nvshmem/{name}" for name in names)


@pytest.mark.parametrize(
    ("plugins", "transport"),
    [
        (["ibrc"], "ibrc"),
        (["ibdevx"], "ibdevx"),
        (["ucx"], "ucx"),
        (["tcp"], "tcp"),
        (["ucx", "tcp"], "ucx"),  # a preloaded library is not unloaded where NVSHMEM takes another
        (["ibrc", "ibgda"], "ibgda"),
        (["gpunetio"], "gpunetio"),
        (["libfabric"], "libfabric/cxi"),
        ([], UNKNOWN),
        (["carrier_pigeon"], UNKNOWN),
    ],
)
def test_the_plugin_that_stayed_loaded_is_what_nvshmem_took(plugins: list[str], transport: str) -> None:
    assert of_nvshmem(False, mapped(*plugins), DEFAULT_PROVIDER) == transport
    assert of_nvshmem(True, mapped(*plugins), DEFAULT_PROVIDER) == "p2p"


def test_the_provider_of_libfabric_is_the_one_that_was_set_for_nvshmem() -> None:
    assert of_nvshmem(False, mapped("libfabric"), "efa") == "libfabric/efa"


def test_a_plugin_is_seen_while_it_is_loaded_and_not_after() -> None:
    found = find_spec("nvidia.nvshmem") if find_spec("nvidia") else None
    if found is None or not found.submodule_search_locations:
        pytest.skip("no NVSHMEM here; `make test` installs it")
    (plugin,) = Path(found.submodule_search_locations[0]).glob("lib/nvshmem_transport_ibrc.so.*")

    def now() -> str:
        return of_nvshmem(False, mapped_files(), DEFAULT_PROVIDER)

    loaded = ctypes.CDLL(str(plugin))
    assert now() == "ibrc"
    _ctypes.dlclose(loaded._handle)
    assert now() == UNKNOWN


@pytest.mark.parametrize(
    ("names", "together"),
    [
        (["p2p", "ib", "p2p"], "ib"),
        (["p2p", "p2p"], "p2p"),
        (["shm", "p2p+shm"], "p2p+shm"),
        (["socket", "ib"], "ib+socket"),
        (["ib", UNKNOWN], "ib"),
        (["p2p", UNKNOWN], UNKNOWN),  # the rank that is silent may be the one with the network
        ([], UNKNOWN),
    ],
)
def test_ranks_together_took_the_network_that_any_of_them_took(names: list[str], together: str) -> None:
    assert merged(names) == together


@pytest.mark.parametrize(
    ("transport", "family"),
    [
        ("ofi/cxi", {"slingshot"}),
        ("libfabric/cxi", {"slingshot"}),
        ("ibgda", {"infiniband"}),
        ("socket", {"tcp"}),
        ("tcp", {"tcp"}),
        ("ucx", set()),  # it runs on any network
        ("ib+ucx", {"infiniband"}),
        ("ib+socket", {"infiniband", "tcp"}),
        ("p2p", set()),
        (UNKNOWN, set()),
        ("", set()),
    ],
)
def test_transports_belong_to_networks(transport: str, family: set[str]) -> None:
    assert families(transport) == family


TELLING = """
from collbench import registry

class Session:
    def __init__(self, world, inner):
        self.world, self.inner = world, inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def transport(self):
        return ("p2p", "ib", "p2p")[self.world.rank]

class Telling:
    def __getattr__(self, name):
        return getattr(registry.find("mpi"), name)

    def open(self, world, device, arena_bytes):
        return Session(world, registry.find("mpi").open(world, device, arena_bytes))

telling = Telling()
"""


def test_rows_and_sidecar_say_what_the_ranks_took(mpich: Mpi) -> None:
    (mpich.folder / "telling.py").write_text(TELLING)
    info = mpich.folder / "telling-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: telling\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[collbench.backends]\ntelling = telling:telling\n")
    arguments = ("--backend", "telling,mpi", "--sizes", "64", "--samples", "3", "--ranks", "3", "--launches", "2")
    ran = mpich.run("sweep", *arguments, "-o", "r.csv", PYTHONPATH=str(mpich.folder))
    assert ran.code == 0, ran.err
    reported = {(row.backend, row.launch): row.param.get("transport") for row in mpich.rows()}
    assert reported == {("telling", 0): "ib", ("telling", 1): "ib", ("mpi", 0): None, ("mpi", 1): None}
    launches = json.loads((mpich.folder / "r.json").read_text())["launches"]
    assert [launch["launch"] for launch in launches] == [0, 1], "written twice, reported once"
    for launch in launches:
        assert [rank["transports"] for rank in launch["ranks"]] == [{"telling": [t]} for t in ("p2p", "ib", "p2p")]
        assert [rank["mpi"]["library"] for rank in launch["ranks"]] == [launch["mpi"]["library"]] * 3
        assert [node["host"] for node in launch["nodes"]] == [launch["ranks"][0]["host"]]
