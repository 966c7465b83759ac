"""The model by hand, and its gradient by differences."""

from __future__ import annotations

import numpy as np
import pytest

from collbench.fit.lines import ONE, QUICKER, SLOWER, Floats, Shape, evaluate, unknowns

# base 5; line one: 1 us a step, 0.001 us a byte inside, 10 and 0.01 between; line two: 4 and 0.0005, 40 and 0.005
TWO = np.log([[5, 1, 0.001, 10, 0.01, 4, 0.0005, 40, 0.005]])
WAYS = np.array([[[6.0, 1500, 0, 0], [2.0, 3000, 0, 0]], [[2.0, 100, 1.0, 1000], [0, 0, 1.0, 3000]]])


def by_hand(shape: Shape) -> list[float]:
    if shape == ONE:
        return [5 + min(6 + 1.5, 2 + 3), 5 + min(2 + 0.1 + 10 + 10, 10 + 30)]
    lines = ((5.0, 22.1), (min(24 + 0.75, 8 + 1.5), min(8 + 0.05 + 40 + 5, 40 + 15)))
    return [5 + (max if shape.slower else min)(one, two) for one, two in zip(*lines, strict=True)]


@pytest.mark.parametrize("shape", [ONE, QUICKER, SLOWER], ids=str)
def test_the_quickest_algorithm_on_one_line_or_two(shape: Shape) -> None:
    values, _ = evaluate(WAYS, shape, TWO[:, : shape.constants])
    assert values[0] == pytest.approx(by_hand(shape))


@pytest.mark.parametrize("shape", [ONE, QUICKER, SLOWER], ids=str)
def test_the_gradient_is_that_of_logarithms(shape: Shape) -> None:
    at = np.repeat(TWO[:, : shape.constants], 2, axis=0)
    at[1] += 0.1
    _, gradient = evaluate(WAYS, shape, at)

    def logs(place: int, by: float) -> Floats:
        moved = at.copy()
        moved[:, place] += by
        return np.log(evaluate(WAYS, shape, moved)[0])

    for place in range(shape.constants):
        slope = (logs(place, 1e-6) - logs(place, -1e-6)) / 2e-6
        assert gradient[:, :, place] == pytest.approx(slope, abs=1e-6)


def test_base_is_unknown_where_all_take_equally_many_steps() -> None:
    one_world = np.array([[[6.0, 1.5 * size, 0, 0]] for size in (1, 10, 100)])
    assert unknowns(one_world, ONE) == (2, False)
    assert unknowns(one_world, QUICKER) == (4, False)
    two_worlds = np.concatenate([one_world, [[[2.0, 1.0, 0, 0]]]])
    assert unknowns(two_worlds, ONE) == (3, True)
    levels = np.array(
        [[[1.0, 10, 0, 0]], [[1.0, 20, 0, 0]], [[2.0, 10, 1.0, 5]], [[2.0, 20, 3.0, 5]], [[4.0, 9, 1, 7]]]
    )
    assert unknowns(levels, ONE) == (5, True)


def test_an_algorithm_that_is_never_the_quickest_tells_nothing() -> None:
    """Of two ranks one shot and two shots send the same, the latter in two steps; of four neither is always better."""
    of_two = np.array([[[1.0, size, 0, 0], [2.0, size, 0, 0]] for size in (1, 10, 100)])
    assert unknowns(of_two, ONE) == (2, False)
    assert unknowns(of_two[:, [0, 0]], ONE) == (2, False), "of equals the first"
    of_four = np.array([[[1.0, 3.0 * size, 0, 0], [2.0, 1.5 * size, 0, 0]] for size in (1, 10, 100)])
    assert unknowns(of_four, ONE) == (3, True)
