"""Tables in LaTeX: they compile, and any text is set as it is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hostile import STRINGS, TEXTS, a_page
from hypothesis import given

from collbench.printer.latex import HELD, escaped, latex_page
from collbench.printer.lines import one_line
from collbench.tables import Page, notes_of, numbers, table_of, words

COMMANDS = {
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<", "textgreater": ">",
    "textbar": "|", "textasciigrave": "`",
}  # fmt: skip
TOKEN = re.compile(r"\\([a-z]+)\{\}|\\([{}$&#%_])|\{([\[\]*])\}|(\{''\})|(\$-\$)|(\{\})|([^\\{}$&#%_~^<>|`\"\[\]*])")


def read(latex: str) -> str:
    """The ASCII text that LaTeX sets; fails for what would be a command, a group or a special character."""
    at, text = 0, []
    while at < len(latex):
        found = TOKEN.match(latex, at)
        assert found, latex[at:]
        command, special, bracket, quotes, minus, _, other = found.groups()
        text.append(COMMANDS[command] if command else special or bracket or other or "")
        text.append('"' if quotes else "-" if minus else "")
        at = found.end()
    return "".join(text)


def test_a_table_has_rules_a_caption_and_its_notes() -> None:
    columns = [*numbers("size", "nvrar µs"), *words("fastest")]
    table = table_of("all_reduce · 50 % ÷ 2", columns, [("4 KiB", "9.5", "nvrar ≈ nccl"), ("8 KiB", "-1", "")], ["no"])
    assert latex_page(Page((table,), notes_of(["95 %", "- one"]), "a_b: slower")).splitlines() == [
        r"% \usepackage{booktabs,textcomp}",
        "",
        r"\begin{table}[htbp]",
        r"  \centering",
        r"  \caption{all\_reduce \textperiodcentered{} 50 \% $\div$ 2}",
        r"  \begin{tabular}{rrl}",
        r"    \toprule",
        r"    size & nvrar \textmu{}s & fastest \\",
        r"    \midrule",
        r"    4 KiB & 9.5 & nvrar $\approx$ nccl \\",
        r"    8 KiB & $-$1 &  \\",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"  \par\smallskip{\footnotesize\raggedright no\par}",
        r"\end{table}",
        "",
        r"\par\noindent{\footnotesize 95 \%\\",
        r"  -- one\par}",
        "",
        r"\par\noindent a\_b: slower\par",
    ]


def test_many_tables_are_placed_before_latex_gives_up() -> None:
    table = table_of("t", words("a"), [])
    parts = latex_page(Page((table,) * (2 * HELD + 1))).split("\\clearpage")
    assert [part.count("begin{table}") for part in parts] == [HELD, HELD, 1]
    assert "clearpage" not in latex_page(Page((table,) * HELD))


@given(TEXTS)
def test_every_text_is_set_as_it_is(text: str) -> None:
    ascii_text = one_line(text).encode("ascii", "ignore").decode()
    assert read(escaped(ascii_text)) == one_line(ascii_text)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("--launches", "-{}-launches"),
        ("4-8 -3 to -.5", "4-8 $-$3 to $-$.5"),
        ("é中", "é{[}U+4E2D{]}"),
        ("[4]\n*", "{[}4{]} {*}"),
        ("≤ 2× µ μ − –", r"$\leq$ 2$\times$ \textmu{} \textmu{} $-$ --"),
    ],
)
def test_what_pdflatex_would_take_for_something_else(text: str, latex: str) -> None:
    assert escaped(text) == latex


@given(TEXTS)
def test_pdflatex_knows_every_character(text: str) -> None:
    assert not re.search(r"[^\x20-\x7eÀ-ÿ]|[×÷ÐðØøÞþßÆæ]", escaped(text))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_it_compiles(tmp_path: Path) -> None:
    body = latex_page(a_page(*STRINGS))
    head = r"\documentclass{article}\usepackage{booktabs,textcomp}"
    (tmp_path / "t.tex").write_text(f"{head}\n\\begin{{document}}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout
