"""Figures that a site publishes of its machine: one TOML file a site, in ``sites/`` or the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Any

from collbench.errors import UsageError, pick
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import MODES

FOLDER = Path(__file__).with_name("sites")
SITE_KEYS: Mapping[str, type] = {"library": str, "cure": str, "figures": list}
KEYS: Mapping[str, type] = {
    "collective": str, "dtype": str, "op": str, "ranks": int, "nodes": int, "mode": str, "gpu": str, "network": str,
    "tool": str, "statistic": str, "source": str, "date": date, "points": list,
    "version": str, "conditions": list, "sockets": bool,
}  # fmt: skip
OPTIONAL = {"version": "", "conditions": (), "sockets": False, "cure": ""}
TYPE_NAMES = {str: "a string", int: "a whole number", bool: "true or false", list: "a list", date: "a date, unquoted"}
POINT = "[bytes, µs], or [bytes, µs, µs in place], with each size once"
Points = Mapping[tuple[int, bool], float]  # microseconds by bytes and whether the call is in place


@dataclass(frozen=True)
class Figures:
    """One published table: latencies in microseconds by bytes and in_place, and what they are of.

    ``version`` is the library's, "" where the source does not give it; ``conditions`` say what else was unlike a sweep
    of collbench; ``sockets``: the run did not use the fabric, so that a run like it is known.
    """

    collective: str
    dtype: str
    op: str
    ranks: int
    nodes: int
    mode: str
    gpu: str
    network: str
    tool: str
    statistic: str
    source: str
    date: date
    points: Points
    version: str = ""
    conditions: tuple[str, ...] = ()
    sockets: bool = False

    @property
    def world(self) -> str:
        """Nodes and ranks on each, as in 2x4."""
        return f"{self.nodes}x{self.ranks // self.nodes}"

    @property
    def kind(self) -> tuple[str, ...]:
        """What the fabric's figures and those of sockets share."""
        return (self.collective, self.dtype, self.op, self.world, self.mode)


@dataclass(frozen=True)
class Site:
    """The figures of one site, all of one library; ``cure``: what to look at where a run looks like sockets."""

    name: str
    library: str
    figures: tuple[Figures, ...]
    cure: str = ""

    @property
    def published(self) -> tuple[Figures, ...]:
        """The figures of the fabric."""
        return tuple(each for each in self.figures if not each.sockets)

    def sockets(self, figures: Figures) -> Figures | None:
        """Those of the same cases over sockets; None if the site published none."""
        return next((each for each in self.figures if each.sockets and each.kind == figures.kind), None)


def names() -> list[str]:
    """Names of the shipped sites."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str) -> Site:
    """The shipped site ``name``, or the one in the file ``name`` (NAME.toml, or a path). Raises UsageError."""
    if name.endswith(".toml") or "/" in name:
        return load(Path(name))
    return load(FOLDER / f"{pick('site', name, names())}.toml")


def load(path: Path) -> Site:
    """The site in a file. Raises UsageError for a file that cannot be read, lacks something, or contradicts itself."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; known sites: {', '.join(names())}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as figures of a site: {error}.") from None
    given = _checked(str(path), content, SITE_KEYS)
    figures = tuple(_figures(f"{path}, figures {number}", each) for number, each in enumerate(given.pop("figures"), 1))
    site = Site(name=path.stem, figures=figures, **given)
    _check_once(path, site)
    return site


def _checked(where: str, content: object, wanted: Mapping[str, type]) -> dict[str, Any]:
    """The values of a table, with those that may be missing. Raises UsageError."""
    if not isinstance(content, dict):
        raise UsageError(f"{where} is not a table; write [[figures]].")
    for key, value in content.items():
        kind = wanted[pick(f"key in {where}", key, wanted)]
        if type(value) is not kind:
            raise UsageError(f"{where}: {key} = {value!r} is not {TYPE_NAMES[kind]}.")
    if missing := [key for key in wanted if key not in content and key not in OPTIONAL]:
        raise UsageError(f"{where} has no {missing[0]}; give {', '.join(missing)}.")
    return {key: content.get(key, OPTIONAL.get(key)) for key in wanted}


def _figures(where: str, content: object) -> Figures:
    given = _checked(where, content, KEYS)
    for key, known in (("collective", COLLECTIVES), ("dtype", DTYPES), ("mode", MODES)):
        pick(f"{key} in {where}", given[key], known)
    if given["nodes"] < 1 or given["ranks"] < 1 or given["ranks"] % given["nodes"]:
        raise UsageError(f"{where}: {given['ranks']} ranks cannot be spread evenly over {given['nodes']} nodes.")
    if not all(isinstance(each, str) for each in given["conditions"]):
        raise UsageError(f"{where}: conditions is not a list of strings.")
    return Figures(**{**given, "conditions": tuple(given["conditions"]), "points": _points(where, given["points"])})


def _points(where: str, rows: list[Any]) -> Points:
    found: dict[tuple[int, bool], float] = {}
    for row in rows:
        if not _is_point(row) or (row[0], False) in found:
            raise UsageError(f"{where}: points has {row!r}, which is not {POINT}.")
        found |= {(row[0], in_place): float(us) for in_place, us in zip((False, True), row[1:], strict=False)}
    if not found:
        raise UsageError(f"{where}: points is empty; give {POINT}.")
    return found


def _is_point(row: object) -> Any:
    """Whether a row is a size and one or two latencies, all of them positive."""
    return (
        isinstance(row, list)
        and len(row) in (2, 3)
        and type(row[0]) is int
        and all(type(cell) in (int, float) and isfinite(cell) and cell > 0 for cell in row)
    )


def _check_once(path: Path, site: Site) -> None:
    """Raise UsageError for two figures of the same cases, and for sockets with nothing to tell them from."""
    keys = [(each.kind, each.sockets) for each in site.figures]
    kinds = {each.kind for each in site.published}
    for key in keys:
        words = " ".join(key[0])
        if keys.count(key) > 1:
            raise UsageError(f"{path} has figures for {words} twice; keep those that the site stands by.")
        if key[0] not in kinds:
            raise UsageError(f"{path} has figures for {words} over sockets alone; add those of the fabric.")
    if not keys:
        raise UsageError(f"{path} has no figures; add [[figures]].")
