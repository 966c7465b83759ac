"""Variants: a backend under environment variables of its own, which is timed in processes of its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collbench.errors import UsageError

GRAMMAR = "LABEL='BACKEND VARIABLE=VALUE ...'"
_LABEL = re.compile(r"[\w.-]+", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Variant:
    """A backend (a spec) in processes whose environment has ``variables``, pairs of name and value, in addition."""

    label: str
    backend: str
    variables: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The backend of its rows, such as ``nccl@tree-ll``."""
        name, colon, parameters = self.backend.partition(":")
        return f"{name}@{self.label}{colon}{parameters}"

    @property
    def facts(self) -> dict[str, Any]:
        """What the sidecar says of the variant; ``backend`` is that of its rows."""
        return {"name": self.label, "backend": self.name, "variables": dict(self.variables)}


def defined(backend: str, variables: Sequence[tuple[str, str]]) -> str:
    """The definition of a variant, as a user writes it."""
    return " ".join([backend, *(f"{name}={shlex.quote(value)}" for name, value in variables)])


def parse_variant(text: str) -> Variant:
    """The variant that ``LABEL=BACKEND VARIABLE=VALUE ...`` defines; quotes group words as in a shell.

    Raises UsageError for text of another form.
    """
    label, sign, definition = text.partition("=")
    if not (sign and label):
        raise UsageError(f"{text!r} is not a variant; write {GRAMMAR}.")
    if not _LABEL.fullmatch(label):
        raise UsageError(f"{label!r} cannot name a variant; use letters, digits, -, _ and dots.")
    try:
        backend, *words = shlex.split(definition) or [""]
    except ValueError as error:
        raise UsageError(f"variant {label}: {str(error).lower()} in {definition!r}; close it.") from None
    if not backend or "=" in backend.partition(":")[0]:
        raise UsageError(f"variant {label} names no backend; write {GRAMMAR}.")
    if "@" in backend:
        raise UsageError(f"variant {label} is of {backend}, which has a label already; name the backend without it.")
    return Variant(label, backend, _variables(label, words))


def _variables(label: str, words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not (sign and _VARIABLE.fullmatch(name)):
            raise UsageError(f"variant {label}: {word!r} sets no variable; write VARIABLE=VALUE.")
        if name in found:
            raise UsageError(f"variant {label} sets {name} twice; set it once.")
        found[name] = value
    if not found:
        raise UsageError(f"variant {label} sets no variable; write {GRAMMAR}.")
    return tuple(found.items())


def check_names(variants: Sequence[Variant], backends: Sequence[str]) -> None:
    """Raise UsageError where two variants have one label, or a variant the name of a backend of the sweep."""
    labels = [variant.label for variant in variants]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UsageError(f"two variants are named {twice}; give each a name of its own.")
    if taken := next((variant for variant in variants if variant.name in backends), None):
        raise UsageError(f"{taken.name} is among the backends and a variant; name the variant otherwise.")
