"""One descriptor per collective: elements sent and received per rank, sources of the output, bus factor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OPS = ("sum", "min", "max", "avg")
ROOT, RECEIVER = 0, 1  # of broadcast, gather and send


@dataclass(frozen=True)
class Piece:
    """The source of one contiguous part of a rank's output.

    ``output[start : start + count]`` is the reduction, over the ranks in ``sources``, of each one's
    ``input[origin : origin + count]``; with a single source it is a copy. Units: elements.
    """

    start: int
    count: int
    sources: tuple[int, ...]
    origin: int


@dataclass(frozen=True)
class Collective:
    """A collective on a message of ``n`` elements (the larger of the two buffers) and ``ranks`` ranks.

    ``send(n, ranks, rank)`` and ``recv(n, ranks, rank)`` are element counts; ``pieces(n, ranks, rank)``
    defines the output; ``bus_factor(ranks)`` converts algorithm to bus bandwidth (nccl-tests, PERFORMANCE.md).
    ``splits``: n is a multiple of the number of ranks. ``in_place(n, ranks, rank)`` is the offset of the input
    inside the output (negative: of the output inside the input), or None where MPI and NCCL define none.
    ``normalises``: a message is rows, whose weight follows it in the input; the output is the normalised rows and then
    a residual, which a call updates: the reduction has the old residual as one more contribution, numbered ``ranks``.
    ``between_two``: it is defined for two ranks alone.
    """

    name: str
    reduces: bool
    splits: bool
    send: Callable[[int, int, int], int]
    recv: Callable[[int, int, int], int]
    pieces: Callable[[int, int, int], tuple[Piece, ...]]
    bus_factor: Callable[[int], float]
    in_place: Callable[[int, int, int], int] | None
    normalises: bool = False
    between_two: bool = False

    def __reduce__(self) -> tuple[Callable[[str], Collective], tuple[str]]:
        """Pickle by name: functions in the fields cannot be pickled."""
        return find, (self.name,)

    @property
    def has_root(self) -> bool:
        """Whether one rank has another part than the others, so that ranks are not expected to take equally long."""
        parts = (self.send, self.recv)
        return any(part(2, 2, ROOT) != part(2, 2, rank) for part in parts for rank in range(2))

    def count(self, size: int, itemsize: int, ranks: int, hidden: int = 0) -> int:
        """Elements in a message of ``size`` bytes, rounded down as nccl-tests does, and to whole rows of ``hidden``
        elements where there are rows; 0 where none fits."""
        step = hidden or (ranks if self.splits else 1)
        return size // itemsize // step * step


def _whole(n: int, ranks: int, rank: int) -> int:
    return n


def _share(n: int, ranks: int, rank: int) -> int:
    return n // ranks


def _at_root(n: int, ranks: int, rank: int) -> int:
    return n if rank == ROOT else 0


def _at_receiver(n: int, ranks: int, rank: int) -> int:
    return n if rank == RECEIVER else 0


def _same_place(n: int, ranks: int, rank: int) -> int:
    return 0


def _own_share(n: int, ranks: int, rank: int) -> int:
    return rank * (n // ranks)


def _gathered(n: int, ranks: int, rank: int) -> tuple[Piece, ...]:
    share = n // ranks
    return tuple(Piece(source * share, share, (source,), 0) for source in range(ranks))


def _exchanged(n: int, ranks: int, rank: int) -> tuple[Piece, ...]:
    share = n // ranks
    return tuple(Piece(source * share, share, (source,), rank * share) for source in range(ranks))


def _one_to_all(n: int, ranks: int, rank: int) -> tuple[Piece, ...]:
    return (Piece(0, n, (ROOT,), 0),)


_ALL = (
    Collective(
        name="all_reduce",
        reduces=True,
        splits=False,
        send=_whole,
        recv=_whole,
        pieces=lambda n, ranks, rank: (Piece(0, n, tuple(range(ranks)), 0),),
        bus_factor=lambda ranks: 2 * (ranks - 1) / ranks,
        in_place=_same_place,
    ),
    Collective(
        name="reduce_scatter",
        reduces=True,
        splits=True,
        send=_whole,
        recv=_share,
        pieces=lambda n, ranks, rank: (Piece(0, n // ranks, tuple(range(ranks)), rank * (n // ranks)),),
        bus_factor=lambda ranks: (ranks - 1) / ranks,
        in_place=lambda n, ranks, rank: -rank * (n // ranks),
    ),
    Collective(
        name="all_gather",
        reduces=False,
        splits=True,
        send=_share,
        recv=_whole,
        pieces=_gathered,
        bus_factor=lambda ranks: (ranks - 1) / ranks,
        in_place=_own_share,
    ),
    Collective(
        name="broadcast",
        reduces=False,
        splits=False,
        send=_at_root,
        recv=_whole,
        pieces=_one_to_all,
        bus_factor=lambda ranks: 1.0,
        in_place=_same_place,
    ),
    Collective(
        name="gather",
        reduces=False,
        splits=True,
        send=_share,
        recv=_at_root,
        pieces=lambda n, ranks, rank: _gathered(n, ranks, rank) if rank == ROOT else (),
        bus_factor=lambda ranks: (ranks - 1) / ranks,
        in_place=None,
    ),
    Collective(
        name="send_recv",
        reduces=False,
        splits=False,
        send=_whole,
        recv=_whole,
        pieces=lambda n, ranks, rank: (Piece(0, n, ((rank - 1) % ranks,), 0),),
        bus_factor=lambda ranks: 1.0,
        in_place=None,
    ),
    # In place it is defined by MPI alone.
    Collective(
        name="all_to_all",
        reduces=False,
        splits=True,
        send=_whole,
        recv=_whole,
        pieces=_exchanged,
        bus_factor=lambda ranks: (ranks - 1) / ranks,
        in_place=None,
    ),
    # One way: rank 0 receives nothing, so that in a chain of sends it may run ahead, as far as the library lets it.
    Collective(
        name="send",
        reduces=False,
        splits=False,
        send=_at_root,
        recv=_at_receiver,
        pieces=lambda n, ranks, rank: _one_to_all(n, ranks, rank) if rank == RECEIVER else (),
        bus_factor=lambda ranks: 1.0,
        in_place=None,
        between_two=True,
    ),
    Collective(
        name="all_reduce_rms_norm",
        reduces=True,
        splits=False,
        send=_whole,
        recv=lambda n, ranks, rank: 2 * n,
        pieces=lambda n, ranks, rank: (Piece(n, n, tuple(range(ranks + 1)), 0),),
        bus_factor=lambda ranks: 2 * (ranks - 1) / ranks,
        in_place=None,
        normalises=True,
    ),
)

COLLECTIVES = {collective.name: collective for collective in _ALL}


def find(name: str) -> Collective:
    """The collective called ``name``."""
    return COLLECTIVES[name]
