"""Detection of backends that used different networks: ratios between them do not compare algorithms."""

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
    """Backends that used different networks (``words``), and how to make them use the same one (``cure``)."""

    words: str
    cure: str

    def __str__(self) -> str:
        return f"{self.words}: ratios between them compare networks, not algorithms. Cure: {self.cure}."


def mismatch(records: Iterable[Record]) -> str:
    """One sentence with the cure if backends of these rows used different networks; else ""."""
    return mismatch_of((record.backend, record) for record in records)


def mismatch_of(sides: Iterable[Side]) -> str:
    """`mismatch` for rows with the names of their sides. Only real nodes are considered: virtual ones share a host."""
    users: dict[str, set[str]] = {}
    for name, record in sides:
        transport = record.param.get("transport", "")
        if transport and record.status == "ok" and record.nodes > 1 and not record.fabric.endswith(VIRTUAL):
            users.setdefault(transport, set()).add(name)
    found = between(users)
    return str(found) if found else ""


def mismatches(groups: Iterable[Iterable[Record]]) -> list[str]:
    """The sentences for several tables or charts, without repeats."""
    return list(dict.fromkeys(found for group in groups if (found := mismatch(group))))


def between(used: Mapping[str, Collection[str]]) -> Mismatch | None:
    """The mismatch between transports, each with the names that used it; None if all belong to one network."""
    known = {transport: names for transport, names in used.items() if families(transport)}
    networks = sorted({family for transport in known for family in families(transport)})
    if len(networks) < 2:
        return None
    words = "; ".join(_stated(sorted(names), transport) for transport, names in sorted(known.items()))
    return Mismatch(words, _CURES.get(tuple(networks), _ANY_CURE))


def _stated(names: Sequence[str], transport: str) -> str:
    *others, last = names
    subject = f"{', '.join(others)} and {last}" if others else last
    return f"{subject} went over {' and '.join(CALLED[each] for each in sorted(families(transport)))} ({transport})"
