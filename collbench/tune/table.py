"""The tuned table: the fastest spec by system and size; a TOML file, one line per size.

Two tables are read: the user's (COLLBENCH_TUNED, else ``collbench/tuned.toml`` in XDG_CONFIG_HOME or ~/.config),
which takes precedence, and the built-in one (``kernels/tuned.toml``). ``collbench tune`` writes them, in mode
``chain`` with hot buffers.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from collbench.errors import UsageError
from collbench.host.shipped import shipped
from collbench.results.writing import replace_text

VARIABLE = "COLLBENCH_TUNED"
NAME = "tuned.toml"
SCHEMA = 1
FARTHEST = 2  # a choice applies to sizes up to this factor from the measured one
HEAD = f"""\
# What `collbench tune` found: for each size in bytes the fastest spec, its latency in microseconds and that of the
# default. Where both are one, nothing was faster than the default beyond noise.
schema = {SCHEMA}
"""


@dataclass(frozen=True, order=True)
class Key:
    """What a choice depends on besides the size: it applies only where all fields are equal.

    ``backend`` is the tuned backend, whose candidates were tried, ``device`` the processor's name, ``fabric`` as in the
    results' column (``-virtual`` for virtual nodes), ``layout`` nodes x ranks per node. Versions are major.minor; ""
    for a missing library. ``hidden``: elements in a row, 0 where there are no rows.
    """

    backend: str
    collective: str
    dtype: str
    op: str
    device: str
    fabric: str
    layout: str
    driver: str
    nccl: str
    nvshmem: str
    hidden: int = 0


@dataclass(frozen=True)
class Choice:
    """The fastest spec at ``bytes``, its median latency over ``launches`` launches in microseconds, and the default's.

    ``run`` is the run_id of the results that it is based on.
    """

    bytes: int
    spec: str
    us: float
    default: str
    default_us: float
    launches: int
    run: str


Table = Mapping[Key, tuple[Choice, ...]]


def _minor(version: object) -> str:
    """Major.minor of ``2.28.9``, or of CUDA's number for it (13020 is 13.2); "" for None."""
    if isinstance(version, int):
        return f"{version // 1000}.{version % 1000 // 10}"
    return ".".join(str(version or "").split(".")[:2])


def key_of(
    backend: str,
    collective: str,
    dtype: str,
    op: str,
    nodes: int,
    per_node: int | None,
    fabric: str,
    facts: Mapping[str, Any],
    versions: Mapping[str, str],
    hidden: int = 0,
) -> Key:
    """The key of a case, the same from the files of a run and from live values at run time.

    ``facts`` is ``Device.facts()`` of rank 0, as in the sidecar; ``versions`` is ``environment.versions()`` of rank 0.
    Use those of rank 0 at run time too: ranks that choose differently hang.

    Patch versions are ignored. Changes that move an optimum (generated code, transports, protocols and their defaults)
    come with minor versions; patches fix bugs. A patch that does move it costs a few per cent of time and never
    correctness, while keys with patch versions would rarely match. CUDA reports its driver's version to the minor one
    only.
    """
    return Key(
        backend=backend,
        collective=collective,
        dtype=dtype,
        op=op,
        device=str(facts["name"]),
        fabric=fabric,
        layout=f"{nodes}x{per_node or 'uneven'}",
        driver=_minor(facts.get("driver")),
        nccl=_minor(facts.get("nccl")),
        nvshmem=_minor(versions.get("nvidia-nvshmem-cu13")),
        hidden=hidden,
    )


def choose(tables: Iterable[Table], key: Key, size: int) -> str | None:
    """The spec measured nearest to ``size`` bytes, in ratio, in the first table that has one within a factor of two.

    Of two equally near sizes the smaller is used. None if no table has one, and if the default was kept: the default
    for ``size`` may differ from that for the measured size.
    """

    def distance(choice: Choice) -> Fraction:
        return Fraction(max(choice.bytes, size), min(choice.bytes, size))

    for table in tables:
        near = [choice for choice in table.get(key, ()) if distance(choice) <= FARTHEST]
        if near:
            best = min(near, key=lambda choice: (distance(choice), choice.bytes))
            return None if best.spec == best.default else best.spec
    return None


def merge(old: Table, new: Table) -> Table:
    """The union of both tables; ``new`` takes precedence for the same key and size."""
    merged: dict[Key, tuple[Choice, ...]] = {}
    for key in {*old, *new}:
        of_size = {choice.bytes: choice for choice in (*old.get(key, ()), *new.get(key, ()))}
        merged[key] = tuple(of_size.values())
    return merged


def user_path() -> Path:
    """Path of the user's table, which need not exist."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "collbench" / NAME


def read_tables() -> tuple[Table, ...]:
    """The user's table, then the built-in one. Call it on rank 0 and broadcast the choice: files may differ by host."""
    return load(user_path()), load(shipped("kernels") / NAME)


def load(path: Path) -> Table:
    """The table at ``path``, empty if there is no file; UsageError if it is not a tuned table."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a tuned table: {error}.") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Table:
    """The table in ``text``; ``path`` is for messages."""
    try:
        content = tomllib.loads(text)
        if content["schema"] > SCHEMA:
            raise UsageError(f"{path} was written by a newer collbench; upgrade collbench.")
        found: dict[Key, tuple[Choice, ...]] = {}
        for entry in content.get("tuned", []):
            rows = tuple(map(_choice, entry.pop("sizes")))
            key = Key(**entry)
            if not isinstance(key.hidden, int):
                raise TypeError(f"hidden = {key.hidden!r}")
            found[key] = (*found.get(key, ()), *rows)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a tuned table of collbench ({error}); fix or remove it.") from None
    return found


def _choice(row: dict[str, Any]) -> Choice:
    choice = Choice(**row)
    if not (isinstance(choice.bytes, int) and choice.bytes > 0 and isinstance(choice.spec, str)):
        raise TypeError(f"bytes = {choice.bytes!r}, spec = {choice.spec!r}")
    return choice


def dump(table: Table) -> str:
    """The table as TOML: keys and sizes sorted, one line each, so that diffs are minimal."""
    return "\n".join([HEAD, *(_entry(key, table[key]) for key in sorted(table))])


def _entry(key: Key, choices: Iterable[Choice]) -> str:
    head = [f"{name} = {_quoted(value)}" for name, value in asdict(key).items() if value != 0]
    rows = [f"  {_row(choice)}," for choice in sorted(choices, key=lambda choice: choice.bytes)]
    return "\n".join(["[[tuned]]", *head, "sizes = [", *rows, "]", ""])


def _row(choice: Choice) -> str:
    cells = ((each.name, getattr(choice, each.name)) for each in fields(choice))
    return f"{{ {', '.join(f'{name} = {_quoted(value)}' for name, value in cells)} }}"


def _quoted(value: str | float) -> str:
    """A TOML value: JSON strings and numbers are valid TOML, except characters escaped as surrogate pairs."""
    return json.dumps(round(value, 3) if isinstance(value, float) else value, ensure_ascii=False)


def save(path: Path, table: Table) -> None:
    """Write the table atomically; UsageError or OutputError if it cannot be written."""
    replace_text(path, dump(table))
