"""The best of a family of backends, as one more side of a ratio: ``best(nccl)`` is the fastest of nccl, nccl-symm, ...

Of several equal backends the fastest in some launches was lucky there, and by these launches it would look faster than
it is. So it is chosen case by case on one half of the launches and judged on the other. Launches are independent, so
that the choice depends on none of the launches that judge it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from collbench.errors import UsageError, pick
from collbench.plan.sizes import format_size
from collbench.results.cases import LATENCY, CaseResult, gravest, median_over
from collbench.results.records import Record
from collbench.results.verdicts import FEWEST_LAUNCHES, counted_launches

FEWEST = 2 * FEWEST_LAUNCHES - 1  # launches of which the judging half has three
UNCHOSEN = "unchosen"  # the status of a case without a choice
_BEST = re.compile(r"best\((.*)\)")
Launch = tuple[str, int]  # run and number


def family_of(name: str) -> str | None:
    """The family of which ``best(FAMILY)`` is the best; None for the name of a backend."""
    found = _BEST.fullmatch(name)
    return found[1] if found else None


def members(family: str, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that belong to a family: its backend, and those with its name before ``-`` or ``@``."""
    return sorted(name for name in names if name == family or name.startswith((f"{family}-", f"{family}@")))


def check_name(name: str, names: Collection[str]) -> None:
    """Raise UsageError if ``name`` is none of the backends ``names``, nor the best of a family of them."""
    family = family_of(name)
    if family is None:
        pick("backend", name, names)
    elif not (family and members(family, names)):
        raise UsageError(f"{name} has no backend to choose from; known: {', '.join(sorted(names))}.")


@dataclass(frozen=True)
class Best:
    """The best of the ``family`` of backends that have rows of a case.

    ``case`` has the launches of ``member`` that judge it; without a latency, its reason says why. ``others`` were no
    candidates, each with why.
    """

    name: str
    family: tuple[str, ...]
    case: CaseResult
    member: str = ""
    others: tuple[str, ...] = ()

    @property
    def exceptions(self) -> str:
        """What was no candidate, to be added to a sentence; "" if every member was one."""
        return f" (without {', '.join(self.others)})" if self.others else ""

    @property
    def label(self) -> str:
        """The member, and what was no candidate."""
        return f"{self.member}{self.exceptions}"


def best_of(name: str, found: Sequence[CaseResult]) -> Best:
    """The member with the lowest median in the first half of the launches of its family, as the other half has it.

    ``found`` are the cases of one problem, at least one, one a member. Members that are bad, or have no latency in the
    first half, are no candidates.
    """
    family = tuple(case.record.backend for case in found)
    launches = sorted({_key(row) for case in found for row in case.timed})
    choosing = launches[: len(launches) // 2]
    able = [case for case in found if _median_in(case, choosing) < math.inf]
    if not able:
        return Best(name, family, _unchosen(name, found, launches))
    chosen = min(able, key=lambda case: (_median_in(case, choosing), case.record.backend))
    member, rows = chosen.record.backend, tuple(row for row in chosen.timed if _key(row) not in choosing)
    words = f"{name} is {member}, chosen on {counted_launches(len(choosing))} and judged on {len(rows)}"
    if len(rows) < FEWEST_LAUNCHES:
        words += f", too few for a verdict, which needs {FEWEST} in all"
    judged = CaseResult(rows, "ok", words) if rows else replace(chosen, status=UNCHOSEN, reason=words)
    return Best(name, family, judged, member, tuple(_why_not(case) for case in found if _is_missed(case, able)))


def _key(row: Record) -> Launch:
    return row.run_id, row.launch


def _median_in(case: CaseResult, launches: Collection[Launch]) -> float:
    """The median latency in these launches; infinite without one."""
    found = median_over((row for row in case.timed if _key(row) in launches), LATENCY)
    return math.inf if found is None else found


def _unchosen(name: str, found: Sequence[CaseResult], launches: Sequence[Launch]) -> CaseResult:
    """A case without a latency that says why: that of the gravest member, or too few launches to choose by."""
    if not launches:
        return gravest(found)
    words = f"{counted_launches(len(launches))}: half of them choose {name}, the others judge it"
    return replace(next(case for case in found if case.timed), status=UNCHOSEN, reason=words)


def _is_missed(case: CaseResult, able: Collection[CaseResult]) -> bool:
    return case not in able and case.status != "skipped"


def _why_not(case: CaseResult) -> str:
    return f"{case.record.backend}: {case.status if case.is_bad else 'not in the launches that choose'}"


def reading(found: Collection[Best]) -> list[str]:
    """What each name among at least one best is, in a sentence."""
    families: dict[str, dict[str, None]] = {}
    for best in found:
        families.setdefault(best.name, {}).update(dict.fromkeys(best.family))
    return [
        f"{name}: at each size the fastest of {', '.join(sorted(family))} in the first half of the launches, judged by "
        "the other half: by the launches that chose it, it would look faster than it is."
        for name, family in families.items()
    ]


def choices(found: Iterable[Best]) -> str:
    """What was chosen over the sizes of a table, such as ``nccl-symm 4 KiB to 1 MiB, nccl 2 MiB``."""
    spans: list[tuple[str, list[int]]] = []
    for best in sorted(found, key=lambda best: best.case.record.bytes):
        if not spans or spans[-1][0] != best.label:
            spans.append((best.label, []))
        spans[-1][1].append(best.case.record.bytes)
    return ", ".join(f"{label} {' to '.join(_ends(sizes))}" for label, sizes in spans)


def _ends(sizes: Sequence[int]) -> list[str]:
    return list(dict.fromkeys(map(format_size, (sizes[0], sizes[-1]))))
