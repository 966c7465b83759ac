"""Refusals that several backends share: each returns why the backend ``name`` cannot run a problem, or None."""

from __future__ import annotations

from collbench.plan.problem import Problem


def other_collective(name: str, problem: Problem, collective: str = "all_reduce") -> str | None:
    """``name`` implements ``collective`` and no other."""
    asked = problem.collective.name
    return None if asked == collective else f"{name} implements {collective}, not {asked}"


def uneven_nodes(name: str, problem: Problem) -> str | None:
    """``name`` divides each message among the ranks of a node."""
    even = problem.layout.per_node is not None
    return None if even else f"{name} needs the same number of ranks on every node"
