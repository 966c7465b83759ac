"""What is unlike between measured rows and the published figures beside them, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from collbench.host.transports import families
from collbench.results.against import Judged
from collbench.results.footing import STATISTIC, TOOL
from collbench.results.mismatch import CALLED
from collbench.results.published import Figures
from collbench.results.records import Record

Facts = Sequence[Mapping[str, str | None]]  # of the launches, by the names of `records.FACTS`


def differences(judged: Judged, facts: Facts) -> list[str]:
    """What is unlike, or not known to be alike: backend, GPU, version, tool, statistic, conditions, network."""
    rows = [row for each in judged.rows for row in each.case.rows]
    figures = list({id(each.figures): each.figures for each in judged.rows}.values())
    tools = {row.param.get(TOOL, "collbench") for row in rows}, {each.tool.split()[0] for each in figures}
    pairs = (
        ("backend", {judged.backend}, {judged.site.library}),
        ("GPU", _known(facts, "gpu"), {each.gpu for each in figures}),
        (f"version of {judged.site.library}", _known(facts, judged.site.library), _versions(figures)),
        ("tool", *tools),
        ("latency", _statistics(judged), {each.statistic for each in figures}),
    )
    conditions = [words for each in figures for words in each.conditions] if tools[0] != tools[1] else []
    return [
        *(_beside(what, mine, theirs) for what, mine, theirs in pairs if mine != theirs or not mine),
        *(f"published under: {words}" for words in dict.fromkeys(conditions)),
        *_networks(rows, figures),
    ]


def _beside(what: str, mine: Iterable[str], theirs: Iterable[str]) -> str:
    return f"{what}: here {_listed(mine)}, published {_listed(theirs)}"


def _known(facts: Facts, name: str) -> set[str]:
    return {value for each in facts if (value := each.get(name))}


def _versions(figures: Iterable[Figures]) -> set[str]:
    return {each.version for each in figures if each.version}


def _statistics(judged: Judged) -> set[str]:
    """What the latencies here are: the published statistic, what another tool says, or the slowest rank."""
    return {
        each.figures.statistic if each.by_mean else each.case.record.param.get(STATISTIC, "slowest rank")
        for each in judged.rows
    }


def _networks(rows: Iterable[Record], figures: Iterable[Figures]) -> list[str]:
    """The network that the library itself named, beside the published one."""
    used = {_called(row.param["transport"]) for row in rows if row.status == "ok" and row.param.get("transport")}
    return [_beside("network", used, {each.network for each in figures})]


def _called(transport: str) -> str:
    names = " and ".join(CALLED[family] for family in sorted(families(transport)))
    return f"{names} ({transport})" if names else transport


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(values)) or "not known"
