"""Parses the specs in which users name a backend, a label of it, and its parameters."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.errors import UsageError


@dataclass(frozen=True)
class Spec:
    """``NAME[@LABEL][:KEY=VALUE...]``: a backend, which form of it ("" for the present one), and its parameters."""

    name: str
    label: str
    parameters: dict[str, str]


def split(spec: str) -> Spec:
    """The parts of a spec; raises UsageError for an invalid one."""
    whole, *words = spec.split(":")
    name, at, label = whole.partition("@")
    if at and not label:
        raise UsageError(f"backend {spec!r} names nothing after @; write {name}@LABEL, or omit the @.")
    parameters: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not (key and sign and value):
            raise UsageError(f"{word!r} in backend {spec!r} is not a parameter; write {whole}:KEY=VALUE:KEY=VALUE.")
        if key in parameters:
            raise UsageError(f"backend {spec!r} gives {key} twice; give it once.")
        parameters[key] = value
    return Spec(name, label, parameters)


def labelled(spec: str, label: str) -> str:
    """``spec``, which has no label, with ``label``; as it is for the label ""."""
    whole, colon, parameters = spec.partition(":")
    return f"{whole}@{label}{colon}{parameters}" if label else spec
