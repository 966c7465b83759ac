"""Problems that are asked for one by one, and the worlds that they run on."""

from __future__ import annotations

from collbench.plan.demands import Demand, Grouping, demands_on
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


def test_every_demand_runs_once_on_the_largest_of_its_worlds() -> None:
    found = {str(layout): list(demands_on(DEMANDS, layout, LAYOUTS)) for layout in LAYOUTS}
    assert found == {"1x2 in 2 groups": [DEMANDS[0]], "1x2": [DEMANDS[1]], "2x2 virtual": [DEMANDS[2]]}


def test_demands_replace_the_combinations_of_options() -> None:
    asked = [(each.collective.name, each.dtype.name, each.op, each.bytes) for each in problems(SWEEP, LAYOUTS)]
    assert asked == [
        ("all_reduce", "bfloat16", "sum", 8192), ("all_gather", "bfloat16", "", 4096),
        ("all_reduce", "float32", "sum", 4096),
    ]  # fmt: skip


def test_a_launch_has_the_ranks_of_all_groups() -> None:
    assert TOPOLOGY.wanted_ranks(2) == 4
