"""The option ``--llm`` of ``sweep``: problems from what an engine sends, in place of those from other options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from collbench.cli.params import Parsed, reworded
from collbench.errors import UsageError

if TYPE_CHECKING:
    from collbench.llm.spec import Spec
    from collbench.plan.demands import Demand
    from collbench.plan.sweep import Sweep
    from collbench.plan.worlds import Topology

REPLACED = ("collective", "sizes", "begin", "end", "factor", "step", "dtype", "op", "hidden", "ranks", "gpus", "nodes",
            "layout", "pairs", "contests")  # fmt: skip


def _specs(text: str) -> tuple[Spec, ...]:
    from collbench.llm.spec import parse_spec

    return tuple(dict.fromkeys(map(parse_spec, text.split(","))))


llm_option = click.option(
    "--llm", "specs", type=Parsed("SPEC,...", _specs),
    help="Instead, the collectives and sizes of a prefill and of a decode step of these, such as "
    "llama-3.1-70b:tp=8:batch=8, on their groups of ranks side by side; keys are the options of `collbench llm steps`.",
)  # fmt: skip


def demands_of(context: click.Context, specs: Iterable[Spec]) -> tuple[Demand, ...]:
    """What these specs ask for. Raises UsageError where another option asks for other problems too."""
    from collbench.llm.demands import demands_of

    given = (name for name in REPLACED if context.get_parameter_source(name) not in {None, ParameterSource.DEFAULT})
    flags = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    if other := next(given, None):
        raise UsageError(f"--llm says which problems to time; omit {flags[other]}.")
    return demands_of(specs)


def with_whole_paths(words: Sequence[str]) -> list[str]:
    """The words of a command line, in whose specs the paths of configs are absolute: a job runs in another folder."""
    return reworded(words, "--llm", lambda text: ",".join(str(_with_whole_paths(spec)) for spec in _specs(text)))


def _with_whole_paths(spec: Spec) -> Spec:
    from collbench.llm.models import whole_path

    draft = spec.draft and whole_path(spec.draft)
    return replace(spec, model=whole_path(spec.model), draft=draft)


def with_demands(sweep: Sweep, demands: tuple[Demand, ...]) -> Sweep:
    """The sweep of these demands."""
    sizes, dtypes, hidden = ({getattr(each, name): None for each in demands} for name in ("size", "dtype", "hidden"))
    return replace(sweep, demands=demands, sizes=tuple(sizes), dtypes=tuple(dtypes), hidden=tuple(filter(None, hidden)))


def topology_of(demands: Iterable[Demand]) -> Topology:
    """The worlds of these demands."""
    from collbench.plan.worlds import Topology

    return Topology(groupings=tuple(dict.fromkeys(demand.grouping for demand in demands)))
