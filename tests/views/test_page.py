"""Pages: widths, print that can be read, and files in every format."""

from __future__ import annotations

from pathlib import Path

import pytest
from charts import TWO, a_run, foot, rows, title
from matplotlib.figure import Figure
from matplotlib.text import Text

from collbench.views.chart_set import ChartOptions
from collbench.views.figures import charts, draw_all
from collbench.views.page import COLUMNS, FORMATS, SCREEN, SMALLEST, Frame, Page, inches, new_figure, wrapped


def figures(page: Page, title: str = "") -> dict[str, Figure]:
    """All kinds of charts, on a page, drawn."""
    from collbench.views.page import look

    records = [
        record
        for launch in range(3)
        for ranks in (2, 4)
        for us in ({"nccl": 20.0, "nvrar": 20.0, "mpi-nvrar:blocks=16:threads=512": 21.0},)
        for record in rows(us, launch=launch, ranks=ranks, gpus_per_node=ranks, bound_us=3.0)
    ]
    with look(page):
        found = {
            c.name: c.figure for c in charts([a_run(records, gpu="NVIDIA H200")], ChartOptions("nccl", title, page))
        }
        for figure in found.values():
            figure.draw_without_rendering()
    return found


@pytest.mark.parametrize(("name", "width"), [("one", 3.5), ("two", 7.16)])
def test_columns_of_a_paper_have_their_width_and_print_of_7_points(name: str, width: float) -> None:
    for figure in figures(COLUMNS[name]).values():
        assert figure.get_figwidth() == width
        texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
        assert min(float(text.get_fontsize()) for text in texts) >= SMALLEST


@pytest.mark.parametrize("page", [*COLUMNS.values(), SCREEN])
def test_nothing_leaves_the_page_or_overlaps(page: Page) -> None:
    for name, figure in figures(page).items():
        parts = [*figure.texts, *figure.legends, *figure.axes]
        boxes = [box for part in parts if (box := part.get_tightbbox())]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes), name
        top, bottom, keys, *axes = boxes
        assert top.y1 <= figure.bbox.y1
        assert bottom.y0 >= 0
        assert top.y0 >= keys.y1, name
        assert all(bottom.y1 <= box.y0 and box.y1 <= keys.y0 for box in axes), name


@pytest.mark.parametrize("collective", ["all-gather", "all-reduce", "all-reduce + RMSNorm of rows of 8192"])
def test_no_line_of_a_title_parts_a_number_and_what_it_counts(collective: str) -> None:
    long = f"Fastest backend: {collective} of bfloat16 on 4 × H100 80GB HBM3 (one node, NVLink), calls in a CUDA graph"
    lines = new_figure(Frame(long, "foot", {}), 1, []).texts[0].get_text()
    assert "\n" in lines
    assert "4 × H100 80GB HBM3" in lines
    assert "(one node, " in lines.replace(",\n", ", ")


def test_a_title_of_the_users_moves_ours_to_the_foot() -> None:
    for figure in figures(SCREEN, "Figure 3").values():
        assert title(figure) == "Figure 3"
        assert "all-reduce of float32 on " in foot(figure).splitlines()[0]


def test_a_dollar_in_a_title_or_a_name_is_a_dollar(tmp_path: Path) -> None:
    records = rows({"nccl": 20.0, "theirs:cost=$x": 10.0, r"$\oops$": 5.0})
    assert draw_all([a_run(records)], tmp_path, ChartOptions(r"$\oops$", r"costs $\nothing$"), ["svg"])


def test_lines_end_between_words() -> None:
    text = "many words of a title that is long\nand a second line"
    lines = wrapped(text, 1.5, 10)
    assert " ".join(lines) == text.replace("\n", " ")
    assert all(inches(line, 10) <= 1.5 for line in lines)
    assert wrapped("unbreakable", 0.1, 10) == ["unbreakable"]
    assert wrapped("", 1, 10) == []
    assert wrapped("3\N{NO-BREAK SPACE}launches", 0.1, 10) == ["3 launches"]


def test_every_format_is_written_and_reproducible(tmp_path: Path) -> None:
    written = []
    for folder in ("a", "b"):
        paths = draw_all([a_run(rows(TWO))], tmp_path / folder, ChartOptions(), list(FORMATS))
        written.append([path.read_bytes() for path in paths])
    assert {path.suffix for path in paths} == {".png", ".svg", ".pdf"}
    assert written[0] == written[1]


def test_fonts_in_a_pdf_are_truetype(tmp_path: Path) -> None:
    for path in draw_all([a_run(rows(TWO))], tmp_path, ChartOptions(), ["pdf"]):
        content = path.read_bytes()
        assert content.startswith(b"%PDF")
        assert b"/FontFile2" in content
        assert b"/Type3" not in content
        assert b"CreationDate" not in content
