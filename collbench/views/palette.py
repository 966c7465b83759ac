"""Colours and markers of backends: the same in every chart, and distinct to the colour-blind."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

Style = tuple[str, str]  # colour and marker
GREY, RED = "#6b6b6b", "#b00020"
# Ground of words that lines pass behind.
PAPER: Mapping[str, Any] = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
# Okabe and Ito's palette, and darker colours at a distance from it for normal, protan, deutan and tritan vision.
KNOWN: Mapping[str, Style] = {
    "nccl": ("#0072B2", "o"),
    "nccl-symm": ("#56B4E9", "s"),
    "nvshmem": ("#009E73", "^"),
    "nvrar": ("#D55E00", "D"),
    "mpi": ("#882255", "o"),
    "mpi-nvrar": ("#E69F00", "D"),
    "mpi-ring": ("#7F3FFF", "v"),
    "nvrar-lamport": ("#CC79A7", "v"),
    "nvrar-ll": ("#000000", "P"),
    "nvrar-put": ("#5A3A00", "X"),
    "nvrar-put-lamport": ("#BB66FF", "<"),
    "nvrar-put-oneshot": ("#003322", ">"),
    "nvrar-put-oneshot-lamport": ("#500040", "d"),
    "nvrar-put-halving": ("#6600BB", "p"),
    "oneshot": ("#332288", "h"),
}
OTHERS = ("#E1004B", "#4B693C", "#782D78", "#C3A55A")
MARKERS = "<>pdvPX"  # 7 markers and 4 colours: 28 looks before one repeats
LOOKS = tuple((OTHERS[at % len(OTHERS)], MARKERS[at % len(MARKERS)]) for at in range(len(OTHERS) * len(MARKERS)))


def styles(names: Iterable[str]) -> dict[str, Style]:
    """Colour and marker of each name.

    A name that is not known has those that its checksum selects, in any company; of two with the same colour, the later
    one in sorted order takes the next free colour, or where all are taken, the next free look.
    """
    found = dict(KNOWN)
    taken: list[Style] = []
    for name in sorted(set(names) - KNOWN.keys()):
        found[name] = _free(zlib.crc32(name.encode()), taken)
        taken.append(found[name])
    return found


def _free(start: int, taken: Collection[Style]) -> Style:
    """The first look from ``start`` on whose colour is free, else that is free itself, else that at ``start``."""
    looks = [LOOKS[(start + step) % len(LOOKS)] for step in range(len(LOOKS))]
    colours = {colour for colour, _ in taken}
    preferred = itertools.chain(
        (look for look in looks if look[0] not in colours), (look for look in looks if look not in taken)
    )
    return next(preferred, looks[0])
