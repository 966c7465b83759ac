"""Findings about the settings of a job: where its profile met others, and what reached the ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collbench.doctor.findings import Finding, fine, note
from collbench.host.environment import is_recorded
from collbench.host.probes import Process
from collbench.host.settings import Conflict
from collbench.tables import counted

SHOWN = 6  # variables that a finding spells out


def disagreement(conflicts: Sequence[Conflict]) -> Finding | None:
    """Variables for which the profile and the environment of its job, most often a site's module, disagree."""
    if not conflicts:
        return None
    cure = (
        "decide in a profile of your own: keep = true leaves the environment's value, "
        "`unset` after the module in `before` drops it"
    )
    return note("settings", _listed([_dispute(each) for each in conflicts]), cure)


def _dispute(conflict: Conflict) -> str:
    if conflict.kept:
        return f"{conflict.name} stays {_shown(conflict.environment)}, the profile has {conflict.profile}"
    overruled = f"{conflict.name}={conflict.environment} of the environment"
    return f"{overruled} gives way to {conflict.profile}" if conflict.profile else f"{overruled} is unset"


def arrival(ranks: Sequence[Process], given: Mapping[str, str] | None) -> Finding | None:
    """Whether every rank has the settings that the script of its job gave it: a launcher, a container or a module of
    the site may change them. ``given`` is None outside such a job."""
    if given is None:
        return None
    names = sorted({name for rank in ranks for name in rank.settings} | set(given))
    changed = [words for name in names if is_recorded(name) and (words := _change(name, ranks, given.get(name, "")))]
    if not changed:
        return fine("settings of the ranks", f"as the job's script set them ({counted(len(given), 'variable')})")
    cure = "look for what sets them between the script and the ranks: the launcher, a prolog, the container's files"
    return note("settings of the ranks", _listed(changed), cure)


def _change(name: str, ranks: Sequence[Process], wanted: str) -> str | None:
    """What ranks have otherwise than the script; an empty value is as good as none."""
    others = [value for rank in ranks if (value := rank.settings.get(name, "")) != wanted]
    if not others:
        return None
    whose = "every rank" if len(others) == len(ranks) else f"{len(others)} of {len(ranks)} ranks"
    return f"{name} is {_shown(others[0])} on {whose}, {_shown(wanted)} in the script"


def _shown(value: str) -> str:
    return value or "unset"


def _listed(words: Sequence[str]) -> str:
    more = len(words) - SHOWN
    return "; ".join([*words[:SHOWN], *([f"{more} more"] if more > 0 else [])])
