r"""Tables in LaTeX, for pdflatex with ``\usepackage{booktabs,textcomp}``; text of any origin stays text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from collbench.printer.lines import ITEM, lines_of, one_line
from collbench.tables import Note, Page, Table

NEEDS = r"% \usepackage{booktabs,textcomp}"
HELD = 16  # tables that every LaTeX can hold until it finds a page for them
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", '"': "{''}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # after \\, an option of it
    "µ": r"\textmu{}", "μ": r"\textmu{}", "·": r"\textperiodcentered{}", "°": r"\textdegree{}",
    "–": "--", "—": "---", "…": r"\ldots{}", "‘": "`", "’": "'", "“": "``", "”": "''",
    "×": r"$\times$", "÷": r"$\div$", "≈": r"$\approx$", "−": "$-$", "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$",
    "∞": r"$\infty$", "→": r"$\rightarrow$", "Δ": r"$\Delta$", "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$",
    "δ": r"$\delta$", "σ": r"$\sigma$", "Σ": r"$\Sigma$", "²": "$^2$", "³": "$^3$", "₂": "$_2$",
}  # fmt: skip
_ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030a\u0327"  # those of Latin-1, which every LaTeX knows
_LIGATURE = re.compile(r"(?<=[-'!?,])(?=[-',])")  # pdflatex would draw -- as a dash
_MINUS = re.compile(r"(?<![\w\-])-(?=[\d.])")


def latex_page(page: Page) -> str:
    """Every table in an environment ``table`` with its title as caption, then notes in small type, and the result."""
    tables = [part for at, table in enumerate(page.tables) for part in (*_placed(at), latex_table(table))]
    notes = [rf"\par\noindent{{\footnotesize {_lines(note)}\par}}" for note in page.notes]
    result = [rf"\par\noindent {escaped(page.result)}\par"] if page.result else []
    return "\n\n".join([NEEDS, *tables, *notes, *result])


def _placed(before: int) -> list[str]:
    """What places the tables so far, if they are many."""
    return [r"\clearpage"] if before and before % HELD == 0 else []


def latex_table(table: Table) -> str:
    """The table, its notes below it in small type."""
    head, *body = ([escaped(cell) for cell in row] for row in table.cells)
    sides = "".join("r" if column.right else "l" for column in table.columns)
    caption = [rf"  \caption{{{escaped(table.title)}}}"] if table.title else []
    return "\n".join([
        r"\begin{table}[htbp]", r"  \centering", *caption,
        rf"  \begin{{tabular}}{{{sides}}}", r"    \toprule", _row(head), r"    \midrule", *map(_row, body),
        r"    \bottomrule", r"  \end{tabular}", *(_below(note) for note in table.notes), r"\end{table}",
    ])  # fmt: skip


def escaped(text: str) -> str:
    """``text`` in one line, as pdflatex sets it; ``[U+4E2D]`` for a character that its usual fonts lack."""
    signed = _MINUS.sub("−", one_line(text))
    return "".join(map(_character, _LIGATURE.sub("\0", signed)))


def _character(each: str) -> str:
    if each == "\0":
        return "{}"
    if each in _SPECIAL or each.isascii():
        return _SPECIAL.get(each, each)
    parts = unicodedata.normalize("NFD", each)
    has_glyph = each < "\u0100" and parts[0].isascii() and all(mark in _ACCENTS for mark in parts[1:])
    return each if has_glyph else f"{{[}}U+{ord(each):04X}{{]}}"


def _row(cells: Sequence[str]) -> str:
    return rf"    {' & '.join(cells)} \\"


def _below(note: Note) -> str:
    return rf"  \par\smallskip{{\footnotesize\raggedright {_lines(note)}\par}}"


def _lines(note: Note) -> str:
    return "\\\\\n  ".join(map(_note_line, lines_of(note)))


def _note_line(line: str) -> str:
    return escaped(f"– {line.removeprefix(ITEM)}" if line.startswith(ITEM) else line)
