"""All formats, and what they find in a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from collbench.errors import UsageError
from collbench.foreign import (
    aiconfigurator,
    evidence,
    imb,
    mscclpp,
    nccl_tests,
    nccl_tests_json,
    osu,
    param,
    rccl_tests_json,
)
from collbench.foreign.measured import Format, Run, joined
from collbench.foreign.source import Source
from collbench.foreign.tabular import PARQUET, header_of
from collbench.plan.collectives import COLLECTIVES

FORMATS: tuple[Format, ...] = (
    nccl_tests_json, rccl_tests_json, nccl_tests, osu, imb, param, mscclpp, aiconfigurator, evidence,
)  # fmt: skip
KNOWN = "nccl-tests and rccl-tests (logs and JSON), OSU, IMB-MPI1, PARAM, MSCCL++ and AIConfigurator"


@dataclass(frozen=True)
class Reading:
    """A file, its runs that have cases, and the numbers of the lines that no format understands."""

    source: Source
    runs: tuple[Run, ...]
    missed: tuple[int, ...]
    remarks: tuple[str, ...]


def read(source: Source) -> Reading:
    """What a file says. Raises UsageError for one of no known format, or without a case."""
    found = [form for form in FORMATS if form.recognise(source)]
    if not found and {"run_id", "collective"} <= set(header_of(source)):
        raise UsageError(f"{source.path} is a results file of collbench: compare, plot and fit take it as it is.")
    if not found:
        raise UsageError(f"{source.path} is no output of a benchmark that is known: {KNOWN}.")
    all_of_it = joined([form.understand(source) for form in found])
    said = [words for run in all_of_it.runs for words in (*run.remarks, *_others(run))]
    remarks = tuple(dict.fromkeys([*filter(None, [source.remark]), *said]))
    runs = tuple(run for run in all_of_it.runs if run.cases)
    if not runs:
        names = " and ".join(form.NAME for form in found)
        why = f": it {'; it '.join(remarks)}" if remarks else ""
        raise UsageError(f"{source.path} has the format of {names}, but no row that is understood{why}.")
    known = all_of_it.lines | source.of_nccl
    lines = () if source.content.startswith(PARQUET) else source.lines
    return Reading(source, runs, tuple(line.number for line in lines if line.number not in known), remarks)


def _others(run: Run) -> list[str]:
    """That a run has collectives that are none of ours."""
    names = dict.fromkeys(case.collective for case in run.cases if case.collective not in ("", *COLLECTIVES))
    return [f"has rows of {', '.join(names)}, which are left out: no collective of ours"] if names else []


def spans(numbers: Iterable[int]) -> list[str]:
    """Ascending numbers in short: ``4``, ``7-9``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]
