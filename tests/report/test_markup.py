"""Text stays text: no string ends an element, an attribute or a script."""

from __future__ import annotations

import json
import math

import pytest
from hostile import TEXTS
from hypothesis import given
from hypothesis import strategies as st
from pages import read

from collbench.printer.lines import one_line
from collbench.report.markup import Html, data_block, joined, spaced, tag, text

MARKUP = ("<script>alert(1)</script>", "</script>", "<!--", "]]>", "<img src=x onerror=alert(1)>", "' onclick='x",
          '"><b>', "&lt;b&gt;", "javascript:alert(1)", "\u2028")  # fmt: skip
HOSTILE = st.one_of(TEXTS, st.sampled_from(MARKUP), st.text("<>&\"'/=!-script ", max_size=12))


@given(HOSTILE)
def test_text_reads_back_in_one_line_as_content_and_as_attribute(words: str) -> None:
    reader = read(tag("p", words, title=words))
    assert [each.name for each in reader.elements] == ["p"]
    assert (reader.elements[0].text, reader.elements[0].attributes) == (one_line(words), {"title": one_line(words)})
    assert reader.others == []


@given(st.dictionaries(HOSTILE, st.lists(HOSTILE)))
def test_data_reads_back_and_holds_no_character_of_markup(value: dict[str, list[str]]) -> None:
    block = data_block("d", value)
    content = block.removeprefix('<script type="application/json" id="d">').removesuffix("</script>")
    assert not set("<>&") & set(content)
    assert content.isascii()
    assert json.loads(content) == value


def test_data_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        data_block("d", math.nan)


def test_markup_is_kept_and_other_text_is_not() -> None:
    assert joined([tag("b", "x"), "<i>"]) == "<b>x</b>&lt;i&gt;"
    assert spaced(["a", tag("br")]) == "a <br>"
    assert isinstance(text(Html("<b>")), Html)
    assert text(Html("<b>")) == "<b>"


def test_attributes_without_a_value_and_without_meaning() -> None:
    assert tag("input", checked=True, disabled=False, value=None, aria_label="a", class_="b") == (
        '<input checked aria-label="a" class="b">'
    )
