"""Problems that are asked for one by one, and the worlds that they run on."""

from __future__ import annotations

from dataclasses import replace

from collbench.plan.demands import Demand
from collbench.plan.layout import Grouping
from collbench.plan.sweep import Sweep, problems
from collbench.plan.worlds import Topology, layouts_for

PAIRS = Grouping(((0, 1), (2, 3)), 8)
LAST = Grouping(((2, 3),), 8)
ALL = Grouping(((0, 1, 2, 3),), 2)
DEMANDS = (
    Demand(PAIRS, "all_reduce", "bfloat16", 8192),
    Demand(LAST, "all_gather", "bfloat16", 4096),
    Demand(ALL, "all_reduce", "float32", 4096),
)
TOPOLOGY = Topology(groupings=(PAIRS, LAST, ALL))
LAYOUTS, _ = layouts_for(TOPOLOGY, ["a"] * 4)
SWEEP = Sweep(
    ("all_reduce", "all_gather"), ("mpi",), (1,), ("float64",), ("sum",), ("chain",), ("hot",), (False,),
    demands=DEMANDS,
)  # fmt: skip


def test_every_demand_runs_on_its_own_world() -> None:
    found = [(str(each.layout), each.bytes) for each in problems(SWEEP, LAYOUTS)]
    assert found == [("1x2 in 2 groups", 8192), ("1x2", 4096), ("2x2 virtual", 4096)]


def test_ranks_on_other_nodes_are_another_world() -> None:
    near, far = Grouping(ALL.groups, 4), Grouping(ALL.groups, 2)
    layouts, _ = layouts_for(Topology(groupings=(near, far)), ["a"] * 4)
    sweep = replace(SWEEP, demands=(Demand(near, "all_reduce", "float32", 64), Demand(far, "all_reduce", "float32", 8)))
    assert [(str(each.layout), each.bytes) for each in problems(sweep, layouts)] == [("1x4", 64), ("2x2 virtual", 8)]


def test_what_rows_do_not_tell_apart_is_timed_once() -> None:
    other = Grouping(((0, 2), (1, 3)), 8)
    layouts, _ = layouts_for(Topology(groupings=(PAIRS, other)), ["a"] * 4)
    sweep = replace(SWEEP, demands=(DEMANDS[0], replace(DEMANDS[0], grouping=other)))
    assert [each.layout.groups for each in problems(sweep, layouts)] == [PAIRS.groups]


def test_the_same_world_serves_several_groupings() -> None:
    alike = Grouping(PAIRS.groups, 4)
    layouts, _ = layouts_for(Topology(groupings=(PAIRS, alike)), ["a"] * 4)
    assert [layout.groupings for layout in layouts] == [(PAIRS, alike)]


def test_demands_replace_the_combinations_of_options() -> None:
    asked = [(each.collective.name, each.dtype.name, each.op, each.bytes) for each in problems(SWEEP, LAYOUTS)]
    assert asked == [
        ("all_reduce", "bfloat16", "sum", 8192), ("all_gather", "bfloat16", "", 4096),
        ("all_reduce", "float32", "sum", 4096),
    ]  # fmt: skip


def test_a_launch_has_the_ranks_of_all_groups() -> None:
    assert TOPOLOGY.wanted_ranks(2) == 4
