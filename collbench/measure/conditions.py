"""The conditions of a launch, from its entry in the sidecar: what must be equal for its rows to be continued; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Entry = Mapping[str, Any]  # of a launch, in the sidecar
KNOBS = ("warmup", "samples", "max_seconds", "seed", "verify")
PLAN = (
    "collectives", "backends", "sizes", "dtypes", "ops", "modes", "caches", "in_place", "hidden", "demands", "skews",
)  # fmt: skip


def same_hosts(one: Entry, other: Entry) -> bool:
    """Whether both launches ran on the same hosts, rank by rank."""
    return _of_ranks(one, "host") == _of_ranks(other, "host")


def differences(then: Entry, now: Entry) -> list[str]:
    """What differs between two launches whose rows must not mix, in words; facts that only one of them has do not."""
    found = [*changed_options(then, now), *processors(then, now), *libraries(then, now)]
    for name, what in (("source_sha256", "the source of collbench"), ("kernels_sha256", "the source of the kernels")):
        if name in then and name in now and _differ(then[name], now[name]):
            found.append(f"{what} has changed")
    return found


def _of_ranks(entry: Entry, name: str) -> list[Any]:
    return [rank.get(name) for rank in entry.get("ranks", ())]


def changed_options(then: Entry, now: Entry) -> list[str]:
    """The options that differ and change results, in words."""
    one, other = then.get("sweep", {}), now.get("sweep", {})
    knobs = [knob for knob in KNOBS if knob in one and knob in other]
    changed = [
        f"{option(knob, one[knob])}, now {option(knob, other[knob])}" for knob in knobs if one[knob] != other[knob]
    ]
    return [*changed, *_changed_goal(then, now)]


def _changed_goal(then: Entry, now: Entry) -> list[str]:
    """The options of a check that differ, in words: with others, or with other cases, it does not hold its error."""
    one, other = then.get("goal") or {}, now.get("goal") or {}
    if not one or not other:
        return ["the launches of a sweep, now of a check" if other else "those of a check"] if one or other else []
    changed = [name for name in one if one[name] != other.get(name)]
    words = [f"{option(name, one[name])}, now {option(name, other.get(name))}" for name in changed]
    kinds = [kind for kind in PLAN if [*then["sweep"].get(kind, ())] != [*now["sweep"].get(kind, ())]]
    worlds = ["worlds"] if {*then.get("worlds", ())} != {*now.get("worlds", then.get("worlds", ()))} else []
    return [*words, *(f"other {kind.replace('_', ' ')}" for kind in (*kinds, *worlds))]


def option(knob: str, value: object) -> str:
    """The command-line option that sets ``knob`` to ``value``."""
    if knob == "verify":
        return "--verify" if value else "--no-verify"
    name = f"--{knob.replace('_', '-')}"
    return f"the default {name}" if value is None else f"{name} {value}"


def processors(then: Entry, now: Entry) -> Iterator[str]:
    """The processors that differ, in words."""
    return _of_kinds(then, now, (("GPU", "gpu", "name"), ("processor", "cpu", "name")))


def _of_kinds(then: Entry, now: Entry, facts: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The facts about the ranks' devices that differ, each given as (what, kind of device, name of the fact)."""
    for what, kind, name in facts:
        one, other = (
            {str(fact[name]) for fact in _of_ranks(entry, kind) if fact and name in fact} for entry in (then, now)
        )
        if one and other and one != other:
            yield f"{what} {', '.join(sorted(one))}, now {', '.join(sorted(other))}"


def libraries(then: Entry, now: Entry) -> Iterator[str]:
    """The drivers and libraries that differ, in words."""
    yield from _of_kinds(then, now, (("driver", "gpu", "driver"), ("NCCL", "gpu", "nccl")))
    one, other = then.get("mpi", {}).get("library"), now.get("mpi", {}).get("library")
    if one and other and one != other:
        yield f"{one}, now {other}"
    before, after = then.get("versions", {}), now.get("versions", {})
    for package in sorted(before.keys() & after.keys()):
        if before[package] != after[package]:
            yield f"{package} {before[package]}, now {after[package]}"


def _differ(then: object, now: object) -> bool:
    """Whether two hashes differ, or two tables of hashes in a name that both have."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        return any(then[name] != now[name] for name in then.keys() & now.keys())
    return then != now
