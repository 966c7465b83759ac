"""Option groups: a command receives the values of several options as one frozen dataclass."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Group(Generic[T]):
    """A decorator that adds ``options`` to a command, and passes their values as the argument ``name``, an instance of
    the dataclass ``kind`` with a field for each option."""

    def __init__(self, name: str, kind: type[T], options: Sequence[Decorator]) -> None:
        self.name, self.options = name, options
        self._kind: Any = kind

    def of(self, values: Mapping[str, Any]) -> T:
        """The group's dataclass from ``values``, which holds the values of all options of a command by name."""
        found: T = self._kind(**{field.name: values[field.name] for field in dataclasses.fields(self._kind)})
        return found

    def __call__(self, command: Callable[..., Any]) -> Callable[..., Any]:
        """Add the options to ``command``."""

        @functools.wraps(command)
        def with_group(*others: Any, **values: Any) -> Any:
            mine = {field.name for field in dataclasses.fields(self._kind)}
            rest = {name: value for name, value in values.items() if name not in mine}
            return command(*others, **rest, **{self.name: self.of(values)})

        decorated: Callable[..., Any] = with_group
        for option in reversed(self.options):
            decorated = option(decorated)
        return decorated
