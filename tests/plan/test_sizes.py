"""The grammar of sizes, its errors, and the way back to text."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collbench.errors import UsageError
from collbench.plan.sizes import MOST_SIZES, format_size, parse_size, parse_sizes, steps

K, M, G = 1 << 10, 1 << 20, 1 << 30
ANY_SIZE = st.integers(1, 1 << 62)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("100", 100),
        ("7B", 7),
        ("4K", 4 * K),
        ("1.5M", 3 * M // 2),
        (".5K", 512),
        ("2G", 2 * G),
        (" 8 K ", 8 * K),
    ],
)
def test_one_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("letter", "unit"), [("K", K), ("M", M), ("G", G)])
@pytest.mark.parametrize("suffix", ["", "B", "iB", "IB", "b", "ib"])
def test_units_are_binary_in_any_case(letter: str, unit: int, suffix: str) -> None:
    assert parse_size(f"3{letter}{suffix}") == parse_size(f"3{letter.lower()}{suffix}") == 3 * unit


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("4K", (4 * K,)),
        ("4K:32K", (4 * K, 8 * K, 16 * K, 32 * K)),
        ("4K:4K", (4 * K,)),
        ("4K:64K:x4", (4 * K, 16 * K, 64 * K)),
        ("4K:32K:x4", (4 * K, 16 * K, 32 * K)),  # the far end, though no step meets it
        ("3:10", (3, 6, 10)),
        ("1M:4M:+1M", (M, 2 * M, 3 * M, 4 * M)),
        ("1M:2.5M:+1M", (M, 2 * M, 5 * M // 2)),
        ("8,4K,1.5M", (8, 4 * K, 3 * M // 2)),
        ("1M,4K:16K,8K,1K:3K:+1K", (K, 2 * K, 3 * K, 4 * K, 8 * K, 16 * K, M)),  # ascending, none twice
        (" 4K : 8K : X2 , 1m ", (4 * K, 8 * K, M)),
    ],
)
def test_lists_and_ranges(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_sizes(text) == sizes


@settings(deadline=None)
@given(first=st.integers(1, 1 << 40), span=st.integers(0, 1 << 20), factor=st.integers(2, 9))
def test_a_range_goes_from_end_to_end_in_steps_of_the_factor(first: int, span: int, factor: int) -> None:
    last = first * (span + 1)
    sizes = parse_sizes(f"{first}:{last}:x{factor}")
    assert (sizes[0], sizes[-1]) == (first, last)
    assert all(b == a * factor for a, b in pairwise(sizes[:-1]))
    assert all(a < b <= a * factor for a, b in pairwise(sizes))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "smallest message has 1 byte"),
        ("0K:4K", "smallest message has 1 byte"),
        ("0.3K", r"'0.3K' is 307.2 bytes; give a whole number"),
        ("64M:4K", "reversed; write 4K:64M"),
        ("", "sizes look like"),
        ("4K,", "sizes look like"),
        ("4X", "'4X' is not a valid size"),
        ("-4K", "'-4K' is not a valid size"),
        ("1e3", "'1e3' is not a valid size"),
        ("4iB", "'4iB' is not a valid size"),
        ("4K 8K", "'4K 8K' is not a valid size"),
        ("4K:", "is not a valid size"),
        ("4K:8K:x4:x2", "too many parts"),
        ("4K:8K:", "step '' in '4K:8K:' is not valid; use x2"),
        ("4K:8K:x1", "step 'x1'"),
        ("4K:8K:x1.5", "step 'x1.5'"),
        ("4K:8K:2", "step '2'"),
        ("4K:8K:+0", "'0' is 0 bytes"),
        ("1" * 5000, r"above 8 EiB fits no memory: 1{20}\.\.\.;"),
        ("4K:8K:x" + "2" * 5000, "is not valid; use x2"),
        ("1:1G:+1", f"more than {MOST_SIZES} sizes; use a larger step"),
    ],
)
def test_mistakes_are_explained(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_sizes(text)


@settings(deadline=None)
@given(st.text("0123456789.KMGBkmgbiI:,x+- ", max_size=12))
def test_any_text_parses_or_is_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert min(parse_sizes(text)) >= 1


def test_a_superscript_is_no_factor() -> None:
    with pytest.raises(UsageError, match="step 'x²'"):
        parse_sizes("4K:64K:x²")


def test_a_range_may_have_as_many_sizes_as_are_allowed() -> None:
    assert len(parse_sizes(f"1:{MOST_SIZES}:+1")) == MOST_SIZES


def test_a_range_has_no_more_sizes_than_are_allowed() -> None:
    with pytest.raises(UsageError, match=f"more than {MOST_SIZES} sizes"):
        parse_sizes(f"1:{MOST_SIZES + 1}:+1")


def test_steps_end_where_the_next_one_would_pass_the_last_size() -> None:
    assert steps(M, 10 * M, factor=2) == (M, 2 * M, 4 * M, 8 * M)
    assert steps(M, 10 * M, add=4 * M) == (M, 5 * M, 9 * M)
    assert steps(M, M, factor=2) == (M,)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 B"),
        (1000, "1000 B"),
        (K, "1 KiB"),
        (1536, "1536 B"),
        (64 * K, "64 KiB"),
        (3 * M, "3 MiB"),
        (K * G, "1024 GiB"),
    ],
)
def test_sizes_are_shown_in_the_largest_unit_that_is_exact(size: int, text: str) -> None:
    assert format_size(size) == text


@settings(deadline=None)
@given(st.one_of(ANY_SIZE, ANY_SIZE.map(lambda n: n % (1 << 22) * M + M)))
def test_what_is_shown_parses_back(size: int) -> None:
    assert parse_size(format_size(size)) == size
