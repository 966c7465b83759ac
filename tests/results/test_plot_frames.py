"""Figures from DataFrames: those of the command, with the facts that frames have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from samples import timed

import collbench as cb
from collbench.results.frames import frame_of

ROOT = Path(__file__).parents[2]


def test_plot_gives_the_figures_of_the_command_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = ROOT / "results" / "h200x4-nvrar-layouts.csv"
    figures = cb.plot(cb.read(path))
    assert list(tmp_path.iterdir()) == []
    assert all(isinstance(figure, Figure) for figure in figures.values())
    names = {file.stem for file in (ROOT / "plots").glob(f"{path.stem}-*.png")}
    assert {f"{path.stem}-{name}" for name in figures} == names


def test_figures_name_gpu_and_versions_with_and_without_the_facts_in_the_frame(tmp_path: Path) -> None:
    path = ROOT / "results" / "h200x4-nvrar.csv"
    kept = cb.read(path, sidecar=True).assign(source="gone.csv")
    for frame in (cb.read(path), kept):
        title, foot = (text.get_text() for text in cb.plot(frame[frame.bytes == 4096])["latency"].texts)
        assert "on 4 × H200 (one node, NVLink)" in title
        assert foot.startswith("NCCL 2.28.9 · NVSHMEM 3.4.5 · CUDA driver 13.0 · CUDA runtime 13.2 · Open MPI 4.1.6")
        assert " · 2026-11-21 · 3 launches\n" in foot
    alone = cb.plot(frame_of([timed(9.0)], "gone.csv"))["latency"]
    assert alone.texts[1].get_text().startswith("run 2026")


def test_two_runs_title_and_width_can_be_given() -> None:
    before, after = (frame_of([timed(us)], f"{name}.csv") for us, name in ((9.0, "old"), (7.0, "new")))
    figures = cb.plot(before, after=after, title="Figure 3", width="one")
    assert sorted(figures) == ["bandwidth", "latency"]
    assert figures["latency"].get_figwidth() == 3.5
    assert figures["latency"].texts[0].get_text() == "Figure 3"
    assert "after (new)" in [text.get_text() for text in figures["latency"].legends[0].get_texts()]
    with pytest.raises(cb.UsageError, match="unknown width 'three'"):
        cb.plot(before, width="three")


def test_figures_have_our_look_whatever_the_user_s(tmp_path: Path) -> None:
    rows = [timed(us, backend=name, bytes=size) for name, us in (("mpi", 9.0), ("nccl", 7.0)) for size in (4096, 8192)]
    with mpl.rc_context({"xtick.labelsize": 30, "grid.color": "red"}):
        figure = cb.plot(frame_of(rows))["latency"]
        figure.draw_without_rendering()
        sizes = {label.get_fontsize() for axes in figure.axes for label in axes.get_xticklabels()}
        assert sizes == {10.0}
        assert {line.get_color() for axes in figure.axes for line in axes.get_xgridlines()} == {"#e4e4e4"}


def test_the_baseline_can_be_chosen() -> None:
    rows = [timed(9.0, backend=name) for name in ("mpi", "nccl")]
    assert "over mpi" in cb.plot(frame_of(rows), baseline="mpi")["latency"].axes[1].get_ylabel()
    with pytest.raises(cb.UsageError, match="unknown backend 'ncl'"):
        cb.plot(frame_of(rows), baseline="ncl")
    with pytest.raises(cb.UsageError, match="no case in these results has a latency"):
        cb.plot(frame_of([replace(row, status="failed") for row in rows]))
