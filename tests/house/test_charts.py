"""What is committed under plots/ is what the committed results give today, drawn by the commands in plots/redraw."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from collbench.cli.main import cli
from collbench.errors import Exit

ROOT = Path(__file__).parents[2]
PLOTS = ROOT / "plots"
DRAWN_BY = "3.11."  # matplotlib's release, which the group dev pins: another may move a label by part of a pixel
COMMITTED = sorted(path.name for path in PLOTS.iterdir() if path.suffix in (".png", ".svg") and path.name[0] != "2")


@pytest.fixture(scope="module")
def redrawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every chart, drawn again in this process: by the arguments that the script gives to collbench."""
    folder = tmp_path_factory.mktemp("plots")
    variables = {**os.environ, "COLLBENCH": "echo"}
    reported = subprocess.run(
        [PLOTS / "redraw", folder], env=variables, check=True, capture_output=True, text=True
    ).stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for line in reported.splitlines():
            assert cli.main(line.split(), standalone_mode=False) in (0, None, Exit.REGRESSION)
    return folder


def test_every_committed_chart_has_its_command_and_no_chart_is_missing(redrawn: Path) -> None:
    assert sorted(path.name for path in redrawn.iterdir()) == COMMITTED


@pytest.mark.skipif(not metadata.version("matplotlib").startswith(DRAWN_BY), reason="drawn by another matplotlib")
@pytest.mark.parametrize("name", COMMITTED)
def test_a_chart_is_the_same_to_the_byte(redrawn: Path, name: str) -> None:
    assert (redrawn / name).read_bytes() == (PLOTS / name).read_bytes()
