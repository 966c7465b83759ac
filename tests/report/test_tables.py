"""Tables of commands as HTML, for eyes and for screen readers."""

from __future__ import annotations

from hostile import STRINGS, a_page
from pages import read

from collbench.printer.lines import one_line
from collbench.report.tables import numbers_style, page_html, table_html
from collbench.tables import Page, notes_of, numbers, table_of, words

TABLE = table_of("Times", [*words("backend"), *numbers("µs", "GB/s")], [("nccl", "1.5", "2"), ("<b>", "3", "4")])


def test_a_table_has_a_caption_headings_of_columns_and_of_rows() -> None:
    reader = read(table_html(TABLE))
    (region,), (caption,) = reader.of("div"), reader.of("caption")
    assert caption.text.startswith("Times")
    assert (region.attributes["role"], region.attributes["aria-label"], region.attributes["tabindex"]) == (
        "group",
        "Times",
        "0",
    )
    scopes = [each.attributes["scope"] for each in reader.of("th")]
    assert scopes == ["col"] * 3 + ["row"] * 2
    assert len(reader.of("td")) == 4
    assert not reader.of("b")


def test_a_column_without_a_heading_has_none() -> None:
    reader = read(table_html(table_of("", words("a", ""), [("b", "c")])))
    assert [(each.name, each.text) for each in reader.elements if each.name in ("th", "td")] == [
        ("th", "a"), ("td", ""), ("th", "b"), ("td", "c")
    ]  # fmt: skip


def test_columns_of_numbers_are_aligned_by_the_style_sheet() -> None:
    assert 'class="n2 n3"' in table_html(TABLE)
    assert ".n2 :is(th,td):nth-child(2)" in numbers_style(2)
    assert numbers_style(2).endswith("{text-align:right}")


def test_notes_are_paragraphs_with_their_lists() -> None:
    wrapped = "word " * 17
    page = Page((), notes_of([wrapped, "and its end.", "Two", "- a", "- <b>"]))
    said = f"{wrapped.strip()} and its end.<br> Two<br>"
    assert page_html(page) == f'<p class="note">{said}</p><ul class="note"><li>a<li>&lt;b&gt;</ul>'


def test_no_text_of_a_page_becomes_markup() -> None:
    reader = read(page_html(a_page(*STRINGS)))
    ours = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "ul", "li", "br"}
    assert {each.name for each in reader.elements} <= ours
    captions = [each.attributes["aria-label"] for each in reader.of("div")]
    assert captions == [one_line(text) or "table" for text in STRINGS]
