"""Fixtures of charts and maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from charts import Draw, draw_all
from matplotlib.figure import Figure

from collbench.results.records import Record
from collbench.views import page


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Draw:
    """Draws and returns the figures by the names of their files, instead of saving them."""

    def figures(records: list[Record], baseline: str | None = None) -> dict[str, Figure]:
        found: dict[str, Figure] = {}

        def keep(figure: Figure, path: Path, formats: Sequence[str]) -> list[Path]:
            assert path.name not in found
            found[path.name] = figure
            return [path]

        monkeypatch.setattr(page, "save", keep)
        draw_all(records, tmp_path, "x", baseline)
        return found

    return figures
