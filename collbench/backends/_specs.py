"""Parses the specs in which users name a backend and its parameters."""

from __future__ import annotations

from collbench.errors import UsageError


def split(spec: str) -> tuple[str, dict[str, str]]:
    """Name and parameters of ``NAME`` or ``NAME:KEY=VALUE:...``; raises UsageError for an invalid spec."""
    name, *words = spec.split(":")
    parameters: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not (key and sign and value):
            raise UsageError(f"{word!r} in backend {spec!r} is not a parameter; write {name}:KEY=VALUE:KEY=VALUE.")
        if key in parameters:
            raise UsageError(f"backend {spec!r} gives {key} twice; give it once.")
        parameters[key] = value
    return name, parameters
