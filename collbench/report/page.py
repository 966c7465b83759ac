"""The page: its sections, the script that draws and sorts, and what the page forbids browsers to do."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from importlib.resources import files

from collbench import __version__
from collbench.report.charts import Chart, plain
from collbench.report.library import library
from collbench.report.looks import OUTLINES, Looks, style_sheet
from collbench.report.markup import Html, data_block, joined, tag, text
from collbench.report.sections import Section
from collbench.report.tables import numbers_style

_PLACE = re.compile(r"\{\{(\w+)\}\}")
SCRIPTS = ("charts.js", "tables.js", "report.js")
MARK = '<meta name="generator" content="collbench report">'  # in the first lines of a report


def page_html(
    title: str,
    origin: Sequence[str],
    warnings: Sequence[str],
    sections: Sequence[Section],
    charts: Sequence[Chart],
    looks: Looks,
) -> str:
    """The whole page, with what it is made from and ``warnings`` at its head. Raises UsageError as `library` does."""
    style = _asset("style.css") + numbers_style() + style_sheet(looks.styles)
    script, drawing = "".join(map(_asset, SCRIPTS)), library()
    head = [*(tag("p", each, class_="origin") for each in origin), *(tag("p", each, class_="bad") for each in warnings)]
    data = {"outlines": [OUTLINES[marker] for _, marker in looks.styles], **plain(charts)}
    parts = {
        "policy": text(policy([drawing, script], style)),
        "title": text(title),
        "style": Html(style),
        "origin": joined(head),
        "links": tag("ul", *(tag("li", tag("a", each.title, href=f"#{each.anchor}")) for each in sections)),
        "sections": joined(each.html() for each in sections),
        "foot": tag("p", f"Made by collbench {__version__}. This page loads nothing from anywhere."),
        "data": data_block("charts", data),
        "library": Html(drawing),
        "script": Html(script),
    }
    return _PLACE.sub(lambda place: parts[place[1]], _asset("page.html"))


def policy(scripts: Iterable[str], style: str) -> str:
    """What browsers may do: run these scripts and apply this style sheet, by their hashes, and nothing else."""
    hashes = " ".join(map(_hash, scripts))
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"
    return f"{nothing}; script-src {hashes}; style-src {_hash(style)}"


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return files("collbench.report").joinpath("assets", name).read_text(encoding="utf-8")
