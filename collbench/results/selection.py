"""Selection of rows by the values of their columns, as a user writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from collbench.errors import UsageError, pick
from collbench.plan.sizes import parse_size
from collbench.results.lines import Value, value_of
from collbench.results.records import COLUMNS, TYPES, Record


def select(records: Iterable[Record], conditions: Iterable[tuple[str, str]]) -> list[Record]:
    """Records that match (column, value) conditions; several on one column are alternatives.

    Values are as in the file, numbers in any form, sizes in ``bytes`` also with units, true and false in any case; an
    empty value matches an empty cell. Raises UsageError for an unknown column, for a value that the column cannot
    have, and if no row matches.
    """
    given = list(conditions)
    matches = matcher(given)
    found = list(filter(matches, records))
    if given and not found:
        raise UsageError(f"no row has {words_of(given)}.")
    return found


def matcher(conditions: Iterable[tuple[str, str]]) -> Callable[[Record], bool]:
    """Whether a record matches conditions as those of `select`; raises UsageError for one that no record can match."""
    wanted: dict[str, set[Value]] = {}
    for name, text in conditions:
        wanted.setdefault(pick("column", name, COLUMNS), set()).add(_value(name, text))
    return lambda record: all(getattr(record, name) in values for name, values in wanted.items())


def words_of(conditions: Iterable[tuple[str, str]]) -> str:
    """Conditions as a user writes them."""
    return " and ".join(f"{name}={text}" for name, text in conditions)


def _value(name: str, text: str) -> Value:
    kind, _ = TYPES[name]
    if name == "bytes":
        return parse_size(text)
    try:
        return value_of(text, kind, may_be_empty=True)
    except ValueError as error:
        raise UsageError(f"column {name}: {error}.") from None
