"""Whether NCCL has the plugin that a network and the settings ask for: neither a false "fine" nor a false alarm."""

from __future__ import annotations

import pytest

from collbench.doctor.findings import BAD, FINE, NOTE
from collbench.doctor.plugin import finding
from collbench.host.nccl_plugin import Attempt, Plugin


def lost(name: str, missing: str = "") -> Attempt:
    """A library that does not open: it is not there, or what it needs is not."""
    return Attempt(name, "", f"{missing or name}: cannot open shared object file: No such file or directory")


def opens(network: str, name: str = "libnccl-net.so") -> Attempt:
    """A library that opens."""
    return Attempt(name, network, "")


NONE, OFI = lost("libnccl-net.so"), "/opt/lib/libnccl-net-ofi.so"
AWS = {"NCCL_NET": "AWS Libfabric"}


@pytest.mark.parametrize(
    ("attempts", "variables", "files", "network", "nodes", "grade", "words"),
    [
        # What was "fine" before, and opens nothing.
        ([NONE], {}, (OFI,), "slingshot", 2, BAD, "NCCL finds no libnccl-net.so: NCCL would use TCP sockets"),
        ([NONE], {}, (OFI,), "slingshot", 2, BAD, f"NCCL_NET_PLUGIN={OFI}, since NCCL opens no other name by itself"),
        ([lost("ofi"), lost("libnccl-net-ofi.so")], {"NCCL_NET_PLUGIN": "ofi"}, (), "slingshot", 2, BAD,
         "NCCL finds no ofi or libnccl-net-ofi.so"),
        ([lost("libnccl-net.so", "libfabric.so.1")], {}, (), "slingshot", 2, BAD,
         "libnccl-net.so needs libfabric.so.1, which is missing"),
        ([lost("libnccl-net.so", "libfabric.so.1")], {}, (), "slingshot", 2, BAD,
         "put the folder of libfabric.so.1 on LD_LIBRARY_PATH"),
        ([Attempt("libnccl-net.so", "", "libnccl-net.so: undefined symbol: x")], {}, (), "slingshot", 2, BAD,
         "undefined symbol: x"),
        ([opens("")], {}, (), "slingshot", 2, BAD, "opens, but has no interface that NCCL knows"),
        ([opens("IBext_v8")], {}, (), "slingshot", 2, BAD, "calls itself IBext_v8: NCCL would use TCP sockets"),
        ([], {"NCCL_NET_PLUGIN": "none"}, (), "slingshot", 2, BAD, "NCCL_NET_PLUGIN=none: NCCL would use TCP sockets"),
        ([NONE], {}, (), "slingshot", 1, NOTE, "the full path of its library in NCCL_NET_PLUGIN"),
        ([NONE], {}, (), "slingshot", None, NOTE, "TCP sockets"),
        # NCCL insists on a network that it does not have.
        ([NONE], AWS, (), "slingshot", 2, BAD, "with NCCL_NET=AWS Libfabric, NCCL ends"),
        ([NONE], AWS, (), "infiniband", 1, BAD, "with NCCL_NET=AWS Libfabric, NCCL ends"),
        ([opens("Libfabric")], {"NCCL_NET": "Libfabrics"}, (), "slingshot", 2, BAD, "NCCL_NET=Libfabric, or unset it"),
        ([opens("Libfabric")], {"NCCL_NET": "IB"}, (), "slingshot", 1, BAD, "Slingshot has no verbs: NCCL ends"),
        # A plugin opens, and is not used.
        ([opens("Libfabric")], {"NCCL_NET": "Socket"}, (), "slingshot", 2, BAD, "NCCL_NET=Socket: NCCL uses TCP"),
        ([opens("IBext_v8")], {"NCCL_NET": "socket"}, (), "infiniband", None, NOTE, "NCCL_NET=socket: NCCL uses TCP"),
        # The name that only the other build option installs.
        ([lost("ofi"), lost("libnccl-net-ofi.so")], {"NCCL_NET_PLUGIN": "ofi", **AWS}, ("/opt/lib/libnccl-net.so",),
         "slingshot", 2, BAD, "unset NCCL_NET_PLUGIN: NCCL then opens /opt/lib/libnccl-net.so"),
        ([], {"NCCL_NET_PLUGIN": "none"}, ("/opt/lib/libnccl-net.so",), "slingshot", 2, BAD, "unset NCCL_NET_PLUGIN"),
        # All is well.
        ([opens("Libfabric")], {"NCCL_NET": "Socket"}, (), "slingshot", 1, None, ""),
        ([NONE], {"NCCL_NET": "Socket"}, (), "tcp", 2, None, ""),
        ([opens("Libfabric")], {}, (), "slingshot", 2, FINE, "libnccl-net.so opens and calls itself Libfabric"),
        ([opens("AWS Libfabric")], {"NCCL_NET": "aws libfabric"}, (), "slingshot", 2, FINE, "calls itself AWS"),
        ([lost("ofi"), opens("Libfabric", "libnccl-net-ofi.so")], {"NCCL_NET_PLUGIN": "ofi"}, (), "slingshot", 2, FINE,
         "libnccl-net-ofi.so opens"),
        ([opens("IBext_v8")], {}, (), "infiniband", 2, FINE, "calls itself IBext_v8"),
        ([NONE], {}, (), "infiniband", 2, None, ""),
        ([NONE], {"NCCL_NET": "IB"}, (), "infiniband", 2, None, ""),
        ([NONE], {}, (OFI,), "tcp", 1, None, ""),
        ([], {"NCCL_NET_PLUGIN": "none"}, (), "infiniband", 2, None, ""),
        # What a user asked for and does not get, or should not ask for.
        ([lost("x"), lost("libnccl-net-x.so")], {"NCCL_NET_PLUGIN": "x"}, (), "infiniband", 2, NOTE,
         "NCCL uses its own transport"),
        ([lost("libnccl-net.so", "libibverbs.so.1")], {}, (), "infiniband", 2, NOTE, "needs libibverbs.so.1"),
        ([opens("AWS Libfabric")], AWS, (), "slingshot", 1, NOTE, "in a job of one node"),
    ],
)  # fmt: skip
def test_what_nccl_opens(
    attempts: list[Attempt], variables: dict[str, str], files: tuple[str, ...], network: str, nodes: int | None,
    grade: str | None, words: str,
) -> None:  # fmt: skip
    found = finding(Plugin(variables, tuple(attempts), files), network, nodes)
    assert (found.grade if found else None) == grade
    assert found is None or words in f"{found.found} {found.cure}"
    assert found is None or bool(found.cure) == (grade != FINE)


def test_where_it_cannot_be_tried_nothing_is_said() -> None:
    assert finding(None, "slingshot", 2) is None
