"""The commands ``compare`` and ``plot`` for rows in a DataFrame: results as a DataFrame and as figures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from collbench.errors import UsageError, pick
from collbench.results.facts import Facts
from collbench.results.footing import level_sides
from collbench.results.frames import records_of
from collbench.results.records import FACTS, Record
from collbench.views.chart_set import ChartOptions
from collbench.views.comparison import compare_backends, compare_files, names_of
from collbench.views.figures import charts
from collbench.views.machines import unlike_sides
from collbench.views.page import COLUMNS, SCREEN, look
from collbench.views.ratios import plain
from collbench.views.runs import Run, facts_beside

_TEXT = ("collective", "dtype", "op", "fabric", "mode", "cache", "skew", "a", "b", "verdict", "covers", "mismatch",
         "a_status", "b_status", "reason", "a_latency", "b_latency")  # fmt: skip
DTYPES = {
    **dict.fromkeys(_TEXT, "string"),
    **dict.fromkeys(("bytes", "ranks", "nodes"), "int64"),
    **dict.fromkeys(("a_us", "b_us", "value", "low", "high", "confidence"), "float64"),
    "in_place": "bool",
    **dict.fromkeys(("launches", "together", "hidden", "groups"), "Int64"),
}


def compare(a: pd.DataFrame, b: pd.DataFrame | None = None, backends: str | Sequence[str] = ()) -> pd.DataFrame:
    """Latency ratios between two sides, as a DataFrame: the numbers of the command ``compare``.

    Args:
        a: rows of `collbench.read`, of one run. Without b, its backends are compared, launch by launch.
        b: rows of another run; a is compared with b, case by case.
        backends: two names, ``"nvrar,nccl"`` or a sequence: the first is compared with the second; by default, every
            other backend with nccl, else mpi. With b: only these backends.

    Returns:
        One row per case: its columns; the sides ``a`` and ``b`` and their medians over launches, ``a_us`` and
        ``b_us``, in microseconds; ``value``, their ratio (above 1: a is slower), a geometric mean over launches, and
        its interval from ``low`` to ``high``: Student's t of the log ratios, or Welch's between two runs;
        ``confidence``, that of each interval: all intervals of a table, ``together`` in number, hold with 95 %;
        ``launches``, the number of pairs, or of launches of the shorter run; ``verdict``: slower, faster or unclear,
        and below three launches, where there is no interval, ``unclear (1 launch)`` or ``unclear (2 launches)``;
        ``covers``: what the interval holds for, launches like these; between two runs it does not cover what varies
        from run to run; ``mismatch``: why the ratio is not meaningful, if so, as between unlike machines. Cases without
        a latency on a side, or of which only a or b has rows, come last, with ``a_status``, ``b_status`` and
        ``reason``, and without ratio and verdict. ``a_latency`` and ``b_latency`` say what a latency is: rows of
        another tool that has means over ranks alone are compared by means. Text is ``string``, sizes and counts are
        ``int64`` or ``Int64``, other numbers ``float64``, ``in_place`` is ``bool``.

    Raises UsageError for an unknown backend, for a number of backends other than two, for rows of several runs that
    contain the same case, and if no case was run on both sides.

    Example:
        >>> df = collbench.read("results/h200x4-nvrar.csv")
        >>> found = collbench.compare(df, backends="nvrar,nccl")
        >>> found.loc[found.bytes == 4096, ["a_us", "b_us", "value", "verdict"]].round(3).values.tolist()
        [[2.251, 9.311, 0.242, 'faster']]
    """
    names = names_of(backends)
    given = [each for each in (a, b) if each is not None]
    one, *other = sides = level_sides([records_of(each) for each in given])
    found = compare_files(one, other[0], names) if other else compare_backends(one, names)
    runs = [run_of(each, rows) for each, rows in zip(given, sides, strict=True)]
    rows = plain(found, unlike_sides(runs, found.records))
    if not (found.judged or found.unjudged):
        raise UsageError("no case was timed on both sides; compare rows that differ only in backend or run.")
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=DTYPES[name]) for name in rows[0]})


def plot(
    frame: pd.DataFrame,
    baseline: str | None = None,
    *,
    after: pd.DataFrame | None = None,
    title: str = "",
    width: str | None = None,
) -> dict[str, Figure]:
    """The charts of the command ``plot``, as figures; no file is written.

    Args:
        frame: rows of `collbench.read`, of one run or of several that share no case.
        baseline: the backend that speed-ups are relative to, or ``best(BACKEND)``; by default nccl, else mpi.
        after: rows of a later run. Its lines are solid and those of ``frame`` dashed, and speed-ups are over ``frame``.
        title: a title for every chart; the usual one then stands at the foot.
        width: ``"one"`` or ``"two"`` columns of a paper, 3.5 or 7.16 inches; by default 9 inches, for a screen.

    Returns:
        Figures by name, as at the end of the command's file names: ``latency``, ``bandwidth``, ``scaling``, ``best``,
        ``skew``, ``pairs``, with a suffix such as ``-bf16-2r`` where there are several of a kind; unlike machines in
        one run have figures of their own, such as ``latency-H200``. Latency is in microseconds over bytes, bandwidth in
        10**9 bytes per second. GPU and versions are those in the frame, if it was read with ``sidecar=True``, else
        those of the sidecars beside its files, if they are still there.

    Raises UsageError if nothing was timed, for an unknown baseline or width, and for rows of several runs that contain
    the same case.

    Example:
        >>> figures = collbench.plot(collbench.read("results/cpu-4ranks.csv"))
        >>> sorted(figures)
        ['bandwidth', 'best', 'latency']
        >>> figures["latency"].savefig("latency.png")
    """
    given = [each for each in (frame, after) if each is not None]
    levelled = level_sides([records_of(each) for each in given])
    runs = [run_of(each, rows) for each, rows in zip(given, levelled, strict=True)]
    options = ChartOptions(baseline, title, COLUMNS[pick("width", width, COLUMNS)] if width else SCREEN)
    with look(options.page):
        figures = {chart.name: chart.figure for chart in charts(runs, options)}
        for figure in figures.values():
            figure.draw_without_rendering()  # creates the ticks while the style is set
    return figures


def run_of(frame: pd.DataFrame, records: Sequence[Record]) -> Run:
    """The rows of a frame as a run, with files and facts where they are known; ``records`` are those that are drawn."""
    sources = frame["source"].fillna("").astype(str).tolist() if "source" in frame.columns else []
    files = {record: Path(source) for record, source in zip(records, sources, strict=False) if source}
    return Run(records, files, _given_facts(frame, records) or facts_beside(files, _warn))


def _warn(words: str) -> None:
    warnings.warn(words, stacklevel=5)


def _given_facts(frame: pd.DataFrame, records: Sequence[Record]) -> dict[Record, Facts]:
    """The facts in the columns of a frame; {} if it was read without them."""
    if not set(FACTS) <= set(frame.columns):
        return {}
    texts = frame[list(FACTS)].astype(object).where(frame[list(FACTS)].notna(), None)
    rows = (dict(zip(FACTS, map(_text, row), strict=True)) for row in texts.itertuples(index=False, name=None))
    return dict(zip(records, rows, strict=True))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
