"""Which launch comes next: a launch is continued under its own conditions only, and its problems stay whole."""

from __future__ import annotations

from collections.abc import Sequence

from samples import a_layout, a_record, a_sweep

from collbench.measure.goal import Fixed, Wanted
from collbench.measure.next_launch import missing_rows, next_launch, next_leg
from collbench.plan.sweep import Sweep
from collbench.plan.variants import Variant
from collbench.results.records import Record

LAYOUTS = (a_layout(4),)
SWEEP = a_sweep(backends=("mpi", "mpi-ring"), sizes=(4096, 8192), launches=2)


def rows(*cases: tuple[int, str, int]) -> list[Record]:
    """Rows of (launch, backend, bytes)."""
    return [a_record(launch=launch, backend=name, bytes=size) for launch, name, size in cases]


def following(records: list[Record], *like_now: int) -> tuple[int, list[tuple[str, int]]] | None:
    """The next launch: its number, and its cases as (backend, bytes), sorted."""
    found = next_launch(SWEEP, LAYOUTS, records, like_now, Fixed(2))
    if found is None:
        return None
    number, plan = found
    return number, sorted((case.backend, case.problem.bytes) for group in plan.groups for case in group)


ALL = [("mpi", 4096), ("mpi", 8192), ("mpi-ring", 4096), ("mpi-ring", 8192)]
FIRST = rows(*((0, *case) for case in ALL))


def test_the_first_launch_and_the_second() -> None:
    assert following([]) == (0, ALL)
    assert following(FIRST, 0) == (1, ALL)
    assert following([*FIRST, *rows(*((1, *case) for case in ALL))], 0, 1) is None


def test_a_launch_that_ended_early_is_continued_where_nothing_has_changed() -> None:
    begun = [*FIRST, *rows((1, "mpi", 4096))]
    assert following(begun, 0, 1) == (1, ALL[1:])


def test_elsewhere_a_new_launch_times_whole_problems() -> None:
    begun = rows((0, "mpi", 4096), (0, "mpi", 8192), (0, "mpi-ring", 8192))
    assert following(begun) == (1, ALL), "two launches are wanted of all cases"
    nearly = [*FIRST, *rows((1, "mpi", 4096), (1, "mpi", 8192), (1, "mpi-ring", 8192))]
    assert following(nearly) == (2, [("mpi", 4096), ("mpi-ring", 4096)]), "mpi again, beside mpi-ring"


def test_an_added_backend_joins_the_launches_that_there_are() -> None:
    old = rows((0, "mpi", 4096), (0, "mpi", 8192), (1, "mpi", 4096), (1, "mpi", 8192))
    assert following(old, 0, 1) == (0, [("mpi-ring", 4096), ("mpi-ring", 8192)])
    assert following(old, 1) == (1, [("mpi-ring", 4096), ("mpi-ring", 8192)])


def test_rows_that_are_missing_are_counted_over_all_launches() -> None:
    assert missing_rows(SWEEP, LAYOUTS, [], Fixed(2)) == 8
    assert missing_rows(SWEEP, LAYOUTS, [*FIRST, *rows((1, "mpi", 4096))], Fixed(2)) == 3
    assert missing_rows(SWEEP, LAYOUTS, [*FIRST, *rows(*((1, *case) for case in ALL), (2, "mpi", 4096))], Fixed(2)) == 0


def test_what_no_backend_can_run_needs_a_row_too() -> None:
    tiny = a_sweep(backends=("mpi",), sizes=(1,), launches=1)
    assert missing_rows(tiny, LAYOUTS, [], Fixed(1)) == 1
    found = next_launch(tiny, LAYOUTS, [], (), Fixed(1))
    assert found is not None
    assert [skip.reason for skip in found[1].skips] == ["1 B is too small for one float32"]


def test_a_problem_needs_launches_that_have_all_of_its_backends() -> None:
    apart = [*FIRST, *rows((1, "mpi", 4096), (1, "mpi", 8192), (1, "mpi-ring", 8192), (2, "mpi-ring", 4096))]
    assert missing_rows(SWEEP, LAYOUTS, apart, Fixed(2)) == 1
    assert following(apart, 0, 1, 2) == (1, [("mpi-ring", 4096)])
    assert following(apart, 2) == (2, [("mpi", 4096)])


VARIANTS = (Variant("a", "mpi", (("MPICH_X", "1"),)), Variant("b", "mpi-ring", (("MPICH_X", "2"),)))
WITH_VARIANTS = a_sweep(launches=3, variants=VARIANTS)
NAMES = {"": "mpi", "a": "mpi@a", "b": "mpi-ring@b"}


def play(
    sweep: Sweep, records: list[Record], like_now: set[int], stop: int = 99
) -> tuple[list[Record], list[tuple[int, str]]]:
    """Run up to ``stop`` sets of ranks whose conditions are those of the launches ``like_now``; returns all rows, and
    launch and leg of each set."""
    found, ran, like_now = list(records), list[tuple[int, str]](), set(like_now)
    while len(ran) < stop and (leg := next_leg(sweep, LAYOUTS, found, Fixed(sweep.launches))) is not None:
        before = missing_rows(sweep, LAYOUTS, found, Fixed(sweep.launches))
        following = next_launch(sweep, LAYOUTS, found, like_now, Fixed(sweep.launches), leg)
        assert following is not None, "the leg that is chosen has something to do"
        number, plan = following
        cases = [case for group in plan.groups for case in group]
        assert {case.backend for case in cases} == {NAMES[leg]}
        found += [a_record(launch=number, backend=case.backend, bytes=case.problem.bytes) for case in cases]
        assert missing_rows(sweep, LAYOUTS, found, Fixed(sweep.launches)) < before or number not in like_now
        like_now.add(number)
        ran.append((number, leg))
    return found, ran


def test_a_launch_has_a_set_of_ranks_for_plain_backends_and_one_for_each_variant() -> None:
    found, ran = play(WITH_VARIANTS, [], set())
    assert ran == [(number, leg) for number in range(3) for leg in WITH_VARIANTS.legs(number)]
    assert missing_rows(WITH_VARIANTS, LAYOUTS, found, Fixed(3)) == 0


def test_an_interrupted_launch_goes_on_with_the_next_leg() -> None:
    for stop in range(1, 9):
        begun, ran = play(WITH_VARIANTS, [], set(), stop)
        assert missing_rows(WITH_VARIANTS, LAYOUTS, begun, Fixed(3)) == 9 - stop
        _, then = play(WITH_VARIANTS, begun, set(range(3)))
        assert [*ran, *then] == play(WITH_VARIANTS, [], set())[1]


def test_under_other_conditions_a_launch_begins_with_all_of_its_legs() -> None:
    begun, _ = play(WITH_VARIANTS, [], set(), stop=4)
    found, then = play(WITH_VARIANTS, begun, set())
    assert {number for number, _ in then} == {2, 3}
    for number in (0, 2, 3):
        assert {row.backend for row in found if row.launch == number} == set(NAMES.values())


def test_a_variant_that_is_added_joins_the_launches_that_there_are() -> None:
    first, _ = play(a_sweep(launches=3, variants=VARIANTS[:1]), [], set())
    _, then = play(WITH_VARIANTS, first, {0, 1, 2})
    assert then == [(0, "b"), (1, "b"), (2, "b")]


class Hasty(Fixed):
    """A goal that any row reaches."""

    def wanted(self, records: Sequence[Record]) -> Wanted:
        return lambda identity: 0 if records else 1


def test_a_launch_is_finished_as_it_was_begun_whatever_its_first_legs_decide() -> None:
    ran, found = list[str](), list[Record]()
    while (leg := next_leg(WITH_VARIANTS, LAYOUTS, found, Hasty(0))) is not None:
        following = next_launch(WITH_VARIANTS, LAYOUTS, found, {0}, Hasty(0), leg)
        assert following is not None
        assert following[0] == 0
        found += rows((0, NAMES[leg], 4096))
        ran.append(leg)
    assert ran == WITH_VARIANTS.legs(0)


def test_the_others_go_on_without_a_leg_that_is_given_up() -> None:
    found, ran = rows(), list[str]()
    while (leg := next_leg(WITH_VARIANTS, LAYOUTS, found, Fixed(3), {"a"})) is not None:
        following = next_launch(WITH_VARIANTS, LAYOUTS, found, {0, 1, 2}, Fixed(3), leg)
        assert following is not None
        found += rows((following[0], NAMES[leg], 4096))
        ran.append(leg)
    assert ran == [leg for number in range(3) for leg in WITH_VARIANTS.legs(number) if leg != "a"]
