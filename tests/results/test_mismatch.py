"""Backends on different networks: said once and loudly, and never of what is not known or not between real nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from samples import timed, untimed
from shown import results, show

from collbench.printer.forms import Form
from collbench.results.mismatch import between, mismatch, mismatches
from collbench.results.records import Record
from collbench.views.comparison import compare_backends, compare_files


def on_nodes(backend: str, transport: str, **changes: Any) -> Record:
    """A row of two nodes of a cluster."""
    fields = {"nodes": 2, "fabric": "slingshot", "params": f"cache=hot;transport={transport}", **changes}
    return timed(10.0, backend=backend, **fields)


def test_the_sentence_says_who_took_what_and_the_cure() -> None:
    rows = [on_nodes(name, "socket") for name in ("nccl", "nccl-symm")] + [on_nodes("nvrar", "libfabric/cxi")]
    assert mismatch(rows) == (
        "nvrar went over Slingshot (libfabric/cxi); nccl and nccl-symm went over TCP sockets (socket): ratios between "
        "them compare networks, not algorithms. Cure: load the site's libfabric plugin for NCCL (aws-ofi-nccl) and set "
        "NCCL_NET='AWS Libfabric'; an NCCL from pip does not bring the plugin."
    )


@pytest.mark.parametrize(
    ("transports", "cure"),
    [
        (("socket", "ibgda"), "NCCL_IB_HCA"),
        (("ofi/cxi", "ibrc"), "NVSHMEM_REMOTE_TRANSPORT"),
        (("ib+socket", "ib"), "NCCL_IB_HCA"),
    ],
)
def test_every_pair_of_networks_has_a_cure(transports: tuple[str, str], cure: str) -> None:
    assert cure in mismatch([on_nodes(name, took) for name, took in zip(("nccl", "nvrar"), transports, strict=True)])


@pytest.mark.parametrize(
    "rows",
    [
        [on_nodes("nccl", "ofi/cxi"), on_nodes("nvrar", "libfabric/cxi")],
        [on_nodes("nccl", "ib"), on_nodes("nvrar", "ibgda"), on_nodes("nvshmem", "ibrc")],
        [on_nodes("nccl", "socket"), on_nodes("nvrar-put", "tcp"), on_nodes("nvshmem", "tcp")],
        [on_nodes("nccl", "socket"), on_nodes("nvrar-put", "ucx")],
        [on_nodes("nccl", "unknown"), on_nodes("nvrar", "libfabric/cxi")],
        [timed(10.0, backend="mpi", nodes=2, fabric="slingshot"), on_nodes("nvrar", "libfabric/cxi")],
        [on_nodes("nccl", "socket", nodes=1), on_nodes("nvrar", "ibrc", nodes=1)],
        [on_nodes("nccl", "socket", fabric="nvlink-virtual"), on_nodes("nvrar", "ibrc", fabric="nvlink-virtual")],
        [untimed("failed", backend="nccl", nodes=2, params="transport=socket"), on_nodes("nvrar", "ibrc")],
        [],
    ],
)
def test_nothing_is_said_of_one_network_or_none(rows: list[Record]) -> None:
    assert mismatch(rows) == ""


def test_tcp_of_nvshmem_against_a_fabric_is_a_mismatch() -> None:
    found = mismatch([on_nodes("nccl", "ib"), on_nodes("nvrar-put", "tcp")])
    assert found.startswith("nccl went over InfiniBand or RoCE (ib); nvrar-put went over TCP sockets (tcp)")


def test_launches_of_one_backend_on_different_networks_differ_too() -> None:
    assert mismatch([on_nodes("nccl", "ib"), on_nodes("nccl", "socket", launch=1)])


def test_a_sentence_is_said_once() -> None:
    group = [on_nodes("nccl", "socket"), on_nodes("nvrar", "ibrc")]
    assert mismatches([group, group, []]) == [mismatch(group)]


def test_libraries_are_compared_by_their_names() -> None:
    found = between({"socket": {"NCCL"}, "ibgda": {"NVSHMEM"}})
    assert found is not None
    assert found.words == "NVSHMEM went over InfiniBand or RoCE (ibgda); NCCL went over TCP sockets (socket)"
    assert between({"p2p": {"NCCL"}, "unknown": {"NVSHMEM"}}) is None


def test_tables_and_ratios_say_it() -> None:
    rows = [on_nodes("nccl", "socket", bytes=size) for size in (64, 128)]
    rows += [on_nodes("nvrar", "ibgda", bytes=size) for size in (64, 128)]
    sentence = f"MISMATCH: {mismatch(rows)}"
    assert results(rows).count(sentence) == 1
    assert show(compare_backends(rows)).count(sentence) == 1
    assert [each["mismatch"] for each in json.loads(show(compare_backends(rows), Form.JSON))] == [mismatch(rows)] * 2


def test_two_runs_on_different_networks_are_told_apart() -> None:
    (found,) = compare_files([on_nodes("nccl", "ib")], [on_nodes("nccl", "socket")]).judged
    assert found.mismatch.startswith("nccl (A) went over InfiniBand or RoCE (ib); nccl (B) went over TCP")


def test_rows_on_one_network_are_shown_as_ever() -> None:
    rows = [on_nodes("nccl", "ofi/cxi"), on_nodes("nvrar", "libfabric/cxi")]
    assert "MISMATCH" not in results(rows) + show(compare_backends(rows))
    assert json.loads(show(compare_backends(rows), Form.JSON))[0]["mismatch"] is None
