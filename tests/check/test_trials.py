"""The cases of a check: pairs by launch, runs by file, and what is wrong with a side."""

from __future__ import annotations

import math

from samples import timed, untimed

from collbench.check.trials import TIMER_STEP_US, trials_between, trials_within
from collbench.results.records import Record


def rows(backend: str, *medians: float, **changes: object) -> list[Record]:
    return [timed(us, launch=launch, backend=backend, **changes) for launch, us in enumerate(medians)]


def test_both_sides_of_a_file_are_paired_by_launch() -> None:
    (trial,) = trials_within([*rows("mpi", 1, 2, 3), *rows("new", 4, 5), *rows("other", 9)], "mpi", "new")
    series = trial.series()
    assert list(series.base_us) == [1, 2, 3]
    assert list(series.candidate_us[:2]) == [4, 5]
    assert math.isnan(series.candidate_us[2])


def test_a_size_that_one_side_lacks_is_a_trial_too() -> None:
    found = trials_within(
        [*rows("mpi", 1, 2), *rows("new", 1, 2, bytes=8192), *rows("mpi", 1, 2, bytes=8192)], "mpi", "new"
    )
    assert [(trial.record.bytes, len(trial.base), len(trial.candidate)) for trial in found] == [
        (4096, 1, 0),
        (8192, 1, 1),
    ]


def test_one_bad_launch_leaves_a_side_without_latency_and_is_named() -> None:
    (trial,) = trials_within(
        [*rows("mpi", 1, 2), *rows("new", 1), untimed("wrong", "3 of 1024", launch=1, backend="new")], "mpi", "new"
    )
    assert all(map(math.isnan, trial.series().candidate_us))
    assert trial.ill == "candidate wrong: 3 of 1024"


def test_the_step_of_the_timer_is_shared_by_the_calls_of_a_sample() -> None:
    (trial,) = trials_within(
        [*rows("mpi", 1, params="cache=hot;calls=8"), *rows("new", 1, params="calls=8")], "mpi", "new"
    )
    assert trial.step_us == TIMER_STEP_US / 8


def test_launches_after_the_first_look_do_not_move_the_step_of_the_timer() -> None:
    first, later = rows("mpi", *[1] * 5, params="calls=8"), rows("mpi", *[1] * 20, params="calls=2")[5:]
    (trial,) = trials_within([*first, *later], "mpi", "new")
    assert trial.step_us == TIMER_STEP_US / 8


def test_files_are_runs_and_cases_match_by_backend_or_by_the_names_given() -> None:
    base, new = rows("mpi", 1, 2), [*rows("mpi", 3), *rows("new", 5, 6)]
    each = {trial.record.backend: trial.sides() for trial in trials_between([base, base], [new], None)}
    assert list(map(list, each["mpi"].base_us)) == [[1, 2], [1, 2]]
    assert list(map(list, each["mpi"].candidate_us)) == [[3]]
    assert list(map(list, each["new"].base_us)) == [[]]
    (named,) = trials_between([base], [new], ("mpi", "new"))
    assert list(map(list, named.sides().candidate_us)) == [[5, 6]]
