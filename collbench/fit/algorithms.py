"""How often and how much the textbook algorithms send, on links inside a node and between nodes.

P ranks on N nodes, G = P/N on each, numbered node after node; n is the message, the larger of a rank's two buffers.

*Steps* follow one another. A step in which any message goes from node to node is one between nodes: it waits for the
slower link. *Bytes* are what the busiest rank sends, step by step, on the level that the step is counted on; sums of
them over the steps are the last two numbers of ``Counts``, as fractions of n. A ring and a tree are pipelines, whose
links work at the same time: their steps are the longest way of a piece of the message, and their bytes are those of the
slower links.

Latency is then (Hockney, Parallel Computing 1994) the sum over both levels of steps * alpha + bytes / beta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType


@dataclass(frozen=True)
class Counts:
    """Steps inside a node and between nodes, and the bytes that the busiest rank sends on each, over those of the
    message."""

    steps_inside: int = 0
    steps_between: int = 0
    sent_inside: float = 0.0
    sent_between: float = 0.0

    @property
    def steps(self) -> int:
        """All steps."""
        return self.steps_inside + self.steps_between

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.steps_inside + other.steps_inside, self.steps_between + other.steps_between,
            self.sent_inside + other.sent_inside, self.sent_between + other.sent_between,
        )  # fmt: skip


Algorithm = Callable[[int, int], Counts]  # of ranks and nodes


def _on(between: bool, steps: int, sent: float) -> Counts:
    return Counts(0, steps, 0.0, sent) if between else Counts(steps, 0, sent, 0.0)


def _all(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts())


def log2_down(number: int) -> int:
    """The largest k with 2**k <= ``number``."""
    return number.bit_length() - 1


def log2_up(number: int) -> int:
    """The smallest k with 2**k >= ``number``."""
    return (number - 1).bit_length()


def _ring_between(ranks: int, nodes: int, turns: int) -> int:
    """The most links between nodes on ``turns`` ways of P - 1 links of the ring, of which the next begins where one
    ends. A way leaves out one link; the two of an all-reduce leave out two neighbours."""
    per_node = ranks // nodes
    return turns * nodes - max(0, turns + 1 - per_node) if nodes > 1 else 0


def ring(ranks: int, nodes: int) -> Counts:
    """2 (P-1) steps, 2 (P-1)/P n. Between nodes a chunk crosses 2N links, one fewer with two ranks on a node, two with
    one; NCCL's own forecast counts 2 (N-1). Source: Patarasuk and Yuan, JPDC 69 (2009)."""
    between = _ring_between(ranks, nodes, turns=2)
    sent = 2 * (ranks - 1) / ranks
    return Counts(2 * (ranks - 1) - between, between, 0.0 if nodes > 1 else sent, sent if nodes > 1 else 0.0)


def tree(ranks: int, nodes: int) -> Counts:
    """A chain in each node below two binary trees over nodes, each for half of the message, up and down: 2 (G-1) steps
    and 2 ceil(log2 N), where NCCL's own forecast rounds down. A node that has two children in one tree is a leaf of the
    other, so that it sends 2n; of two nodes each sends n, of three 3n/2. Sources: Sanders, Speck and Träff, Parallel
    Computing 35 (2009); NCCL, src/graph/trees.cc."""
    per_node = ranks // nodes
    inside = 2 * (per_node - 1)
    if nodes == 1:
        return Counts(inside, 0, float(min(2, per_node - 1)), 0.0)
    return Counts(inside, 2 * log2_up(nodes), 0.0, min(2.0, nodes / 2))


def _crosses(ranks: int, nodes: int, pairs: Iterable[tuple[int, int]]) -> bool:
    per_node = ranks // nodes
    return any(one // per_node != other // per_node for one, other in pairs)


def _folding(ranks: int, nodes: int) -> Counts:
    """Two steps and two messages of n more, where P is no power of two: ranks beyond the largest one below send theirs
    to a neighbour, and get the result from it."""
    extra = ranks - (1 << log2_down(ranks))
    if not extra:
        return Counts()
    return _on(_crosses(ranks, nodes, ((2 * at, 2 * at + 1) for at in range(extra))), 2, 2.0)


def _doubling(ranks: int, nodes: int) -> list[bool]:
    """For each step of recursive doubling by the distance 1, 2, 4, ...: whether it is between nodes."""
    core = 1 << log2_down(ranks)
    extra = ranks - core
    real = [2 * at + 1 if at < extra else at + extra for at in range(core)]
    steps = (1 << step for step in range(log2_down(core)))
    return [_crosses(ranks, nodes, ((real[at], real[at ^ far]) for at in range(core))) for far in steps]


def recursive_doubling(ranks: int, nodes: int) -> Counts:
    """log2 P steps of n each; where P is no power of two, 2 steps and 2 messages of n more. Source: Thakur,
    Rabenseifner and Gropp, IJHPCA 19 (2005)."""
    return _folding(ranks, nodes) + _all(_on(between, 1, 1.0) for between in _doubling(ranks, nodes))


def rabenseifner(ranks: int, nodes: int) -> Counts:
    """Reduce-scatter by recursive halving, all-gather by recursive doubling: 2 log2 P steps, 2 (P-1)/P n; where P is no
    power of two, 2 steps and 2 messages of n more. The halves n/2, n/4, ... go to the distance 1, 2, ... Source:
    Thakur, Rabenseifner and Gropp, IJHPCA 19 (2005)."""
    halves = enumerate(_doubling(ranks, nodes), start=1)
    return _folding(ranks, nodes) + _all(_on(between, 2, 2 * 0.5**step) for step, between in halves)


def _others(ranks: int, nodes: int) -> int:
    """The ranks to which a rank sends on the level that counts."""
    return ranks - ranks // nodes if nodes > 1 else ranks - 1


def one_shot(ranks: int, nodes: int) -> Counts:
    """One step, in which every rank sends all of its n to all others: (P-1) n. Source: the one-shot kernel of
    FasterTransformer and vLLM (csrc/custom_all_reduce.cuh)."""
    return _on(nodes > 1, 1, float(_others(ranks, nodes)))


def two_shot(ranks: int, nodes: int) -> Counts:
    """A direct reduce-scatter and a direct all-gather: 2 steps, 2 (P-1)/P n. Source: the two-shot kernel of vLLM
    (csrc/custom_all_reduce.cuh)."""
    return _on(nodes > 1, 2, 2 * _others(ranks, nodes) / ranks)


def _nvrar(ranks: int, nodes: int, steps_inside: int, sent_between: float) -> Counts:
    steps = log2_down(nodes) + 2 * (nodes != 1 << log2_down(nodes))
    return _nvrar_by(ranks, nodes, steps, sent_between, steps_inside)


def _nvrar_by(ranks: int, nodes: int, steps_between: int, shards: float, steps_inside: int = 2) -> Counts:
    """The three phases, with so many steps and shards of n/G between nodes."""
    per_node = ranks // nodes
    inside = Counts(steps_inside, 0, 2 * (per_node - 1) / per_node, 0.0) if per_node > 1 else Counts()
    return inside + Counts(0, steps_between, 0.0, shards / per_node)


def nvrar_paper(ranks: int, nodes: int, eta: float = 2.0) -> Counts:
    """NVRAR by the paper's volume: 2 (G-1) steps and 2 (G-1)/G n inside, log2 N steps and eta (N-1)/N n/G between
    nodes; eta = 2 for cells of which half is a flag. Source: arXiv 2511.09557. Where N is no power of two, which the
    paper leaves open, 2 steps and 2 messages of eta n/G more."""
    core = 1 << log2_down(nodes)
    return _nvrar(ranks, nodes, 2 * (ranks // nodes - 1), eta * ((core - 1) / core + 2 * (nodes != core)))


def nvrar_code(ranks: int, nodes: int, eta: float = 2.0) -> Counts:
    """NVRAR by the volume of its code, which sends the whole shard in each step: 2 steps and 2 (G-1)/G n inside, log2 N
    steps and eta log2 N n/G between nodes. Source: the kernels of axonn-ai/yalis. Where N is no power of two, 2 steps
    and 2 messages of eta n/G more."""
    core = 1 << log2_down(nodes)
    return _nvrar(ranks, nodes, 2, eta * (log2_down(core) + 2 * (nodes != core)))


def nvrar(ranks: int, nodes: int) -> Counts:
    """NVRAR as our kernels have it: ``nvrar_code`` with eta = 1, since their cells carry no flag (nvrar-lamport) and
    MPI's messages need none (mpi-nvrar)."""
    return nvrar_code(ranks, nodes, eta=1.0)


def nvrar_halving(ranks: int, nodes: int) -> Counts:
    """As ``nvrar``, with recursive halving and doubling of shards between nodes: 2 log2 N steps, 2 (N-1)/N n/G; where N
    is no power of two, 2 steps and 2 messages of n/G more. Source: nvrar-put-halving, mpi-nvrar:between=halving."""
    core = 1 << log2_down(nodes)
    folding = 2 * (nodes != core)
    return _nvrar_by(ranks, nodes, 2 * log2_down(core) + folding, 2 * (core - 1) / core + folding)


def nvrar_one_shot(ranks: int, nodes: int) -> Counts:
    """As ``nvrar``, with shards sent to all other nodes at once: 1 step, (N-1) n/G. Source: nvrar-put-oneshot,
    mpi-nvrar:between=one-shot."""
    return _nvrar_by(ranks, nodes, int(nodes > 1), nodes - 1)


def nvrar_two_shot(ranks: int, nodes: int) -> Counts:
    """As ``nvrar``, with a direct reduce-scatter and all-gather of shards between nodes: 2 steps, 2 (N-1)/N n/G.
    Source: mpi-nvrar:between=two-shot."""
    return _nvrar_by(ranks, nodes, 2 * (nodes > 1), 2 * (nodes - 1) / nodes)


def half_ring(ranks: int, nodes: int) -> Counts:
    """A reduce-scatter or an all-gather on a ring: P-1 steps, (P-1)/P n. Source as of ``ring``."""
    between = _ring_between(ranks, nodes, turns=1)
    sent = (ranks - 1) / ranks
    return Counts(ranks - 1 - between, between, 0.0 if nodes > 1 else sent, sent if nodes > 1 else 0.0)


def direct(ranks: int, nodes: int) -> Counts:
    """A reduce-scatter or an all-gather in one step, a message of n/P to each other rank. Source: our kernels
    oneshot-reduce-scatter and oneshot-all-gather."""
    return _on(nodes > 1, 1, _others(ranks, nodes) / ranks)


def binomial_broadcast(ranks: int, nodes: int) -> Counts:
    """ceil(log2 P) steps of n: those who have the message send it as far away as half of what is left. Source: Thakur,
    Rabenseifner and Gropp, IJHPCA 19 (2005)."""
    far = (1 << step for step in range(log2_up(ranks)))
    pairs = ([(at, at + each) for at in range(0, ranks - each, 2 * each)] for each in far)
    return _all(_on(_crosses(ranks, nodes, each), 1, 1.0) for each in pairs)


def binomial_gather(ranks: int, nodes: int) -> Counts:
    """ceil(log2 P) steps, (P-1)/P n: a rank collects what 1, 2, 4, ... ranks behind it have. Source as of
    ``binomial_broadcast``."""

    def step(far: int) -> Counts:
        senders = range(far, ranks, 2 * far)
        crossing = [at for at in senders if _crosses(ranks, nodes, [(at, at - far)])]
        most = max(min(far, ranks - at) for at in (crossing or senders))
        return _on(bool(crossing), 1, most / ranks)

    return _all(step(1 << index) for index in range(log2_up(ranks)))


def pairwise(ranks: int, nodes: int) -> Counts:
    """An all-to-all by pairwise exchange: P-1 steps of n/P, of which a rank has G-1 in its node. Source: Thakur,
    Rabenseifner and Gropp, IJHPCA 19 (2005)."""
    inside = ranks // nodes - 1
    return Counts(inside, ranks - 1 - inside, inside / ranks, (ranks - 1 - inside) / ranks)


def one_message(ranks: int, nodes: int) -> Counts:
    """One message of n, to another rank or to the next one in a ring."""
    return _on(nodes > 1, 1, 1.0)


ALL_REDUCES: Mapping[str, Algorithm] = MappingProxyType({
    "ring": ring, "tree": tree, "recursive doubling": recursive_doubling, "rabenseifner": rabenseifner,
    "one-shot": one_shot, "two-shot": two_shot, "nvrar": nvrar, "nvrar, paper's volume": nvrar_paper,
    "nvrar, code's volume": nvrar_code, "nvrar, halving": nvrar_halving, "nvrar, one-shot": nvrar_one_shot,
    "nvrar, two-shot": nvrar_two_shot,
})  # fmt: skip
_PARTS = MappingProxyType({"half ring": half_ring, "direct": direct})
ALGORITHMS: Mapping[str, Mapping[str, Algorithm]] = MappingProxyType({
    "all_reduce": ALL_REDUCES, "all_reduce_rms_norm": ALL_REDUCES, "reduce_scatter": _PARTS, "all_gather": _PARTS,
    "broadcast": MappingProxyType({"binomial": binomial_broadcast}),
    "gather": MappingProxyType({"binomial": binomial_gather}),
    "all_to_all": MappingProxyType({"pairwise": pairwise, "direct": direct}),
    "send": MappingProxyType({"message": one_message}), "send_recv": MappingProxyType({"message": one_message}),
})  # fmt: skip


@cache
def counts_of(operation: str, algorithm: str, ranks: int, nodes: int) -> Counts:
    """The counts of an algorithm of ALGORITHMS for ``ranks`` ranks, evenly on ``nodes`` nodes."""
    return ALGORITHMS[operation][algorithm](ranks, nodes)
