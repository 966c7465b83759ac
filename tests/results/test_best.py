"""The best of a family of backends: who belongs to it, and what is chosen by which launches, which flatters none."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
from samples import timed, untimed

from collbench.errors import UsageError
from collbench.results.best import FEWEST, UNCHOSEN, Best, best_of, check_name, choices, family_of, members, reading
from collbench.results.cases import CaseResult, cases
from collbench.results.pairs import ratio_within
from collbench.results.records import Record

NAMES = ("nccl", "nccl-symm", "nccl@tree", "ncclx", "nvrar", "mpi")


def launches(backend: str, *medians: float, **changes: object) -> list[Record]:
    """One case of a backend, launch by launch; NaN for a launch without a row."""
    return [
        timed(us, backend=backend, launch=launch, **changes) for launch, us in enumerate(medians) if not math.isnan(us)
    ]


def best(*rows: list[Record]) -> Best:
    return best_of("best(nccl)", cases(row for each in rows for row in each))


def judging(found: Best) -> list[int]:
    return [row.launch for row in found.case.timed]


def test_a_family_has_the_backend_its_kin_and_its_variants() -> None:
    assert [family_of(name) for name in ("best(nccl)", "nccl", "best")] == ["nccl", None, None]
    assert members("nccl", NAMES) == ["nccl", "nccl-symm", "nccl@tree"]
    for name in (*NAMES, "best(nccl)", "best(mpi)"):
        check_name(name, NAMES)
    for name in ("best()", "best(nvshmem)", "best(ncc)"):
        with pytest.raises(UsageError, match="has no backend to choose from; known: mpi, nccl, "):
            check_name(name, NAMES)
    with pytest.raises(UsageError, match="unknown backend 'nvrr'; did you mean 'nvrar'"):
        check_name("nvrr", NAMES)


def test_the_first_half_of_the_launches_chooses_and_the_other_judges() -> None:
    found = best(launches("nccl", 9, 9, 1, 1, 1), launches("nccl-symm", 5, 5, 30, 30, 30))
    assert (found.member, judging(found)) == ("nccl-symm", [2, 3, 4])
    assert found.case.median() == 30
    assert found.case.reason == "best(nccl) is nccl-symm, chosen on 2 launches and judged on 3"
    assert found.label == "nccl-symm"


@pytest.mark.parametrize(("count", "judged"), [(2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (20, 10)])
def test_half_of_the_launches_are_left(count: int, judged: int) -> None:
    found = best(launches("nccl", *([5.0] * count)))
    assert len(found.case.timed) == judged
    ratio = ratio_within(cases(launches("nvrar", *([4.0] * count)))[0], found.case, 1)
    assert (ratio.low is None) == (count < FEWEST)
    assert ("too few for a verdict, which needs 5 in all" in found.case.reason) == (count < FEWEST)


def test_with_one_launch_nothing_is_chosen() -> None:
    found = best(launches("nccl", 5.0), launches("nccl-symm", 6.0))
    assert (found.member, found.case.status, found.case.timed) == ("", UNCHOSEN, ())
    assert found.case.reason == "1 launch: half of them choose best(nccl), the others judge it"


def test_a_member_that_went_wrong_or_has_no_row_is_no_candidate_and_is_named() -> None:
    wrong = [*launches("nccl-symm", 1, 1, 1), untimed("wrong", backend="nccl-symm", launch=3)]
    late = launches("nccl@late", math.nan, math.nan, 2, 2)
    skipped = [untimed("skipped", backend="nccl@none", launch=launch) for launch in range(4)]
    found = best(launches("nccl", 5, 5, 5, 5), wrong, late, skipped)
    assert (found.member, judging(found)) == ("nccl", [2, 3])
    assert found.label == "nccl (without nccl-symm: wrong, nccl@late: not in the launches that choose)"


def test_without_any_candidate_the_gravest_says_why() -> None:
    failed = untimed("failed", "no memory", backend="nccl")
    wrong = untimed("wrong", "rank 1", backend="nccl-symm")
    found = best([failed], [wrong])
    assert (found.member, found.case.status, found.case.reason) == ("", "wrong", "rank 1")
    gone = best(launches("nccl", 5, 5, math.nan, math.nan), launches("nccl-symm", 9, 9, 9, 9))
    assert (gone.case.status, gone.case.timed) == (UNCHOSEN, ())
    assert "chosen on 2 launches and judged on 0, too few for a verdict, which needs 5 in all" in gone.case.reason


def test_the_order_of_rows_and_members_changes_nothing() -> None:
    rows = [*launches("nccl", 5, 6, 5, 6), *launches("nccl-symm", 6, 5, 5, 5), *launches("nccl@a", 9, 9, 9, 9)]
    one, other = (best_of("best(nccl)", cases(each)) for each in (rows, rows[::-1]))
    assert one.member == other.member == "nccl"
    assert one.case == other.case


def test_what_was_chosen_and_how_is_said_in_words() -> None:
    found = [
        best(launches("nccl", 5, 5, bytes=size), launches("nccl-symm", us, us, bytes=size))
        for size, us in ((4096, 4), (8192, 4), (16384, 6), (32768, 4))
    ]
    assert choices(found[::-1]) == "nccl-symm 4 KiB to 8 KiB, nccl 16 KiB, nccl-symm 32 KiB"
    (sentence,) = reading(found)
    assert sentence.startswith("best(nccl): at each size the fastest of nccl, nccl-symm in the first half")
    assert reading([]) == []


def naive(found: list[CaseResult]) -> CaseResult:
    """The fastest by all launches, judged by all of them."""
    return min(found, key=lambda case: case.median() or math.inf)


def test_of_equal_backends_the_best_is_no_faster_than_any_of_them() -> None:
    """1000 cases with four equal members and an equal rival, 2 % between launches: ratios rival ÷ best."""
    draw, count = np.random.default_rng(14), 6
    of_best, of_naive = [], []
    for us in np.exp(draw.normal(math.log(10), 0.02, (1000, 5, count))):
        rival, *family = cases(
            row for name, each in zip(("nvrar", "nccl", "nccl-a", "nccl@b", "nccl@c"), us, strict=True)
            for row in launches(name, *each)
        )  # fmt: skip
        of_best.append(ratio_within(rival, best_of("best(nccl)", family).case, 1))
        of_naive.append(ratio_within(rival, naive(family), 1))
    error = 0.02 * math.sqrt(2 / (count / 2) / 1000)  # of the mean log ratio over 3 pairs a case
    assert abs(fmean(math.log(ratio.value) for ratio in of_best)) < 3 * error
    assert fmean(math.log(ratio.value) for ratio in of_naive) > 9 * error, "the simulation finds what it looks for"
    slower = [sum(ratio.verdict == "slower" for ratio in side) / 1000 for side in (of_best, of_naive)]
    assert slower[0] < 0.025 + 3 * math.sqrt(0.025 / 1000)
    assert slower[1] > 0.05
