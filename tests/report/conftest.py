"""Reports with a stand-in for the charting library, which takes seconds to bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from collbench.report import page
from collbench.report.report import Request, write_report

STAND_IN = "window.vegaEmbed = () => {};"
Write = Callable[..., str]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """No library."""
    monkeypatch.setattr(page, "library", lambda: STAND_IN)


@pytest.fixture
def write(stand_in: None, tmp_path: Path) -> Write:
    """Write the report of these files; its text."""

    def written(*paths: Path, only: tuple[tuple[str, str], ...] = (), title: str = "", baseline: str = "") -> str:
        output = tmp_path / "page" / "report.html"
        write_report(Request(paths, only, output, title, baseline), lambda words: None)
        return output.read_text(encoding="utf-8")

    return written
