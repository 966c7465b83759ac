"""Tables in Markdown: any text comes back from the cell in which it stands."""

from __future__ import annotations

import re

from hostile import STRINGS, TEXTS, a_page
from hypothesis import given
from hypothesis import strategies as st

from collbench.printer.lines import one_line
from collbench.printer.markdown import escaped, markdown_page, markdown_table
from collbench.tables import Page, notes_of, numbers, table_of, words

MARKUP = re.compile(r"(?<!\\)(?:\\\\)*[`*<>\[\]~$&|]")  # without a backslash before it


def cells_of(line: str) -> list[str]:
    """The cells of a row, as a reader of Markdown takes them."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [re.sub(r"\\([!-/:-@[-`{-~])", r"\1", cell.strip()) for cell in re.findall(r"((?:\\.|[^|\\])*)\|", line[1:])]


def test_numbers_stand_to_the_right() -> None:
    table = table_of("all_reduce · 2 ranks", [*numbers("size", "mpi µs"), *words("fastest")], [("4 KiB", "9.5", "mpi")])
    assert markdown_table(table).splitlines() == [
        "**all_reduce · 2 ranks**", "", "| size | mpi µs | fastest |", "| ---: | ---: | --- |", "| 4 KiB | 9.5 | mpi |",
    ]  # fmt: skip


@given(st.lists(TEXTS, min_size=2, max_size=2))
def test_every_cell_holds_its_text(texts: list[str]) -> None:
    head, _, *rows = markdown_table(table_of("", words(*texts), [texts, texts[::-1]])).splitlines()
    assert [cells_of(line) for line in (head, *rows)] == [
        [one_line(text) for text in each] for each in (texts, texts, texts[::-1])
    ]


@given(TEXTS)
def test_no_text_is_markup(text: str) -> None:
    assert not MARKUP.search(escaped(text))
    assert not re.search(r"(?<![\\\w])_|(?<!\\)_(?![^\W_]|\\)", escaped(text))


def test_lines_of_notes_stay_lines_and_lists_lists() -> None:
    page = Page(
        (), notes_of(["3 cases:", "- nccl: 64 B\n", "- 1. mpi"], ["Ratio: 1 *", "", "# of\nlaunches"], ["\x1b"])
    )
    assert markdown_page(page).split("\n\n") == [
        "3 cases:\n- nccl: 64 B\n- 1\\. mpi", "Ratio: 1 \\*\\\n\\# of launches",
    ]  # fmt: skip


def test_a_result_stands_first_and_all_else_is_folded_below_it() -> None:
    page = Page((table_of("t", words("a"), [("b",)]),), notes_of(["c"]), "1 of 2\n*slower*")
    assert markdown_page(page).split("\n\n") == [
        "**1 of 2 \\*slower\\***", "<details><summary>Details</summary>", "**t**",
        "| a |\n| --- |\n| b |", "c", "</details>",
    ]  # fmt: skip


def test_no_line_of_a_note_begins_a_block() -> None:
    page = Page((), notes_of(*([text] for text in STRINGS)))
    assert not re.search(r"(?m)^(?:[-+=#>|]|\d+[.)](?:\s|$)|\s|```)", markdown_page(page).replace("\n\n", "\\\n"))
    markdown_page(a_page(*STRINGS)).encode()
