"""Formulas in headers: arithmetic of four names, and nothing else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collbench.errors import UsageError
from collbench.kernels.formula import value

NAMES = {"P": 24, "G": 4, "N": 6, "S": 4096}


@pytest.mark.parametrize(
    ("formula", "result"),
    [
        ("S", 4096),
        ("(P-1)*S", 23 * 4096),
        ("(2*(G-1)+ceil(log2(N)))*S/G", 9 * 1024),
        ("2**3**2 + -1", 511),
        ("max(S, 1e4) + min(G, N, 2)", 10002),
        (" 0.5 * S ", 2048),
    ],
)
def test_formulas_have_their_value(formula: str, result: float) -> None:
    assert value(formula, **NAMES) == result


@pytest.mark.parametrize(
    "formula",
    [
        "", "S S", "S.real", "S[0]", "S if P else G", "S < P", "S // 2", "S % 2", "P and S", "True", "'S'", "1j", "...",
        "lambda: 1", "[S]", "__import__('os')", "open(S)", "log2", "log2()", "log2(1, 2)", "max(S)", "max(*(1, 2))",
        "log2(x=1)", "(log2)(2)(3)", "S := 1", "9**9**9", "1/0", "log2(0)", "(-1)**0.5", "Q", "s", "\0", "(" * 150,
        "-" * 201 + "1", "1" * 201, "await S", "f'{S}'",
    ],
)  # fmt: skip
def test_nothing_else_is_a_formula(formula: str) -> None:
    with pytest.raises(UsageError):
        value(formula, **NAMES)


@given(st.text(alphabet="PGNS0123456789.+-*/() ,maxinlog2ce_", max_size=40))
def test_a_formula_has_a_value_or_is_reported(formula: str) -> None:
    with suppress(UsageError):
        assert isinstance(value(formula, **NAMES), float)
