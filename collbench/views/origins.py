"""Where the numbers of a chart come from, for its foot: the note on the run, versions of libraries, date, launches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from collbench.results.facts import Facts
from collbench.results.records import Record
from collbench.results.verdicts import counted_launches
from collbench.views.page import KEPT

ON_GPUS = {"nccl": "NCCL", "nvshmem": "NVSHMEM", "driver": "CUDA driver", "cuda": "CUDA runtime"}
_MPI = re.compile(r"(Open MPI|CRAY MPICH|MPICH|MVAPICH\d*|Intel\(R\) MPI Library)\D*([\d.]*\d)", re.IGNORECASE)


def origin_of(rows: Sequence[Record], facts: Mapping[Record, Facts]) -> str:
    """Notes, versions, date and number of launches of these rows, in one line; without any facts, the runs' names."""
    known = [facts[row] for row in rows if row in facts]
    launches = counted_launches(len({(row.run_id, row.launch) for row in rows}))
    parts = [part.replace(" ", KEPT) for part in (*(_facts(known) or [_runs(rows)]), launches)]
    return " · ".join([*_values(known, "note"), *parts])  # a note may be longer than a line


def _facts(known: Sequence[Facts]) -> list[str]:
    """What the sidecars say, in words; libraries for GPUs only where there are GPUs."""
    names = ON_GPUS if _values(known, "gpu") else {}
    libraries = [f"{title} {', '.join(found)}" for name, title in names.items() if (found := _values(known, name))]
    mpi = list(dict.fromkeys(map(mpi_name, _values(known, "mpi"))))
    git = [f"collbench {', '.join(found)}"] if (found := _values(known, "git")) else []
    days = sorted({started[:10] for started in _values(known, "started")})
    return [*libraries, *mpi, *git, *([" to ".join(dict.fromkeys((days[0], days[-1])))] if days else [])]


def _values(known: Iterable[Facts], name: str) -> list[str]:
    return list(dict.fromkeys(value for each in known if (value := each.get(name))))


def mpi_name(library: str) -> str:
    """Name and version of an MPI library from its description of itself, or the beginning of that."""
    match = _MPI.search(library)
    return f"{match[1]} {match[2]}" if match else library.partition("\n")[0][:40].strip()


def _runs(rows: Iterable[Record]) -> str:
    names = sorted({row.run_id for row in rows})
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"run {', '.join(names[:3])}{more}"
