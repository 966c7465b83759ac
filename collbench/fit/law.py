"""A fitted model of one backend and collective: what it predicts, and how far off it may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collbench.errors import UsageError
from collbench.fit.curves import World, ways
from collbench.fit.estimate import ASSUMED, MODELLED, Estimate, check_request
from collbench.fit.families import Family
from collbench.fit.lines import Floats, Shape, evaluate
from collbench.tables import counted

INSIDE, BETWEEN = 1, 3  # the places of alpha in a line
_TAILS = (2.5, 97.5)
# Of the committed results files, nine in ten predictions for a world that was held out are off by less: the error where
# none can be held out, and what each doubling beyond the first adds.
UNJUDGED = math.log(1.4)


@dataclass(frozen=True, eq=False)
class Law:
    """The constants of a model as logarithms (microseconds): fitted (constants), and drawn again and again (draws,
    constants), which gives their ranges.

    ``errors`` are logarithms of measured over predicted latency at sizes that were held out, ``world_errors`` in worlds
    that were. ``worlds`` were measured; ``links`` are the places of alpha of the levels that occur in them. ``basis``
    is that of a prediction inside the measured worlds.
    """

    family: Family
    shape: Shape
    constants: Floats
    drawn: Floats
    errors: tuple[float, ...]
    world_errors: tuple[float, ...]
    worlds: tuple[World, ...]
    links: frozenset[int]
    origin: str
    basis: str = MODELLED

    def us(self, sizes: Sequence[int], ranks: int, nodes: int, drawn: bool = False, virtual: bool = False) -> Floats:
        """Latencies in microseconds (sets of constants, sizes): of the fitted constants, or of all drawn ones. Raises
        UsageError for an impossible world, and for one with links that no measured world has."""
        for size in sizes:
            check_request(size, ranks, nodes)
        asked = np.array([ways(self.family, size, ranks, nodes, virtual) for size in sizes])
        for place, words in ((INSIDE, "with several ranks on a node"), (BETWEEN, "of several nodes")):
            if place not in self.links and asked[:, :, place - 1].any():
                raise UsageError(f"{self.origin} has no world {words}, which {_world_words((ranks, nodes))} need.")
        return evaluate(asked, self.shape, self.drawn if drawn else self.constants[None, :])[0]

    def estimate(self, size: int, ranks: int, nodes: int) -> Estimate:
        """The latency with its 95 % range: of the drawn constants, and of the errors at held-out sizes; in a world that
        was not measured, of the errors in held-out worlds, and UNJUDGED for each further doubling of ranks or nodes."""
        middle, low, high = (float(each[0]) for each in self.bands([size], ranks, nodes))
        far = self.distance(ranks, nodes)
        basis = self.basis if self.covers(ranks, nodes) else ASSUMED
        what = "" if far == 0 else " in another world"
        source = f"{self.origin}: {', '.join(self.family.on(nodes))}, {self.shape}{what}"
        return Estimate(middle, low, high, basis, source)

    def bands(
        self, sizes: Sequence[int], ranks: int, nodes: int, virtual: bool = False
    ) -> tuple[Floats, Floats, Floats]:
        """Latencies and both ends of their ranges, for each size."""
        middle = self.us(sizes, ranks, nodes, virtual=virtual)[0]
        shifts = np.log(self.us(sizes, ranks, nodes, drawn=True, virtual=virtual) / middle)
        far = self.distance(ranks, nodes)
        errors = np.array(self.world_errors if far else self.errors)
        errors += np.sign(errors) * UNJUDGED * max(0.0, far - 1)
        both = (shifts[:, None, :] + errors[None, :, None]).reshape(-1, len(sizes))
        low, high = np.percentile(both, _TAILS, axis=0)
        return middle, middle * np.exp(np.minimum(0, low)), middle * np.exp(np.maximum(0, high))

    def distance(self, ranks: int, nodes: int) -> float:
        """Doublings of ranks on a node and of nodes from the nearest measured world; 0 if this one was measured."""
        per_node = ranks // nodes
        return min(abs(math.log2(per_node * n / r)) + abs(math.log2(nodes / n)) for r, n in self.worlds)

    def covers(self, ranks: int, nodes: int) -> bool:
        """Whether the world lies within those measured, in ranks on a node and in nodes."""
        each, counts = [r // n for r, n in self.worlds], [n for _, n in self.worlds]
        return min(each) <= ranks // nodes <= max(each) and min(counts) <= nodes <= max(counts)

    def interval(self, place: int) -> tuple[float, float, float]:
        """A constant by its place and its 95 % interval."""
        low, high = np.exp(np.percentile(self.drawn[:, place], _TAILS))
        return float(np.exp(self.constants[place])), float(low), float(high)


def _world_words(world: World) -> str:
    return f"{counted(world[0], 'rank')} on {counted(world[1], 'node')}"
