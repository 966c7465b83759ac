"""Tables of PARAM's comms benchmark (facebookresearch/param, train/comms/pt/comms.py).

Each rank reports its mean over calls; the percentiles of a row are over ranks, so that "Max" is the slowest rank.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from collbench.foreign.measured import SLOWEST, Case, Latency, Place, Run, Understood, joined
from collbench.foreign.source import Line, Source
from collbench.foreign.words import REDUCING, collective_of, dtype_of, positive, whole

NAME = "PARAM"
_HEAD = re.compile(r"\s*COMMS-RES\s+total-size \(B\)\s+nElementsPerRank\s+Time\(us\):p50")
_ROW = re.compile(r"\s*COMMS-RES-(?P<collective>\w+?)-(?P<dtype>[a-z]+\d+)(?P<tag>\S*)\s+(?P<cells>\d.*)")
_OTHERS = re.compile(r"\s*COMMS-RES")
_WORLD = re.compile(r"'(world_size|local_size)': (\d+)")
_BACKEND = re.compile(r"\s*backend: (\S+) nw-stack.*?args\.z: (\d)")
_KNOWN = (_HEAD, _BACKEND, re.compile("PARAM COMM environment"))
_COLUMNS = ("size", "elements", "p50", "p75", "p95", "min", "max")


def recognise(source: Source) -> bool:
    """Whether a line is a result of the benchmark."""
    return any(_ROW.match(line.text) for line in source.lines)


def understand(source: Source) -> Understood:
    """The run of a log."""
    return joined([_of_stream(stream) for stream in source.streams])


def _of_stream(lines: Sequence[Line]) -> Understood:
    world = {name: int(value) for line in lines for name, value in _WORLD.findall(line.text)}
    settings = next((match for line in lines if (match := _BACKEND.match(line.text))), None)
    place = _place(world.get("world_size"), world.get("local_size"))
    known = {line.number for line in lines if any(each.search(line.text) for each in _KNOWN)}
    cases = []
    for line in lines:
        if case := _case(line, place, settings):
            cases.append(case)
            known.add(line.number)
    others = any(_OTHERS.match(line.text) and line.number not in known for line in lines)
    remarks = ("has results of another kind: point to point, quantised, or of no collective of ours",) if others else ()
    return Understood((Run("param", "", tuple(cases), {}, remarks),), frozenset(known))


def _place(ranks: int | None, per_node: int | None) -> Place:
    """PARAM counts processes by variables of the launcher, of which the second may be missing."""
    if ranks and per_node and ranks % per_node == 0:
        return Place(ranks, ranks // per_node, per_node)
    return Place(ranks)


def _case(line: Line, place: Place, settings: re.Match[str] | None) -> Case | None:
    match = _ROW.match(line.text)
    if match is None or not collective_of(match["collective"]):
        return None
    found = dict(zip(_COLUMNS, match["cells"].split(), strict=False))
    try:
        size, latency = whole(found["size"]), Latency(positive(found["max"]))
    except (ValueError, KeyError):
        return None
    collective = collective_of(match["collective"])
    return Case(
        line=line.number,
        collective=collective,
        size=size,
        latency=latency,
        statistic=SLOWEST,
        backend=settings[1] if settings else "",
        dtype=dtype_of(match["dtype"]),
        op="sum" if collective in REDUCING else "",
        place=place,
        mode="" if settings is None else "isolated" if settings[2] == "1" else "throughput",
        samples=1,
        params={"tag": match["tag"].strip("-")} if match["tag"].strip("-") else {},
    )
