"""What rccl-tests writes as JSON (ROCm/rccl-tests, ``-Z json -x FILE``): a list of records, one a line, which do not
say whether calls were captured in a graph."""

from __future__ import annotations

import json

from collbench.foreign.measured import MEAN, Case, Latency, Place, Run, Understood
from collbench.foreign.source import Line, Source
from collbench.foreign.words import collective_of, count, dtype_of, positive, whole

NAME = "rccl-tests JSON"
_KEYS = ('"gpusPerRank"', '"inPlace"', '"busBw"')


def recognise(source: Source) -> bool:
    """Whether a line is a record."""
    return any(_is_record(line.text) for line in source.lines)


def _is_record(text: str) -> bool:
    return all(key in text for key in _KEYS)


def understand(source: Source) -> Understood:
    """The run in a file, as far as its records are complete."""
    cases = [case for line in source.lines if _is_record(line.text) and (case := _case(line))]
    brackets = {line.number for line in source.lines if line.text in ("[", "]")}
    run = Run("rccl-tests", "", tuple(cases))
    return Understood((run,), frozenset({case.line for case in cases} | brackets))


def _case(line: Line) -> Case | None:
    """The case of a record; None for a damaged one. How many ranks there are where a process has several GPUs is not
    said clearly, and left open."""
    try:
        record = json.loads(line.text.strip().strip(",[]"))
        single = count(record["gpusPerRank"]) == 1
        ranks, nodes, per_node = (count(record[name]) for name in ("ranks", "nodes", "ranksPerNode"))
        wrong, op = str(record.get("wrong", "N/A")), str(record["redop"])
        return Case(
            line=line.number,
            collective=collective_of(record["name"]) or str(record["name"]),
            size=whole(str(record["size"])),
            latency=Latency(mean=positive(str(record["time"]))),
            statistic=MEAN,
            backend="rccl",
            dtype=dtype_of(str(record["type"])),
            op="" if op == "none" else op,
            in_place=bool(whole(str(record["inPlace"]))),
            place=Place(ranks, nodes, per_node) if single else Place(nodes=nodes),
            wrong=whole(wrong) if wrong.isdecimal() else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
