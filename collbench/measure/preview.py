"""The output of ``sweep --dry-run``: the cases of the first launch, and which are skipped and why."""

from __future__ import annotations

import json
from typing import Any

from collbench.plan.problem import Case
from collbench.plan.sizes import format_size
from collbench.plan.sweep import Plan, Sweep, make_plan
from collbench.plan.worlds import Topology, layouts_for
from collbench.registry import refusals
from collbench.tables import aligned, counted

Fact = dict[str, Any]
COLUMNS = ("backend", "collective", "dtype", "op", "bytes", "layout", "mode", "cache", "in_place")


def show(sweep: Sweep, topology: Topology, ranks: int, as_json: bool) -> str:
    """The plan for ``ranks`` ranks of this machine as a table, or as JSON."""
    layouts, _ = layouts_for(topology, ["here"] * ranks)
    facts = _facts(make_plan(sweep, layouts, 0, refusals()))
    if as_json:
        return json.dumps(facts, indent=1, allow_nan=False)
    table = [[*(name.replace("bytes", "size") for name in COLUMNS), "skipped because"], *map(_row, facts)]
    skipped = sum("reason" in fact for fact in facts)
    planned = counted(len(facts) - skipped, "case")
    return f"{aligned(table)}\n\n{planned} to run, {skipped} skipped, on {counted(ranks, 'rank')}"


def _facts(plan: Plan) -> list[Fact]:
    cases = [{**_fact(case), "status": "planned"} for group in plan.groups for case in group]
    skips = [{**_fact(skip.case), "status": "skipped", "reason": skip.reason} for skip in plan.skips]
    return [*sorted(cases, key=_order), *sorted(skips, key=_order)]


def _order(fact: Fact) -> tuple[Any, ...]:
    return fact["collective"], fact["dtype"], fact["layout"], fact["mode"], fact["bytes"], fact["backend"]


def _fact(case: Case) -> Fact:
    problem = case.problem
    return {
        "backend": case.backend, "collective": problem.collective.name, "dtype": problem.dtype.name, "op": problem.op,
        "bytes": problem.bytes or problem.size, "ranks": problem.layout.size, "layout": str(problem.layout),
        "mode": problem.mode, "cache": problem.cache, "in_place": problem.in_place,
    }  # fmt: skip


def _row(fact: Fact) -> list[str]:
    cells = [format_size(fact[name]) if name == "bytes" else str(fact[name]) for name in COLUMNS]
    return [*cells, str(fact.get("reason", ""))]
