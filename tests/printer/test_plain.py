"""Tables for a terminal."""

from __future__ import annotations

import pytest
from hostile import STRINGS, TEXTS, a_page
from hypothesis import given

from collbench.printer.plain import plain_page, plain_table
from collbench.tables import Page, notes_of, numbers, table_of, words

TABLE = table_of(
    "latency", [*numbers("size", "µs"), *words("fastest")], [("4 KiB", "9.5", "mpi"), ("16 KiB", "10.25", "mpi-nvrar")]
)


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_stand_to_the_right() -> None:
    assert plain_table(TABLE).splitlines() == [
        "  size     µs  fastest",
        "──────  ─────  ─────────",
        " 4 KiB    9.5  mpi",
        "16 KiB  10.25  mpi-nvrar",
    ]


def test_titles_notes_and_tables_stand_apart() -> None:
    with_note = table_of("t", words("a"), [("b",)], ["no verdict: x", "no verdict: y"])
    page = Page((TABLE, with_note, table_of("", words("c"), [])), notes_of(["how to read", "it"], []))
    assert plain_page(page).split("\n\n") == [
        "latency", plain_table(TABLE), "t", "a\n─\nb", "no verdict: x\nno verdict: y", "c\n─", "how to read\nit",
    ]  # fmt: skip
    assert plain_page(Page()) == ""
    assert plain_page(Page((TABLE,), result="slower\n")) == f"latency\n\n{plain_table(TABLE)}\n\nslower"


@given(TEXTS)
def test_no_text_breaks_a_row_or_moves_the_cursor(text: str) -> None:
    table = table_of(text, words(text, "b"), [(text, text)])
    assert plain_table(table).count("\n") == 2
    shown = plain_page(a_page(text, *STRINGS))
    assert all(each.isprintable() or each == "\n" for each in shown)
    shown.encode()


def test_a_page_is_empty_without_tables_notes_and_result() -> None:
    pages = (Page(), Page((TABLE,)), Page(notes=(("a",),)), Page(result="a"))
    assert list(map(bool, pages)) == [False, True, True, True]


def test_a_row_has_as_many_cells_as_there_are_columns() -> None:
    with pytest.raises(ValueError, match="'t' needs 2 cells"):
        table_of("t", words("a", "b"), [("1", "2"), ("1",)])
