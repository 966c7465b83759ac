"""Cases of other tools as rows of ours, with what a user adds to what the file says."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from collbench.errors import UsageError
from collbench.foreign.formats import Reading
from collbench.foreign.measured import Case, Place, Run
from collbench.foreign.words import OTHERS, REDUCING, itemsize_of
from collbench.plan.collectives import COLLECTIVES
from collbench.results.footing import STATISTIC, TOOL
from collbench.results.records import Record
from collbench.tables import counted

_FEWEST = 3  # cases that agree as the digits of a log do, which two runs do not
_ASIDE = re.compile(r"NCCL_(?:DEBUG\w*|COMM_ID|HOSTID|\w+_DUMP_FILE)")  # variables of NCCL that change no time
_BAD = re.compile(r"[^\w.@+:-]+")
# What a file may not say: words for a message, and the option that adds it.
_LACKS = {
    "collective": ("which collective it is of", "--collective"), "ranks": ("how many ranks ran", "--ranks"),
    "nodes": ("on how many nodes", "--nodes or --per-node"), "mode": ("how calls follow each other", "--mode"),
    "backend": ("what was timed", "a name, as in nccl=LOG"),
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """What a user adds; "" and None for what is not given. ``per_node`` is the number of ranks on each node."""

    collective: str = ""
    ranks: int | None = None
    nodes: int | None = None
    per_node: int | None = None
    dtype: str = ""
    mode: str = ""
    fabric: str = ""


@dataclass(frozen=True)
class Imported:
    """A run as rows: of each the record and the samples in microseconds. ``repeated`` are cases that it has again."""

    reading: Reading
    run: Run
    rows: tuple[tuple[Record, tuple[float, ...]], ...]
    repeated: int = 0

    @property
    def launch(self) -> int:
        """The number of its launch."""
        return self.rows[0][0].launch


def check_name(name: str) -> None:
    """Raise UsageError for a name that no backend or network may have."""
    if not name or _BAD.search(name):
        raise UsageError(f"{name!r} is no name for a backend or a network; use letters, digits and . _ - + @ : only.")


def imported(readings: Sequence[Reading], given: Given) -> list[Imported]:
    """The runs of all files as rows; a run with cases of an earlier one is a launch of its own.

    Raises UsageError for what neither a file nor ``given`` says, or both say differently, and where runs of different
    libraries, GPUs or statistics would pass for launches of one backend.
    """
    found: list[Imported] = []
    earlier: dict[tuple[object, ...], list[Imported]] = {}
    for reading in readings:
        _check_given(reading, given)
        for run in reading.runs:
            if each := _imported(reading, run, given, earlier):
                found.append(each)
                for record, _ in each.rows:
                    earlier.setdefault(record.identity, []).append(each)
    if not found:
        raise UsageError(f"{readings[0].source.path} has no case of a collective that collbench knows.")
    return found


def _imported(
    reading: Reading, run: Run, given: Given, earlier: dict[tuple[object, ...], list[Imported]]
) -> Imported | None:
    """None for a run whose collectives are none of ours."""
    cases = _filled(reading, run.cases, given)
    rows: dict[tuple[object, ...], tuple[Record, tuple[float, ...]]] = {}
    for case in cases:
        record = _record(case, reading, run, given)
        rows.setdefault(record.identity, (record, case.latency.samples))
    before = [other for identity in rows for other in earlier.get(identity, [])]
    launch = max((len(earlier.get(identity, [])) for identity in rows), default=0)
    numbered = tuple((replace(record, launch=launch), samples) for record, samples in rows.values())
    result = Imported(reading, run, numbered, len(cases) - len(rows))
    for other in before:
        _check_alike(other, result)
        _check_another(other, result)
    return result if rows else None


def _filled(reading: Reading, cases: Iterable[Case], given: Given) -> list[Case]:
    """The cases with what is given; those of a collective that is none of ours, and of empty messages, are left out."""
    ours = [case for case in cases if case.size and case.collective in ("", *COLLECTIVES)]
    name = reading.source.backend
    filled = [replace(_fill(case, given), backend=name or _BAD.sub("_", case.backend)) for case in ours]
    lacking = {name for case in filled for name in _lacking(case)}
    if lacking:
        words, options = zip(*(_LACKS[name] for name in _LACKS if name in lacking), strict=True)
        raise UsageError(f"{reading.source.path} does not say {_listed(words)}; add {_listed(options)}.")
    if few := next((case.place for case in filled if (case.place.nodes or 0) > (case.place.ranks or 0)), None):
        raise UsageError(
            f"{reading.source.path} has cases of {counted(few.ranks or 0, 'rank')}, which cannot be on {few.nodes} "
            "nodes; give other --ranks or --nodes, or --per-node."
        )
    return filled


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _lacking(case: Case) -> Iterator[str]:
    values = {"collective": case.collective, "ranks": case.place.ranks, "nodes": case.place.nodes, "mode": case.mode,
              "backend": case.backend}  # fmt: skip
    return (name for name, value in values.items() if not value)


def _fill(case: Case, given: Given) -> Case:
    ranks = case.place.ranks or given.ranks
    known = case.place.nodes  # then a missing number of ranks on each means that they differ
    nodes = known or (-(-ranks // given.per_node) if ranks and given.per_node else given.nodes)
    return replace(
        case,
        collective=case.collective or given.collective,
        dtype=given.dtype if given.dtype and _has_any_type(case) else case.dtype,
        mode=case.mode or given.mode,
        place=Place(ranks, nodes, case.place.per_node if known else _share(ranks, nodes), case.place.groups),
    )


def _has_any_type(case: Case) -> bool:
    """Whether the type of a case is open: what is copied by the byte has any."""
    return not case.dtype or (case.collective not in REDUCING and case.dtype in OTHERS)


def _check_given(reading: Reading, given: Given) -> None:
    """Raise UsageError where something is given that every case of a file says otherwise."""
    cases = [case for run in reading.runs for case in run.cases]
    named: dict[str, list[tuple[str | int | None, str | int | None]]] = {
        "collective": [(case.collective, given.collective) for case in cases],
        "number of ranks": [(case.place.ranks, given.ranks) for case in cases],
        "number of nodes": [(case.place.nodes, given.nodes) for case in cases],
        "number of ranks on each node": [(case.place.per_node, given.per_node) for case in cases],
        "type": [("" if _has_any_type(case) else case.dtype, given.dtype) for case in cases],
        "mode": [(case.mode, given.mode) for case in cases],
    }
    for name, pairs in named.items():
        said, added = {each for each, _ in pairs}, pairs[0][1]
        if added and all(said) and added not in said:
            listed = _listed(sorted(map(str, said)))
            raise UsageError(f"the {name} in {reading.source.path} is {listed}, not {added}; omit that option.")


def _share(ranks: int | None, nodes: int | None) -> int | None:
    """Ranks on each node, where nodes may have as many."""
    return ranks // nodes if ranks and nodes and ranks % nodes == 0 else None


def run_id_of(reading: Reading, run: Run) -> str:
    """The name of a run: its tool and the hash of its file."""
    return f"{run.tool}-{reading.source.sha256[:8]}"


def _record(case: Case, reading: Reading, run: Run, given: Given) -> Record:
    place, latency = case.place, case.latency
    if not (place.ranks and place.nodes):
        raise ValueError("the place is not known")
    size = case.size * place.ranks if case.per_rank else case.size
    us = latency.slowest or latency.mean or 0.0
    fault = case.fault or (f"{run.tool} counts {case.wrong} wrong elements" if case.wrong else "")
    record = Record(
        run_id=run_id_of(reading, run),
        launch=0,
        collective=case.collective,
        backend=case.backend,
        dtype=_BAD.sub("_", case.dtype),
        op=_BAD.sub("_", case.op) if COLLECTIVES[case.collective].reduces else "",
        bytes=size,
        count=size // itemsize if (itemsize := itemsize_of(case.dtype)) else 0,
        ranks=place.ranks,
        nodes=place.nodes,
        gpus_per_node=place.per_node,
        fabric=given.fabric,
        mode=case.mode,
        in_place=case.in_place,
        params=_params(case, run),
        status="wrong" if fault else "ok",
        reason=fault,
        samples=case.samples,
        warmups=case.warmups,
        wrong=case.wrong,
        groups=place.groups,
    )
    return record if fault else _timed(record, case, us)


def _timed(record: Record, case: Case, us: float) -> Record:
    latency, algbw = case.latency, record.bytes / us / 1000
    return replace(
        record,
        latency_us_median=latency.slowest,
        latency_us_mean=latency.mean,
        latency_us_min=latency.least,
        latency_us_p95=latency.p95,
        latency_us_p99=latency.p99,
        latency_us_max=latency.most,
        algbw_gb_s=algbw,
        busbw_gb_s=algbw * COLLECTIVES[record.collective].bus_factor(record.ranks),
    )


def _params(case: Case, run: Run) -> str:
    words = {TOOL: run.tool, STATISTIC: case.statistic, **({"calls": str(case.calls)} if case.calls else {}),
             **case.params}  # fmt: skip
    return ";".join(f"{name}={re.sub('[;=]', ',', text)}" for name, text in words.items())


def _check_alike(one: Imported, other: Imported) -> None:
    """Raise UsageError where two runs are no launches of the same thing."""
    shared = {record.identity for record, _ in one.rows} & {record.identity for record, _ in other.rows}
    mine, theirs = _what(one, shared), _what(other, shared)
    if differ := next((name for name in mine if mine[name] != theirs.get(name, mine[name])), None):
        files = [str(each.reading.source.path) for each in (one, other)]
        name = other.rows[0][0].backend
        cure = (
            f"name each, as in {name}-a={files[0]} {name}-b={files[1]}"
            if files[0] != files[1]
            else "make a file of each and name them, as in a=A.log b=B.log"
        )
        raise UsageError(
            f"{_named(files)} have the same cases of {name}, but another {differ}: {mine[differ] or 'unknown'} and "
            f"{theirs[differ] or 'unknown'}; {cure}."
        )


def _check_another(one: Imported, other: Imported) -> None:
    """Raise UsageError where two files have the same latencies, as the log and the JSON of one run: they would pass for
    launches."""
    mine = {record.identity: _us(record) for record, _ in one.rows}
    shared = [(mine[record.identity], _us(record)) for record, _ in other.rows if record.identity in mine]
    named = _named([str(each.reading.source.path) for each in (one, other)])
    if len(shared) >= _FEWEST and all(math.isclose(a, b, rel_tol=1e-4, abs_tol=0.0051) for a, b in shared):
        raise UsageError(
            f"{named} have the same latencies in all {len(shared)} cases that both have: they are of one run; give one "
            "of them."
        )


def _named(files: Sequence[str]) -> str:
    return " and ".join(files) if len(set(files)) > 1 else f"two runs in {files[0]}"


def _us(record: Record) -> float:
    return record.latency_us_median or record.latency_us_mean or 0.0


def _what(each: Imported, shared: Collection[tuple[object, ...]]) -> dict[str, str]:
    """What the ``shared`` cases of a run have in common with those of its other launches."""
    gpus = [rank.get("gpu", {}) for rank in each.run.facts.get("ranks", ())]
    versions = [each.run.facts.get("library"), *(gpu.get("nccl") or gpu.get("rccl") for gpu in gpus)]
    return {
        "tool": each.run.tool,
        "statistic": _joined(record.param[STATISTIC] for record, _ in each.rows if record.identity in shared),
        "version of the library": _joined(versions),
        "GPU": _joined(gpu.get("name") for gpu in gpus),
        **({"setting": _settings(each.run.facts["variables"])} if "variables" in each.run.facts else {}),
    }


def _settings(variables: Mapping[str, str]) -> str:
    """The variables of NCCL that change its times, where a file says with which it ran."""
    kept = {name: value for name, value in variables.items() if name.startswith(("NCCL_", "RCCL_"))}
    return ", ".join(f"{name}={value}" for name, value in sorted(kept.items()) if not _ASIDE.fullmatch(name)) or "none"


def _joined(values: Iterable[str | None]) -> str:
    return ", ".join(sorted({value for value in values if value}))
