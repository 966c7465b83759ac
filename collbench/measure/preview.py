"""What ``sweep --dry-run`` prints: the cases of the first launch, and which are skipped and why."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from collbench.plan.layout import BETWEEN
from collbench.plan.problem import Case
from collbench.plan.rms_norm import rows_words
from collbench.plan.sizes import format_size
from collbench.plan.skew import order, skew_words
from collbench.plan.sweep import Sweep, make_plan
from collbench.plan.worlds import Topology, layouts_for
from collbench.ranks.launcher import Launcher, check_world
from collbench.registry import refusals
from collbench.tables import Page, counted, notes_of, numbers, table_of, words

Fact = dict[str, Any]
COLUMNS = (
    *words("backend", "collective", "dtype", "op"), *numbers("size", "layout"),
    *words("mode", "cache", "in_place", "skipped because"),
)  # fmt: skip


def hosts_of(launcher: Launcher | None, ranks: int) -> tuple[str, ...]:
    """The hosts of so many ranks: those of this machine, or where a launcher started the ranks those on which they are,
    which they send each other: initializes MPI. Raises UsageError where these ranks are no world."""
    if launcher is None:
        return ("here",) * ranks
    from collbench.ranks.world import open_launch

    with ExitStack() as teardown:
        everyone = open_launch(teardown)
        check_world(launcher, everyone.size)
        return everyone.hosts


def facts(sweep: Sweep, topology: Topology, hosts: Sequence[str]) -> list[Fact]:
    """The plan for ranks on these ``hosts``: a dictionary for each case, those that are skipped last."""
    layouts, _ = layouts_for(topology, hosts)
    plan = make_plan(sweep, layouts, 0, refusals())
    cases = [{**_fact(case), "status": "planned"} for group in plan.groups for case in group]
    skips = [{**_fact(skip.case), "status": "skipped", "reason": skip.reason} for skip in plan.skips]
    return [*sorted(cases, key=_order), *sorted(skips, key=_order)]


def page(found: Sequence[Fact], ranks: int) -> Page:
    """The plan as a table."""
    skipped = sum("reason" in fact for fact in found)
    planned = counted(len(found) - skipped, "case")
    pairs = len({fact["layout"] for fact in found if BETWEEN in fact["layout"]})
    each = f", one after another on {counted(pairs, 'pair')} of hosts" if pairs else ""
    total = f"{planned} to run, {skipped} skipped, on {counted(ranks, 'rank')}{each}"
    return Page((table_of("", COLUMNS, map(_row, found)),), notes_of([total]))


def _order(fact: Fact) -> tuple[Any, ...]:
    kind = (fact["collective"], fact["hidden"] or 0, fact["dtype"])
    return *kind, fact["layout"], fact["mode"], fact["bytes"], order(fact["skew"]), fact["backend"]


def _fact(case: Case) -> Fact:
    problem = case.problem
    return {
        "backend": case.backend, "collective": problem.collective.name, "dtype": problem.dtype.name, "op": problem.op,
        "bytes": problem.bytes or problem.size, "ranks": problem.layout.size, "layout": str(problem.layout),
        "mode": problem.mode, "cache": problem.cache, "in_place": problem.in_place, "hidden": problem.hidden or None,
        "groups": len(problem.layout.groups), "skew": str(problem.skew or ""),
    }  # fmt: skip


def _collective(fact: Fact) -> str:
    return ", ".join(filter(None, (fact["collective"], rows_words(fact["hidden"]))))


def _row(fact: Fact) -> list[str]:
    names = ("backend", "collective", "dtype", "op", "bytes", "layout", "mode", "cache", "in_place")
    mode = ", ".join(filter(None, (fact["mode"], skew_words(fact["skew"]))))
    shown = {"bytes": format_size(fact["bytes"]), "collective": _collective(fact), "mode": mode}
    cells = [shown.get(name, str(fact[name])) for name in names]
    return [*cells, str(fact.get("reason", ""))]
