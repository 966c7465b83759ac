"""HTML from values: the only place where text becomes markup, so that no text of any origin is taken for it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

from collbench.printer.lines import one_line

VOID = frozenset({"br", "input"})
OPEN = VOID | {"td", "th", "tr", "li"}  # elements that need no end, in tables and lists of these alone
_IN_SCRIPTS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class Html(str):
    """Markup. All other text is escaped where it enters markup; only this module and files of the package make it."""

    __slots__ = ()


def text(value: str) -> Html:
    """``value`` in one line as text, also inside quotes; what cannot be printed is a space."""
    return value if isinstance(value, Html) else Html(html.escape(one_line(value)))


def tag(name: str, *children: str, **attributes: str | bool | None) -> Html:
    """An element with ``children``, of which text is escaped. ``class_`` is the attribute class, ``aria_sort`` is
    aria-sort; True stands for an attribute without a value, None and False for none."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    end = "" if name in OPEN else f"</{name}>"
    return Html(f"<{name}{given}>{joined(children)}{end}")


def joined(parts: Iterable[str]) -> Html:
    """Parts one after another, of which text is escaped."""
    return Html("".join(map(text, parts)))


def spaced(parts: Iterable[str]) -> Html:
    """Parts with a space between them, of which text is escaped."""
    return Html(" ".join(map(text, parts)))


def data_block(name: str, value: object) -> Html:
    """A block of JSON with the id ``name``, which no browser executes and no string in it can end. Raises ValueError
    for NaN and infinity."""
    content = json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_IN_SCRIPTS)
    return Html(f'<script type="application/json" id="{text(name)}">{content}</script>')


def _attribute(key: str, value: str | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'
