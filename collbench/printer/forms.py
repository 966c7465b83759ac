"""One printer for all forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType

from collbench.printer.latex import latex_page
from collbench.printer.markdown import markdown_page
from collbench.printer.plain import plain_page
from collbench.tables import Page


class Form(Enum):
    """The form in which a command prints."""

    PLAIN = "plain"
    JSON = "json"
    MARKDOWN = "markdown"
    LATEX = "latex"


_PAGES: Mapping[Form, Callable[[Page], str]] = MappingProxyType({
    Form.PLAIN: plain_page, Form.MARKDOWN: markdown_page, Form.LATEX: latex_page,
})  # fmt: skip


def printed(page: Page, data: object, form: Form) -> str:
    """``page`` in this form; for JSON, ``data`` instead, which may not contain NaN (ValueError)."""
    return json.dumps(data, indent=1, allow_nan=False) if form is Form.JSON else _PAGES[form](page)
