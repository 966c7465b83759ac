"""Text that means something to terminals, Markdown or LaTeX, as names and reasons from anywhere may contain it."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from collbench.tables import Page, notes_of, numbers, table_of, words

STRINGS = (
    string.printable, r"a\b{c}$d&e#f%g_h~i^j", "a|b", "\\|", "a\nb\tc\r\nd", "\x1b[31mred\x1b[0m", "[x]", "*", "---",
    "1. x", "# x", "--launches 3", "?`!`''``,,<<>>", '"a', "é Å ñ", "ø ß 中 😀", "µs ≈ ÷ × − ± ≤ ≥ ∞ → γ σ ² · – — …",
    "-3.1 to -2", r"\input{/etc/passwd}", "^^41", "\u202e\ud800", "__x__ **b** <b> ~~s~~ $m$ &amp;", "", " ",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(STRINGS), st.text(max_size=9), st.text("\\|`*_<>[]{}$&#%~^-'\" \na1", max_size=9))


def a_page(*texts: str) -> Page:
    """Each text as the title of a table, as a heading, in cells, in notes and in the result."""
    tables = [
        table_of(text, [*numbers(text), *words("b")], [(each, text) for each in texts], [text, *texts])
        for text in texts
    ]
    return Page(tuple(tables), notes_of(texts, [f"- {text}" for text in texts]), " ".join(texts))
