"""Evaluates the formulas of kernel headers: basic arithmetic, without ``eval``."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping

from collbench.errors import UsageError, pick

LONGEST = 200  # characters: Python's parser is recursive
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # floats only: 9**9**9 overflows at once instead of filling the memory
}
_FUNCTIONS: dict[str, Callable[..., float]] = {"log2": math.log2, "ceil": math.ceil, "max": max, "min": min}


def value(formula: str, **names: float) -> float:
    """The value of ``formula`` for P ranks, G ranks on each of N nodes and S message bytes, as given in ``names``.

    A formula consists of numbers, the names in ``names``, + - * / **, parentheses, and log2, ceil, max, min; anything
    else raises UsageError, and so does a formula without a value (a division by zero).
    """
    if len(formula) > LONGEST:
        raise UsageError(f"a formula may have at most {LONGEST} characters; this one has {len(formula)}.")
    try:
        return float(_evaluate(ast.parse(formula.strip(), mode="eval").body, names))
    except UsageError:
        raise
    except SyntaxError as error:
        raise UsageError(f"{formula!r} is not a formula: {error.msg}.") from error
    except (ArithmeticError, ValueError, TypeError) as error:
        raise UsageError(f"{formula!r} has no value {at(names)}: {error}.") from error


def at(names: Mapping[str, float]) -> str:
    """The values of ``names`` as text, such as "for P=8, S=4096"."""
    return "for " + ", ".join(f"{name}={number:g}" for name, number in names.items())


def _evaluate(node: ast.expr, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id=name):
            return names[pick("name in a formula:", name, names)]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_evaluate(inner, names)
        case ast.BinOp(left=left, op=between, right=right) if type(between) in _OPERATORS:
            return _OPERATORS[type(between)](_evaluate(left, names), _evaluate(right, names))
        case ast.Call(func=ast.Name(id=name), args=inputs, keywords=[]):
            return _apply(_FUNCTIONS[pick("function in a formula:", name, _FUNCTIONS)], inputs, names)
    raise UsageError(f"{ast.unparse(node)!r} is not allowed in a formula: use numbers, names, + - * / ** or functions.")


def _apply(function: Callable[..., float], inputs: Iterable[ast.expr], names: Mapping[str, float]) -> float:
    return float(function(*(_evaluate(each, names) for each in inputs)))
