"""Where the options of a run came from: a file of sweeps, as sidecars record it."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.errors import UsageError


@dataclass(frozen=True)
class Origin:
    """A configuration file by the name that it was given, the SHA-256 of its bytes, and the chosen set, "" for none."""

    file: str
    sha256: str
    set: str

    def __str__(self) -> str:
        return f"{self.sha256}:{self.set}:{self.file}"


def parse_origin(text: str) -> Origin:
    """The origin whose ``str`` is ``text``. Raises UsageError."""
    sha256, *rest = text.split(":", 2)
    if len(rest) != 2:
        raise UsageError(f"{text!r} is not an origin; write SHA256:SET:FILE.")
    return Origin(rest[1], sha256, rest[0])
