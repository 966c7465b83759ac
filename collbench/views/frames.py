"""What the commands ``compare`` and ``plot`` show, as a DataFrame and as figures, for rows in a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from collbench.errors import UsageError
from collbench.results.frames import records_of
from collbench.views import drawing
from collbench.views.comparison import compare_backends, compare_files, names_of
from collbench.views.figures import charts
from collbench.views.ratios import plain

_TEXT = ("collective", "dtype", "op", "fabric", "mode", "cache", "a", "b", "verdict", "mismatch", "a_status",
         "b_status", "reason")  # fmt: skip
DTYPES = {
    **dict.fromkeys(_TEXT, "string"),
    **dict.fromkeys(("bytes", "ranks", "nodes"), "int64"),
    **dict.fromkeys(("a_us", "b_us", "value", "low", "high"), "float64"),
    "in_place": "bool",
    "launches": "Int64",
}


def compare(a: pd.DataFrame, b: pd.DataFrame | None = None, backends: str | Sequence[str] = ()) -> pd.DataFrame:
    """How many times slower one side is than the other: the numbers of the command ``compare``.

    Args:
        a: rows of `collbench.read`, of one run. Alone: its backends are compared, launch by launch.
        b: rows of another run: a is compared with b, case by case.
        backends: two names, ``"nvrar,nccl"`` or a sequence: these are compared, the first with the second; without
            them, every other with nccl, else mpi. With b: only these backends.

    Returns:
        One row per case: what was run; the sides ``a`` and ``b`` and their medians over launches, ``a_us`` and
        ``b_us``, in microseconds; ``value``, their ratio (above 1: a is slower), its 95 % interval from ``low`` to
        ``high`` (may be infinite), and ``launches``, the pairs behind it; ``verdict``, slower, faster or unclear;
        ``mismatch``, what makes the ratio worthless. A case that a side ran without a latency for it comes last, with
        its ``a_status``, ``b_status`` and ``reason``, and without ratio and verdict. Text is ``string``, sizes and
        counts are ``int64`` or ``Int64``, other numbers ``float64``, ``in_place`` is ``bool``.

    Raises UsageError for an unknown backend, another number of them than two, rows of several runs that hold the same
    case, and where no case was run on both sides.

    Example:
        >>> df = collbench.read("results/h200x4-nvrar.csv")
        >>> found = collbench.compare(df, backends="nvrar,nccl")
        >>> found.loc[found.bytes == 4096, ["a_us", "b_us", "value", "verdict"]].round(3).values.tolist()
        [[2.251, 9.311, 0.242, 'faster']]
    """
    names = names_of(backends)
    one = records_of(a)
    found = compare_backends(one, names) if b is None else compare_files(one, records_of(b), names)
    rows = plain(found)
    if not rows:
        raise UsageError("no case was timed on both sides; compare rows that differ in backend or run alone.")
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=DTYPES[name]) for name in rows[0]})


def plot(frame: pd.DataFrame, baseline: str | None = None) -> dict[str, Figure]:
    """The charts of the command ``plot``, as figures; no file is written.

    Args:
        frame: rows of `collbench.read`, of one run or of several that share no case.
        baseline: the backend that speed-ups are over; nccl where there is one, else mpi.

    Returns:
        Figures by the name that ends the name of the command's file: ``latency``, ``bandwidth``, ``scaling``, ``best``,
        with a suffix such as ``-bf16-2r`` where there are several of a kind. Latency in microseconds over bytes,
        bandwidth in 10**9 bytes per second.

    Raises UsageError where nothing was timed, for an unknown baseline, and for rows of several runs that hold the same
    case.

    Example:
        >>> figures = collbench.plot(collbench.read("results/cpu-4ranks.csv"))
        >>> sorted(figures)
        ['bandwidth', 'best', 'latency']
        >>> figures["latency"].savefig("latency.png")
    """
    with drawing.look():
        figures = dict(charts(records_of(frame), baseline))
        for figure in figures.values():
            figure.draw_without_rendering()  # ticks are made when they are drawn first, and keep the look of then
    return figures
