"""Skews as text and as delays."""

import re
from statistics import mean

import pytest

from collbench.errors import UsageError
from collbench.plan.skew import Skew, parse_skew, parse_skews


@pytest.mark.parametrize(
    ("text", "skew", "canonical"),
    [
        ("20us", Skew(20_000), "20us"),
        (" 1.5 ms", Skew(1_500_000), "1500us"),
        ("500ns", Skew(500), "0.5us"),
        ("20µs:3", Skew(20_000, 3), "20us:3"),
        ("1s:0", Skew(1_000_000_000, 0), "1000000us:0"),
        ("0", Skew(0), "0"),
        ("0us", Skew(0), "0"),
        ("0:3", Skew(0), "0"),  # nobody is late
    ],
)
def test_a_skew_is_read_and_written(text: str, skew: Skew, canonical: str) -> None:
    assert parse_skew(text) == skew
    assert str(skew) == canonical
    assert parse_skew(canonical) == skew


@pytest.mark.parametrize("text", ["", "20", "us", "-1us", "20us:", "20us:x", "20us:-1", "1.5s", "0.5ns", "20us:1:2"])
def test_text_that_is_no_skew_gets_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"skew.*\."):
        parse_skew(text)


def test_a_list_has_each_skew_once_and_a_rank_behind_a_comma() -> None:
    assert list(map(str, parse_skews("0, 100us,20us,20us:3,5us,0.02ms"))) == ["0", "5us", "20us", "100us", "20us:3"]
    assert parse_skews("20us,3") == (Skew(20_000, 3),)
    assert parse_skews("5us,20us,3,20us,1") == (Skew(5_000), Skew(20_000, 1), Skew(20_000, 3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("20us,0", "20us,0 in '20us,0' has two meanings; write 20us:0 for rank 0, or 0,20us."),
        ("20us:3,4", "'4' is not a skew"),
        ("0,3", "'3' is not a skew"),
        ("3,20us", "'3' is not a skew"),
        ("20us,", "'' is not a skew"),
    ],
)
def test_a_list_that_could_mean_several_things_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        parse_skews(text)


def test_random_delays_are_uniform_and_independent() -> None:
    draws = [Skew(20_000).delays(1, 0, sample, 3) for sample in range(4000)]
    for rank in range(3):
        mine = sorted(delays[rank] for delays in draws)
        assert max(abs(value / 20e-6 - (place + 0.5) / 4000) for place, value in enumerate(mine)) < 1.63 / 4000**0.5
    assert mean(max(each) - min(each) for each in draws) == pytest.approx(10e-6, rel=0.02)  # d (n - 1) / (n + 1)


def test_delays_are_drawn_from_seed_launch_and_sample() -> None:
    skew = Skew(20_000)
    assert skew.delays(1, 0, 0, 4) == skew.delays(1, 0, 0, 4)
    others = [skew.delays(2, 0, 0, 4), skew.delays(1, 1, 0, 4), skew.delays(1, 0, 1, 4), skew.delays(11, 0, 0, 4)]
    assert len({skew.delays(1, 0, 0, 4), *others}) == 5
    assert Skew(10_000).delays(1, 0, 0, 4) == pytest.approx([each / 2 for each in skew.delays(1, 0, 0, 4)])


def test_draws_are_those_of_earlier_versions() -> None:
    assert Skew(20_000).delays(1, 0, 0, 2) == pytest.approx([14.00752e-6, 5.293212e-6], rel=1e-6)


def test_one_rank_is_late_by_all_of_its_skew() -> None:
    assert Skew(20_000, 2).delays(1, 0, 7, 4) == (0, 0, 20e-6, 0)
    assert Skew(0).delays(1, 0, 7, 2) == (0, 0)
