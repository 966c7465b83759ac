"""Whether backends that are compared went over different networks: then their ratios say nothing of algorithms."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from collbench.host.transports import families
from collbench.plan.layout import VIRTUAL
from collbench.results.records import Record

CALLED = {"slingshot": "Slingshot", "infiniband": "InfiniBand or RoCE", "efa": "EFA", "tcp": "TCP sockets"}
_CURES: Mapping[tuple[str, ...], str] = {
    ("slingshot", "tcp"): (
        "load the site's libfabric plugin for NCCL (aws-ofi-nccl) and set NCCL_NET='AWS Libfabric'; an NCCL from pip "
        "does not bring the plugin"
    ),
    ("infiniband", "tcp"): (
        "let NCCL see the adapters: unset NCCL_IB_DISABLE and NCCL_NET, set NCCL_IB_HCA, and in a container bind "
        "/dev/infiniband"
    ),
}
_ANY_CURE = "choose one network for all with NCCL_NET and NVSHMEM_REMOTE_TRANSPORT"
Side = tuple[str, Record]


@dataclass(frozen=True)
class Mismatch:
    """Who went over which network, and how they would go over one."""

    words: str
    cure: str

    def __str__(self) -> str:
        return f"{self.words}: ratios between them compare networks, not algorithms. Cure: {self.cure}."


def mismatch(records: Iterable[Record]) -> str:
    """One sentence where backends of these rows went over different networks, with the cure; else nothing."""
    return mismatch_of((record.backend, record) for record in records)


def mismatch_of(sides: Iterable[Side]) -> str:
    """The same for rows under the names by which they are compared. Only real nodes have a network between them."""
    went: dict[str, set[str]] = {}
    for name, record in sides:
        transport = record.param.get("transport", "")
        if transport and record.status == "ok" and record.nodes > 1 and not record.fabric.endswith(VIRTUAL):
            went.setdefault(transport, set()).add(name)
    found = between(went)
    return str(found) if found else ""


def mismatches(groups: Iterable[Iterable[Record]]) -> list[str]:
    """The sentences of several tables or charts, each once."""
    return list(dict.fromkeys(found for group in groups if (found := mismatch(group))))


def between(went: Mapping[str, Collection[str]]) -> Mismatch | None:
    """Whether transports, each with the names of those that took it, belong to different networks."""
    known = {transport: names for transport, names in went.items() if families(transport)}
    networks = sorted({family for transport in known for family in families(transport)})
    if len(networks) < 2:
        return None
    words = "; ".join(_told(sorted(names), transport) for transport, names in sorted(known.items()))
    return Mismatch(words, _CURES.get(tuple(networks), _ANY_CURE))


def _told(names: Sequence[str], transport: str) -> str:
    *others, last = names
    who = f"{', '.join(others)} and {last}" if others else last
    return f"{who} went over {' and '.join(CALLED[each] for each in sorted(families(transport)))} ({transport})"
