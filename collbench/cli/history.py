"""The command ``history``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collbench.cli import forms, params
from collbench.errors import Exit, UsageError, pick
from collbench.printer.forms import printed
from collbench.tables import counted

if TYPE_CHECKING:
    from collbench.results.nights import Night
    from collbench.results.series import Series


@click.command(short_help="Follow cases over nights, one results file a night.")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--alarm", is_flag=True, help="Exit with 4 if a case is slower, with 6 if no case has a verdict.")
@click.option("--margin", default="2%", show_default=True, type=params.MARGIN,
              help="Slower by less does not count; more is needed where nights differ more.")  # fmt: skip
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), metavar="DATE",
              help="Leave out nights before this date (UTC), for example after a change that is accepted.")  # fmt: skip
@click.option("--set", "set_name", metavar="NAME",
              help="Nights that ran this set of a configuration file.")  # fmt: skip
@click.option("--backend", "names", help="Backends, A,B.  [default: all]", shell_complete=params.complete_backend)
@params.only
@click.option("--plot", "charts", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Draw charts into this folder, as PNG and SVG.")  # fmt: skip
@click.option("--csv", "table", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a row for each night and a column for each case, for tools that find change points such as "
              "Apache Otava.")  # fmt: skip
@forms.form
def history(
    folder: Path,
    alarm: bool,
    margin: float,
    since: datetime | None,
    set_name: str | None,
    names: str | None,
    only: tuple[tuple[str, str], ...],
    charts: Path | None,
    table: Path | None,
    form: forms.FormOptions,
) -> None:
    """Print how each case does over the nights in DIR, and whether the last two nights are slower than what came
    before.

    DIR has a results file with its sidecar for each night. A case is followed on one model of GPU; nights are compared
    only with those of the same driver, NCCL, NVSHMEM, MPI, transport and fabric, and a change of these is marked. A
    verdict needs seven nights. Without a change, and with nights and launches that differ by 0.5 %, less than one
    history in 100 (60 nights of 15 sizes) has a false alarm; a step of 3 % is found in two nights in 84 % of cases, one
    of 4 % in 99 %.
    """
    from collbench.results.nights import nights_in
    from collbench.views.history import page, plain

    found = nights_in(folder)
    for words in found.remarks:
        click.echo(f"collbench: {words}", err=True)
    nights = [_own(night) for night in _since(_of_set(found.nights, set_name), since)]
    series = _series(nights, names or "", only, margin)
    if charts:
        _draw(series, charts, folder)
    if table:
        _export(nights, series, table)
    shown = page(series)
    click.echo(printed(shown, [plain(each) for each in series], form.chosen))
    forms.publish(f"collbench history: {shown.result}", shown, os.environ)
    if alarm and (code := _exit_of(series)):
        raise click.exceptions.Exit(code)


def _of_set(nights: Sequence[Night], name: str | None) -> Sequence[Night]:
    """The nights that ran the set ``name``, all without a name. Raises UsageError if none did."""
    if name is None:
        return nights
    known = {each for night in nights for each in night.sets}
    if not known:
        raise UsageError("no night ran a set of a configuration file, as collbench sweep --config does; omit --set.")
    return [night for night in nights if pick("set", name, known) in night.sets]


def _own(night: Night) -> Night:
    """The night without the rows that another tool measured: their latencies are of other kinds. A note says so."""
    from collbench.results.footing import TOOL

    own = tuple(record for record in night.records if TOOL not in record.param)
    if left := len(night.records) - len(own):
        rows = f"{counted(left, 'row')} that another tool measured"
        click.echo(f"collbench: left out: {rows}, in {night.path}; compare, plot and report take them.", err=True)
    return replace(night, records=own)


def _since(nights: Sequence[Night], since: datetime | None) -> list[Night]:
    kept = [night for night in nights if since is None or night.time >= since.replace(tzinfo=UTC)]
    if not kept:
        raise UsageError(f"no night since {since}; the last one is of {nights[-1].time.date()}.")
    return kept


def _series(nights: Sequence[Night], names: str, only: Sequence[tuple[str, str]], margin: float) -> list[Series]:
    """The judged series of the chosen backends and rows; UsageError if there are none."""
    from collbench.results.selection import matcher
    from collbench.results.series import series_of

    known = {record.backend for night in nights for record in night.records}
    chosen = {pick("backend", name.strip(), known) for name in names.split(",") if name.strip()}
    matches = matcher(only)
    series = series_of(nights, margin, lambda record: record.backend in (chosen or known) and matches(record))
    if not series:
        raise UsageError("no case has a latency in these nights; see --backend, --only, and the column status.")
    return series


def _draw(series: Sequence[Series], charts: Path, folder: Path) -> None:
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not exist here; no chart is shown, so none is used
    from collbench.views.timelines import draw_all

    for path in draw_all(series, charts, folder.resolve().name or "nights"):
        click.echo(path, err=True)


def _export(nights: Sequence[Night], series: Sequence[Series], path: Path) -> None:
    """Write the CSV file. Raises UsageError where another file would be replaced, such as a night's."""
    from collbench.results.writing import replace_text
    from collbench.views.columns import change_point_csv, is_ours

    if path.exists() and not is_ours(path):
        raise UsageError(f"{path} exists and was not written by --csv; give another path.")
    replace_text(path, change_point_csv(nights, series))


def _exit_of(series: Sequence[Series]) -> Exit:
    """REGRESSION if a case is slower, NO_VERDICT if none has a verdict."""
    if any(each.is_slower for each in series):
        return Exit.REGRESSION
    return Exit.FINE if any(each.judgement for each in series) else Exit.NO_VERDICT
