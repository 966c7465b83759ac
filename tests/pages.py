"""HTML as a parser of its own reads it: elements with their attributes, and the text of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = ("br", "input", "meta", "link")
ENDS = {"td": ("td", "th"), "th": ("td", "th"), "tr": ("td", "th", "tr"), "li": ("li",)}  # what a start tag ends


@dataclass
class Element:
    """An element: its name, its attributes, and the text inside."""

    name: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Reader(HTMLParser):
    """Collects elements in their order, and declarations and comments, which no report has."""

    elements: list[Element] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(found)
        while self._open and self._open[-1].name in ENDS.get(tag, ()):
            self._open.pop()
        if tag not in VOID:
            self._open.append(found)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().name != tag:
            pass

    def handle_data(self, data: str) -> None:
        for each in self._open:
            each.text += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)

    def of(self, name: str) -> list[Element]:
        """The elements of this name."""
        return [each for each in self.elements if each.name == name]

    def charts(self) -> dict[str, Any]:
        """What the script of a report draws."""
        found: dict[str, Any] = json.loads(
            next(each.text for each in self.elements if each.attributes.get("id") == "charts")
        )
        return found


def read(html: str) -> Reader:
    """The elements of a page, or of a part of one."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader
