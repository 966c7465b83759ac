"""Options that belong together: a command gets the values of a group as one frozen dataclass."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Group(Generic[T]):
    """The options in ``options``, whose values become the argument ``name`` of a command: one ``kind``, a dataclass
    with a field for each."""

    def __init__(self, name: str, kind: type[T], options: Sequence[Decorator]) -> None:
        self.name, self.options = name, options
        self._kind: Any = kind

    def of(self, values: Mapping[str, Any]) -> T:
        """The group's part of all ``values`` that a command got, by option."""
        found: T = self._kind(**{field.name: values[field.name] for field in dataclasses.fields(self._kind)})
        return found

    def __call__(self, command: Callable[..., Any]) -> Callable[..., Any]:
        """``command`` with these options."""

        @functools.wraps(command)
        def with_group(*others: Any, **values: Any) -> Any:
            mine = {field.name for field in dataclasses.fields(self._kind)}
            rest = {name: value for name, value in values.items() if name not in mine}
            return command(*others, **rest, **{self.name: self.of(values)})

        decorated: Callable[..., Any] = with_group
        for option in reversed(self.options):
            decorated = option(decorated)
        return decorated
