"""Schedules of the textbook algorithms, message by message, which carry what they reduce: each is an all-reduce (or
what its name says), and its steps and bytes are counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

Blocks = frozenset[int]
Ways = dict[tuple[int, int], tuple[int, int]]  # by rank and block


@dataclass(frozen=True)
class Message:
    """``blocks`` of the message from one rank to another; they replace what it has there, or are added to it."""

    source: int
    target: int
    blocks: Blocks
    adds: bool


Round = list[Message]


@dataclass
class Run:
    """P ranks on N nodes, node after node, with a message of ``blocks`` equal blocks; ``holds[rank][block]`` is whose
    contributions the rank has added up, ``ways`` how far it has come: (steps, of which between nodes)."""

    ranks: int
    nodes: int
    blocks: int
    holds: list[dict[int, frozenset[int]]] = field(default_factory=list)
    ways: Ways = field(default_factory=lambda: defaultdict(lambda: (0, 0)))
    rounds: list[Round] = field(default_factory=list)

    def node(self, rank: int) -> int:
        return rank // (self.ranks // self.nodes)

    def crosses(self, message: Message) -> bool:
        return self.node(message.source) != self.node(message.target)

    def fill(self) -> Run:
        """Every rank has its own contribution to every block."""
        self.holds = [dict.fromkeys(range(self.blocks), frozenset({rank})) for rank in range(self.ranks)]
        return self

    def play(self, rounds: Iterable[Round]) -> Run:
        """Deliver round after round; what is sent is what was held before the round."""
        for messages in rounds:
            before = [dict(each) for each in self.holds]
            ways = dict(self.ways)
            for each in messages:
                self._deliver(each, before[each.source], ways)
            self.rounds.append(messages)
        return self

    def _deliver(
        self, message: Message, held: dict[int, frozenset[int]], ways: dict[tuple[int, int], tuple[int, int]]
    ) -> None:
        for block in message.blocks:
            mine, new = self.holds[message.target].get(block, frozenset()), held[block]
            assert not (message.adds and mine & new), "a contribution is added twice"
            self.holds[message.target][block] = mine | new if message.adds else new
            steps, between = ways.get((message.source, block), (0, 0))
            way = (steps + 1, between + self.crosses(message))
            self.ways[message.target, block] = max(self.ways[message.target, block], way)

    def is_complete(self) -> bool:
        """Whether every rank has everything of everyone."""
        everyone = frozenset(range(self.ranks))
        return all(held.get(block) == everyone for held in self.holds for block in range(self.blocks))

    def sent(self, messages: Round, between: bool) -> Fraction:
        """What the busiest rank sends on one level."""
        by_rank: dict[int, int] = defaultdict(int)
        for each in messages:
            by_rank[each.source] += len(each.blocks) * (self.crosses(each) == between)
        return Fraction(max(by_rank.values(), default=0), self.blocks)

    def by_rounds(self) -> tuple[int, int, Fraction, Fraction]:
        """Steps and bytes, inside and between, where a round with any message between nodes counts as between."""
        between = [any(map(self.crosses, messages)) for messages in self.rounds]
        sent = [self.sent(messages, out) for messages, out in zip(self.rounds, between, strict=True)]
        parts = [Fraction(), Fraction()]
        for out, part in zip(between, sent, strict=True):
            parts[out] += part
        return between.count(False), between.count(True), parts[0], parts[1]

    def as_pipeline(self) -> tuple[int, int, Fraction, Fraction]:
        """The longest way of a block, and what the busiest rank sends in all on the slower level."""
        steps, between = max(self.ways.values())
        everything = [each for messages in self.rounds for each in messages]
        out = self.nodes > 1
        sent = self.sent(everything, out)
        return steps - between, between, Fraction() if out else sent, sent if out else Fraction()


def _all_blocks(count: int) -> Blocks:
    return frozenset(range(count))


def ring(run: Run, gathers: bool = True, scatters: bool = True) -> Iterator[Round]:
    """Block c starts at rank c, is complete at the rank before it, and then passes every rank a second time."""
    ranks = run.ranks
    for adds in [*([True] if scatters else []), *([False] if gathers else [])]:
        for step in range(ranks - 1):
            ahead = 0 if adds else (1 if scatters else 0)
            yield [Message(at, (at + 1) % ranks, frozenset({(at + ahead - step) % ranks}), adds) for at in range(ranks)]


def _real(ranks: int) -> tuple[list[int], int]:
    core = 1
    while 2 * core <= ranks:
        core *= 2
    extra = ranks - core
    return [2 * at + 1 if at < extra else at + extra for at in range(core)], extra


def recursive_doubling(run: Run) -> Iterator[Round]:
    whole, (real, extra) = _all_blocks(run.blocks), _real(run.ranks)
    if extra:
        yield [Message(2 * at, 2 * at + 1, whole, True) for at in range(extra)]
    far = 1
    while far < len(real):
        yield [Message(real[at], real[at ^ far], whole, True) for at in range(len(real))]
        far *= 2
    if extra:
        yield [Message(2 * at + 1, 2 * at, whole, False) for at in range(extra)]


def rabenseifner(run: Run) -> Iterator[Round]:
    """``run.blocks`` is the number of ranks in the doubling."""
    whole, (real, extra) = _all_blocks(run.blocks), _real(run.ranks)
    if extra:
        yield [Message(2 * at, 2 * at + 1, whole, True) for at in range(extra)]
    steps = [1 << step for step in range(len(real).bit_length() - 1)]

    def kept(at: int, far: int) -> Blocks:
        """A rank keeps the blocks whose number has its own bits up to that of ``far``."""
        return frozenset(block for block in whole if (block ^ at) % (2 * far) == 0)

    for far in steps:
        yield [Message(real[at], real[at ^ far], kept(at ^ far, far), True) for at in range(len(real))]
    for far in reversed(steps):
        yield [Message(real[at], real[at ^ far], kept(at, far), False) for at in range(len(real))]
    if extra:
        yield [Message(2 * at + 1, 2 * at, whole, False) for at in range(extra)]


def one_shot(run: Run) -> Iterator[Round]:
    whole = _all_blocks(run.blocks)
    yield [Message(at, to, whole, True) for at in range(run.ranks) for to in range(run.ranks) if to != at]


def direct_scatter(run: Run) -> Iterator[Round]:
    yield [Message(at, to, frozenset({to}), True) for at in range(run.ranks) for to in range(run.ranks) if to != at]


def direct_gather(run: Run) -> Iterator[Round]:
    yield [Message(at, to, frozenset({at}), False) for at in range(run.ranks) for to in range(run.ranks) if to != at]


def two_shot(run: Run) -> Iterator[Round]:
    yield from direct_scatter(run)
    yield from direct_gather(run)


def nvrar(run: Run) -> Iterator[Round]:
    """``run.blocks`` is G: a direct reduce-scatter in the node, recursive doubling of shards, a direct all-gather."""
    each, nodes = run.ranks // run.nodes, run.nodes
    local = [
        (at, to) for at in range(run.ranks) for to in range(run.ranks) if at != to and run.node(at) == run.node(to)
    ]
    if local:
        yield [Message(at, to, frozenset({to % each}), True) for at, to in local]
    core = 1 << (nodes.bit_length() - 1)

    def shards(pairs: Iterable[tuple[int, int]], adds: bool) -> Round:
        both = [(one * each + at, other * each + at) for one, other in pairs for at in range(each)]
        return [Message(source, target, frozenset({source % each}), adds) for source, target in both]

    if nodes > core:
        yield shards(((node, node - core) for node in range(core, nodes)), True)
    far = 1
    while far < core:
        yield shards(((node, node ^ far) for node in range(core)), True)
        far *= 2
    if nodes > core:
        yield shards(((node - core, node) for node in range(core, nodes)), False)
    if local:
        yield [Message(at, to, frozenset({at % each}), False) for at, to in local]


def halved_nvrar(run: Run) -> Iterator[Round]:
    """Block b is of shard b // N: rings in the nodes, and recursive halving of the shards between N nodes, a power of
    two."""
    each, nodes = run.ranks // run.nodes, run.nodes

    def shard(number: int) -> Blocks:
        return frozenset(range(number % each * nodes, (number % each + 1) * nodes))

    def ring_in_nodes(ahead: int, adds: bool) -> Iterator[Round]:
        for step in range(each - 1):
            hops = [(at, at // each * each + (at + 1) % each) for at in range(run.ranks)]
            yield [Message(at, to, shard(at % each + ahead - step), adds) for at, to in hops]

    def half(rank: int, far: int) -> Blocks:
        """Of the shard that a rank has after its ring, what the node at this distance keeps."""
        other = rank // each ^ far
        return frozenset(block for block in shard(rank % each + 1) if (block % nodes ^ other) % (2 * far) == 0)

    yield from ring_in_nodes(0, True)
    for step in range(nodes.bit_length() - 1):
        ranks, far = range(run.ranks), 1 << step
        yield [Message(rank, (rank // each ^ far) * each + rank % each, half(rank, far), True) for rank in ranks]
    yield from ring_in_nodes(1, False)


def binomial_broadcast(run: Run) -> Iterator[Round]:
    far = 1 << ((run.ranks - 1).bit_length() - 1)
    while far:
        yield [Message(at, at + far, frozenset({0}), False) for at in range(0, run.ranks - far, 2 * far)]
        far //= 2


def binomial_gather(run: Run) -> Iterator[Round]:
    far = 1
    while far < run.ranks:
        yield [
            Message(at, at - far, frozenset(range(at, min(at + far, run.ranks))), False)
            for at in range(far, run.ranks, 2 * far)
        ]
        far *= 2


def pairwise(run: Run) -> Iterator[Round]:
    """Step k exchanges with the rank whose number differs by k; P is a power of two. Blocks are numbered by where they
    go; that they arrive is all that matters here."""
    for step in range(1, run.ranks):
        yield [Message(at, at ^ step, frozenset({at ^ step}), True) for at in range(run.ranks)]


def _parent(at: int, count: int) -> int:
    """NCCL's tree over ``count`` nodes (src/graph/trees.cc): -1 for the root, 0."""
    bit = at & -at
    if not at:
        return -1
    up = (at ^ bit) | (bit << 1)
    return up if up < count else at ^ bit


def trees(run: Run) -> Iterator[Round]:
    """Two trees over nodes, block 0 and 1, above a chain in each node: up step by step, then down."""
    count, each = run.nodes, run.ranks // run.nodes
    both = [(tree, node) for tree in (0, 1) for node in range(count)]

    def parent(tree: int, node: int) -> int:
        """In the second tree nodes are in reverse order, or moved by one where their number is odd."""
        mirrored = [count - 1 - at if count % 2 == 0 else (at - 1) % count for at in range(count)]
        up = _parent(mirrored[node] if tree else node, count)
        return mirrored.index(up) if tree and up >= 0 else up

    def depth(tree: int, node: int) -> int:
        up = parent(tree, node)
        return 0 if up < 0 else 1 + depth(tree, up)

    def up(tree: int, source: int, target: int) -> Message:
        return Message(source, target, frozenset({tree}), True)

    ups = [[up(tree, node * each + at, node * each + at - 1) for tree, node in both] for at in range(each - 1, 0, -1)]
    ups += [
        [up(tree, node * each, parent(tree, node) * each) for tree, node in both if depth(tree, node) == level]
        for level in range(max(depth(*place) for place in both), 0, -1)
    ]
    yield from ups
    for messages in reversed(ups):
        yield [Message(sent.target, sent.source, sent.blocks, False) for sent in messages]


Schedule = Callable[[Run], Iterator[Round]]
