"""Which launch comes next: a launch is continued under its own conditions only, and its problems stay whole."""

from __future__ import annotations

from samples import a_layout, a_record, a_sweep

from collbench.measure.goal import Fixed
from collbench.measure.next_launch import missing_rows, next_launch
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
