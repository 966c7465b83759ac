"""Tables as values; numbers as text."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collbench.tables import show_us


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1000.4, "1,000"), (1234.4, "1,234"), (123456.7, "123,457"), (2e7, "20,000,000"), (0.5, "0.500")],
)
def test_large_and_small_latencies_are_shown_without_an_exponent(value: float, shown: str) -> None:
    assert show_us(value) == shown


@settings(deadline=None)
@given(st.floats(0, 7).map(lambda exponent: 10**exponent))
@example(1.234)
@example(12.34)
@example(123.4)
def test_latencies_are_shown_with_four_significant_digits(value: float) -> None:
    assert float(show_us(value).replace(",", "")) == pytest.approx(value, rel=5.001e-4)
