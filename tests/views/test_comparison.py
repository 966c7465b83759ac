"""Ratios between backends and between files: which launches are set against which, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples import a_record, timed, untimed
from shown import show

from collbench.errors import UsageError
from collbench.printer.forms import Form
from collbench.results.cases import cases
from collbench.results.records import Record, load
from collbench.results.verdicts import Ratio
from collbench.tables import show_us
from collbench.views.comparison import (
    Comparison,
    Comparisons,
    compare_backends,
    compare_files,
    default_baseline,
)


def launches(backend: str, *medians: float) -> list[Record]:
    """One case of a backend, launch by launch."""
    return [timed(us, backend=backend, launch=launch) for launch, us in enumerate(medians)]


def pairs(found: Comparisons) -> list[tuple[str, str, float]]:
    """Who is compared with whom, and the ratio."""
    return [(each.a, each.b, round(each.ratio.value, 6)) for each in found.judged]


def missed(found: Comparisons) -> list[tuple[str, int, str]]:
    """Who has no verdict on what, and why: name, bytes, status."""
    return [(name, case.record.bytes, case.status) for row in found.unjudged for name, case in row.without]


def reject(constant: str) -> None:
    """NaN and Infinity are no JSON."""
    raise AssertionError(constant)


@pytest.mark.parametrize(
    ("names", "baseline"),
    [
        (["mpi", "nvrar", "nccl"], "nccl"),
        (["mpi-nvrar", "mpi"], "mpi"),
        (["nvshmem", "mpi-nvrar"], "mpi-nvrar"),
        ([], None),
    ],
)
def test_the_baseline_is_nccl_or_mpi_or_the_first_by_name(names: list[str], baseline: str | None) -> None:
    assert default_baseline(names) == baseline


def test_every_other_backend_is_compared_with_the_baseline() -> None:
    records = [timed(us, backend=name) for name, us in {"nvrar": 5.0, "nccl": 10.0, "mpi": 40.0}.items()]
    assert pairs(compare_backends(records)) == [("mpi", "nccl", 4.0), ("nvrar", "nccl", 0.5)]


def test_two_backends_are_compared_in_the_order_given() -> None:
    records = [timed(us, backend=name) for name, us in {"nvrar": 5.0, "nccl": 10.0, "mpi": 40.0}.items()]
    assert pairs(compare_backends(records, ("nvrar", "mpi"))) == [("nvrar", "mpi", 0.125)]
    (found,) = compare_backends(records, ("mpi", "nvrar")).judged
    assert (found.a_us, found.b_us, found.record.backend) == (40.0, 5.0, "mpi")


def test_only_cases_that_both_timed_are_compared() -> None:
    mine = [timed(10.0, backend="nvrar", bytes=size) for size in (64, 128, 256)]
    theirs = [timed(5.0, backend="nccl", bytes=size) for size in (128, 512)]
    none = [untimed("wrong", backend="nccl", bytes=64), untimed("skipped", backend="nccl", bytes=256)]
    found = compare_backends([*mine, *theirs, *none])
    assert [each.record.bytes for each in found.judged] == [128]
    assert missed(found) == [("nccl", 64, "wrong"), ("nccl", 256, "skipped")]


def test_cases_differ_in_every_choice() -> None:
    records = [timed(10.0, backend="nvrar"), timed(5.0, backend="nccl", dtype="bfloat16")]
    assert compare_backends(records) == Comparisons(())


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("nvrar", "nvra"), "unknown backend 'nvra'; did you mean 'nvrar'"),
        (("nvrar",), "a comparison needs two backends, A,B, not 1"),
        (("nvrar", "nccl", "nvrar"), "A,B, not 3"),
    ],
)
def test_backends_that_cannot_be_compared_are_usage_errors(names: tuple[str, ...], words: str) -> None:
    records = [timed(5.0, backend="nvrar"), timed(10.0, backend="nccl")]
    with pytest.raises(UsageError, match=words):
        compare_backends(records, names)


def test_files_are_compared_case_by_case() -> None:
    old = [timed(10.0, backend="nvrar"), timed(20.0, backend="nccl"), timed(9.0, backend="nccl", bytes=64)]
    new = [timed(5.0, backend="nvrar"), timed(20.0, backend="nccl"), timed(9.0, backend="mpi", bytes=64)]
    found = compare_files(old, new)
    assert pairs(found) == [("nvrar (A)", "nvrar (B)", 2.0), ("nccl (A)", "nccl (B)", 1.0)]
    assert pairs(compare_files(old, new, ("nccl",))) == [("nccl (A)", "nccl (B)", 1.0)]


def test_cases_of_one_file_only_are_counted_and_named_in_every_form() -> None:
    mine = [timed(9.0, bytes=size, backend=name) for name in ("nccl", "mpi") for size in (128, 64)]
    theirs = [timed(9.0, bytes=64), timed(9.0, bytes=256), untimed("skipped", bytes=512)]
    found = compare_files(mine, theirs)
    assert len(found.judged) == 1
    title = "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain"
    for form in (Form.PLAIN, Form.MARKDOWN):
        assert f"3 cases only in A:\n- nccl, {title}: 64 B, 128 B\n- mpi, {title}: 128 B\n\n" in show(found, form)
        assert f"1 case only in B:\n- mpi, {title}: 256 B\n\n" in show(found, form)
    shown = [row for row in json.loads(show(found, Form.JSON), parse_constant=reject) if row["reason"]]
    assert [(row["a"], row["bytes"], row["a_status"], row["b_status"], row["reason"]) for row in shown] == [
        ("nccl (A)", 128, "ok", None, "only in A"),
        ("nccl (A)", 64, "ok", None, "only in A"),
        ("mpi (A)", 128, "ok", None, "only in A"),
        ("mpi (A)", 256, None, "ok", "only in B"),
    ]
    assert len(compare_files(mine, theirs, ("nccl",)).alone) == 2


@pytest.mark.parametrize("count", [1, 2])
def test_below_three_launches_there_is_no_verdict_however_far_apart_they_are(count: int) -> None:
    words = f"unclear ({count} launch{'es' * (count > 1)})"
    mine, theirs = launches("nvrar", *[1.0] * count), launches("nccl", *[10.0] * count)
    for found in (compare_backends([*mine, *theirs]), compare_files(mine, launches("nvrar", *[10.0] * 9))):
        (row,) = found.judged
        assert (row.ratio.verdict, row.ratio.launches, row.ratio.low, row.ratio.high) == (words, count, None, None)
        assert words in show(found)
        assert f"{words.split('(')[1][:-1]}: no verdict, and no interval over launches; --launches 3" in show(found)


def test_the_sizes_of_a_panel_and_a_pair_are_judged_together() -> None:
    cases = [(64, "chain"), (128, "chain"), (64, "isolated")]
    rows = [
        timed(10.0, backend=name, bytes=size, mode=mode, launch=launch)
        for size, mode in cases
        for name in ("mpi", "nvrar", "nccl")
        for launch in range(3)
    ]
    found = compare_backends(
        [*rows, untimed("wrong", backend="nvrar", bytes=256), timed(1.0, backend="nccl", bytes=256)]
    )
    together = [(row.a, row.record.bytes, row.record.mode, row.ratio.together) for row in found.judged]
    assert together == [(name, *case, 1 + (case[1] == "chain")) for name in ("mpi", "nvrar") for case in cases]


def test_two_files_are_judged_without_pairs_and_no_interval_covers_other_runs() -> None:
    drifting = [10.0 * 1.1**launch for launch in range(4)]
    found = compare_files(launches("nvrar", *(1.01 * us for us in drifting)), launches("nvrar", *drifting))
    assert found.judged[0].ratio.verdict == "unclear"  # it would be slower in pairs
    text = show(found)
    assert "Welch's t, launches unpaired, for launches like these" in text
    assert "Runs differ beyond their launches" in text
    assert json.loads(show(found, Form.JSON))[0]["covers"] == "launches like these, of these two runs"
    assert "a verdict needs more than 4 %" in text


def test_six_launches_are_judged_by_how_they_scatter() -> None:
    steady = launches("nccl", *[10.0] * 6)
    (noisy,) = compare_backends([*launches("nvrar", 11, 9, 11, 12, 11, 11), *steady]).judged
    (slower,) = compare_backends([*launches("nvrar", 10.1, 10.2, 10.1, 10.3, 10.1, 10.2), *steady]).judged
    assert (noisy.ratio.verdict, noisy.ratio.launches) == ("unclear", 6)
    assert (slower.ratio.verdict, slower.ratio.launches) == ("slower", 6)


def test_launches_are_paired_whatever_their_order_in_the_file() -> None:
    drifting = [10.0 * 2**launch for launch in range(6)]
    mine = launches("nvrar", *(2 * us for us in drifting))
    (found,) = compare_backends([*reversed(mine), *launches("nccl", *drifting)]).judged
    assert (found.ratio.low, found.ratio.high) == pytest.approx((2, 2), rel=1e-3)


# Launch 1 of a side belongs to launch 1 of the other, whatever position it has among those with a number.
def test_a_launch_without_a_number_does_not_shift_the_others() -> None:
    drifting = [10.0 * 2**launch for launch in range(4)]
    mine = launches("nvrar", *(2 * us for us in drifting))
    mine[0] = untimed("skipped", backend="nvrar", launch=0)
    (found,) = compare_backends([*mine, *launches("nccl", *drifting)]).judged
    assert (round(found.ratio.value, 6), found.ratio.launches) == (2.0, 3)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_medians_are_those_of_the_results_table(count: int) -> None:
    mine, theirs = launches("nvrar", *(10, 30, 20, 50)[:count]), launches("nccl", *(5, 7, 6, 9)[:count])
    (found,) = compare_backends([*mine, *theirs]).judged
    assert [found.a_us, found.b_us] == [case.median() for case in cases([*mine, *theirs])]


@pytest.mark.parametrize("status", ["wrong", "failed", "timeout"])
def test_a_case_that_was_wrong_in_a_launch_gets_no_verdict_by_timing(status: str) -> None:
    mine = [*launches("nvrar", 5.0), untimed(status, "broke", backend="nvrar", launch=1)]
    theirs = launches("nccl", 10.0, 10.0)
    for found, name in (
        (compare_backends([*mine, *theirs]), "nvrar"),
        (compare_files(mine, launches("nvrar", 10.0)), "nvrar (A)"),
        (compare_files(launches("nvrar", 10.0), mine), "nvrar (B)"),
    ):
        assert (found.judged, missed(found)) == ((), [(name, 4096, status)])
        assert f"no verdict: {name} 4 KiB: {status} (broke)" in show(found)
        (plain,) = json.loads(show(found, Form.JSON), parse_constant=reject)
        assert (plain["value"], plain["verdict"]) == (None, None)
        assert {plain["a_status"], plain["b_status"]} == {status, "ok"}
        assert plain["reason"] == f"{name} 4 KiB: {status} (broke)"


def test_a_case_without_a_verdict_keeps_its_row_beside_the_others() -> None:
    bad = [untimed("failed", "broke", backend="nvrar"), timed(5.0, backend="nvrar", bytes=8192)]
    text = show(compare_backends([*bad, timed(10.0, backend="nccl"), timed(10.0, backend="nccl", bytes=8192)]))
    _, table, reasons, _ = text.split("\n\n")
    first, second = table.splitlines()[2:]
    assert first.split() == ["4", "KiB", "FAILED", show_us(10), "no", "verdict"]
    assert second.endswith("unclear (1 launch)")
    assert reasons == "no verdict: nvrar 4 KiB: failed (broke)"


def test_a_backend_that_could_run_nothing_is_neither_baseline_nor_rival() -> None:
    records = [timed(10.0, backend="mpi"), timed(20.0, backend="mpi-nvrar"), untimed("skipped", backend="nccl")]
    assert pairs(compare_backends(records)) == [("mpi-nvrar", "mpi", 2.0)]
    assert missed(compare_backends(records)) == []
    assert missed(compare_backends(records, ("mpi", "nccl"))) == [("nccl", 4096, "skipped")]


def test_rows_without_an_interval_are_compared_without_a_verdict() -> None:
    rows = [a_record(backend=name, latency_us_ci_low=None, latency_us_ci_high=None) for name in ("nvrar", "nccl")]
    (found,) = compare_backends(rows).judged
    assert (found.ratio.value, found.ratio.verdict) == (1.0, "unclear (1 launch)")


def a_comparison(ratio: Ratio, **changes: object) -> Comparison:
    """nvrar against nccl."""
    return Comparison(timed(12.0, backend="nvrar", **changes), "nvrar", "nccl", 12.0, 10.0, ratio)


def test_a_table_shows_both_sides_the_interval_and_the_verdict() -> None:
    text = show(Comparisons((a_comparison(Ratio(1.2, 1.1, 1.3, 6), nodes=2, fabric="nvlink-virtual"),)))
    title, table, caution = text.split("\n\n")
    assert title.endswith("4 ranks on 2 virtual nodes (nvlink-virtual) · chain · nvrar ÷ nccl")
    head, _, row = table.splitlines()
    assert head.split("  ")[0] == " size"
    assert all(word in head for word in ("nvrar µs", "nccl µs", "ratio", "95 % over launches", "nvrar is"))
    assert row.split()[0] == "4"
    assert all(word in row for word in ("4 KiB", show_us(12), show_us(10), "1.200", "1.100 to 1.300", "slower"))
    assert caution == "Ratio: geometric mean over 6 launches.\nInterval: Student's t, for launches like these; 95 %."


def test_a_table_in_markdown_has_the_same_cells() -> None:
    rows = Comparisons((a_comparison(Ratio(1.2, 1.1, 1.3, 6)),))
    _, table, _ = show(rows, Form.MARKDOWN).split("\n\n")
    assert table.splitlines()[2] == f"| 4 KiB | {show_us(12)} | {show_us(10)} | 1.200 | 1.100 to 1.300 | slower |"


def test_sizes_ascend_and_panels_and_pairs_have_tables_of_their_own() -> None:
    same = Ratio(1.0, 0.9, 1.1, 6)
    rows = [a_comparison(same, bytes=size) for size in (1 << 20, 64)] + [a_comparison(same, mode="isolated")]
    chain, first, isolated, second, _ = show(Comparisons(tuple(rows))).split("\n\n")
    assert (chain.endswith("chain · nvrar ÷ nccl"), isolated.endswith("isolated · nvrar ÷ nccl")) == (True, True)
    assert [line.split()[0] for line in first.splitlines()[2:]] == ["64", "1"]
    assert len(second.splitlines()) == 3


def test_tables_of_several_lengths_say_once_how_confident_they_are() -> None:
    ratios = [Ratio(1.2, 1.1, 1.3, 3, 5), Ratio(1.2, 1.1, 1.3, 6, 1000), Ratio(1.2, None, None, 2, 1000)]
    *_, caution = show(Comparisons(tuple(map(a_comparison, ratios)))).split("\n\n")
    assert caution.splitlines() == [
        "Ratio: geometric mean over 2 to 6 launches.",
        "Interval: Student's t, for launches like these; 95 % for all 5 to 1000 sizes of a table together, "
        "99.00 to 99.9950 % each.",
        "2 launches: no verdict, and no interval over launches; --launches 3 or more give both.",
    ]


def test_json_has_case_sides_and_ratio() -> None:
    (shown,) = json.loads(show(Comparisons((a_comparison(Ratio(1.2, 1.1, 1.3, 6)),)), Form.JSON), parse_constant=reject)
    assert shown == {
        "collective": "all_reduce", "dtype": "float32", "op": "sum", "bytes": 4096, "ranks": 4, "nodes": 1,
        "fabric": "shm", "mode": "chain", "in_place": False, "cache": "hot", "a": "nvrar", "b": "nccl",
        "groups": None, "hidden": None, "skew": "",
        "a_us": 12.0, "b_us": 10.0, "value": 1.2, "low": 1.1, "high": 1.3, "confidence": 0.95, "together": 1,
        "launches": 6, "verdict": "slower", "covers": "launches like these",
        "mismatch": None, "a_status": "ok", "b_status": "ok", "reason": None, "a_latency": None, "b_latency": None,
    }  # fmt: skip


def test_json_without_an_interval_is_json() -> None:
    text = show(Comparisons((a_comparison(Ratio(1.2, None, None, 1)),)), Form.JSON)
    (row,) = json.loads(text, parse_constant=reject)
    assert (row["low"], row["high"], row["covers"], row["verdict"]) == (None, None, None, "unclear (1 launch)")


def test_what_went_wrong_is_reported() -> None:
    records = load(Path(__file__).parents[2] / "results" / "h200x4-wrong.csv")
    wrong = [(record.backend, record.bytes, "wrong") for record in records if record.status == "wrong"]
    found = compare_backends(records)
    assert sorted(missed(found)) == sorted(wrong)
    assert "no verdict: nvshmem 64 KiB: wrong (rank 0: routing layer" in show(found)
    assert missed(compare_backends(records, ("nccl-symm", "nccl"))) == [("nccl-symm", 1000, "wrong")]


FAMILY = [
    *launches("nvrar", 4, 4, 4, 4, 4, 4),
    *launches("nccl", 7, 7, 7, 9, 9, 9),
    *launches("nccl-symm", 8, 8, 8, 8, 8, 8),
    *launches("mpi", 1, 1, 1, 1, 1, 1),
]


@pytest.mark.parametrize(
    ("names", "ratio", "us"),
    [
        (("nvrar", "best(nccl)"), 4 / 9, (4, 9)),
        (("best(nccl)", "nvrar"), 9 / 4, (9, 4)),
        (("nccl", "best(nccl)"), 1.0, (9, 9)),
        (("nccl-symm", "best(nccl)"), 8 / 9, (8, 9)),
        (("best(nvrar)", "best(nccl)"), 4 / 9, (4, 9)),
    ],
)
def test_the_best_of_a_family_is_a_side_judged_by_half_of_the_launches(
    names: tuple[str, str], ratio: float, us: tuple[float, float]
) -> None:
    (found,) = compare_backends(FAMILY, names).judged
    assert (found.a, found.b) == names
    assert found.ratio.value == pytest.approx(ratio)
    assert (found.ratio.launches, found.ratio.paired) == (3, True)
    assert (found.a_us, found.b_us) == us
    assert {each.name: each.member for each in found.best}["best(nccl)"] == "nccl"


def test_what_was_chosen_stands_in_the_table_and_in_json() -> None:
    failed = untimed("failed", "no memory", backend="nccl@tree")
    found = compare_backends([*FAMILY, failed], ("nvrar", "best(nccl)"))
    text = show(found)
    assert "chosen for best(nccl)" in text
    assert text.splitlines()[4].split()[-5:] == ["faster", "nccl", "(without", "nccl@tree:", "failed)"]
    assert "best(nccl): at each size the fastest of nccl, nccl-symm, nccl@tree in the first half" in text
    (row,) = json.loads(show(found, Form.JSON))
    assert row["reason"] == "best(nccl) is nccl, chosen on 3 launches and judged on 3 (without nccl@tree: failed)"


def test_too_few_launches_for_the_best_of_a_family_are_counted_in_all() -> None:
    few = [record for record in FAMILY if record.launch < 4]
    found = compare_backends(few, ("nvrar", "best(nccl)"))
    assert found.judged[0].ratio.verdict == "unclear (2 launches)"
    assert "no interval over launches; --launches 5 or more give both" in show(found)
    one = [record for record in FAMILY if record.launch < 1]
    nothing = compare_backends(one, ("nvrar", "best(nccl)"))
    assert (nothing.judged, missed(nothing)) == ((), [("best(nccl)", 4096, "unchosen")])
    assert "1 launch: half of them choose best(nccl), the others judge it" in show(nothing)


def test_the_best_of_a_family_is_of_one_file_and_of_known_backends() -> None:
    with pytest.raises(UsageError, match=r"best\(nvshmem\) has no backend to choose from"):
        compare_backends(FAMILY, ("nvrar", "best(nvshmem)"))
    with pytest.raises(UsageError, match=r"best\(nccl\) is chosen among the backends of one file"):
        compare_files(FAMILY, FAMILY, ("best(nccl)",))
