"""Results that are continued: under the same conditions only, and each row under the entry of its own launch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import Mpi

RUN = ("sweep", "--ranks", "2", "--backend", "mpi,mpi-ring", "--sizes", "4K,8K", "--samples", "3", "--max-seconds",
       "0.05", "-o", "r.csv", "--quiet")  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder: Path = tmp_path_factory.mktemp("finished")
    ran = Mpi("mpich", folder).run(*RUN)
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def cut(finished: Path, mpich: Mpi) -> Mpi:
    """The same run, but without its last row."""
    for path in finished.iterdir():
        if path.is_file():
            (mpich.folder / path.name).write_bytes(path.read_bytes())
    rows = (mpich.folder / "r.csv").read_text().splitlines(keepends=True)
    (mpich.folder / "r.csv").write_text("".join(rows[:-1]))
    return mpich


def entries(mpi: Mpi) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((mpi.folder / "r.json").read_text())["launches"]
    return found


def change(mpi: Mpi, how: Callable[[dict[str, Any]], object]) -> None:
    """Change the first entry of the sidecar."""
    path = mpi.folder / "r.json"
    content = json.loads(path.read_text())
    how(content["launches"][0])
    path.write_text(json.dumps(content))


def test_the_same_conditions_continue_the_launch_and_its_entry(cut: Mpi) -> None:
    ran = cut.run(*RUN, "--resume")
    assert ran.code == 0, ran.err
    assert [row.launch for row in cut.rows()] == [0, 0, 0, 0]
    (entry,) = entries(cut)
    assert len(entry["resumed"]) == 1


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda entry: entry["mpi"].update(library="Open MPI v4"), "Open MPI v4, now MPICH"),
        (lambda entry: entry["versions"].update(numpy="1.0"), "numpy 1.0, now "),
        (lambda entry: entry.update(source_sha256="0"), "the source of collbench has changed"),
    ],
    ids=["MPI", "version", "source"],
)
def test_other_conditions_are_refused_and_on_demand_a_launch_of_their_own(
    cut: Mpi, what: Callable[[dict[str, Any]], object], words: str
) -> None:
    change(cut, what)
    refused = cut.run(*RUN, "--resume")
    assert refused.code == 2
    assert f"r.csv was measured under other conditions: {words}" in refused.err
    assert "--mixed" in refused.err
    assert cut.run(*RUN, "--resume", "--mixed").code == 0
    assert sorted(row.launch for row in cut.rows()) == [0, 0, 0, 1, 1], "the problem that was cut, with all backends"
    assert [entry["launch"] for entry in entries(cut)] == [0, 1]


def test_rows_without_a_sidecar_are_refused(cut: Mpi) -> None:
    (cut.folder / "r.json").unlink()
    refused = cut.run(*RUN, "--resume")
    assert refused.code == 2
    assert "measured under other conditions: it has no sidecar that says which" in refused.err


def test_another_host_of_the_same_kind_begins_a_launch(cut: Mpi) -> None:
    change(cut, lambda entry: [rank.update(host="elsewhere") for rank in entry["ranks"]])
    ran = cut.run(*RUN, "--resume")
    assert ran.code == 0, ran.err
    assert sorted(row.launch for row in cut.rows()) == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"launches": [{}]}', '{"launches": 3}'])
def test_a_damaged_sidecar_is_one_sentence(cut: Mpi, text: str) -> None:
    (cut.folder / "r.json").write_text(text)
    before = (cut.folder / "r.csv").read_text()
    ran = cut.run(*RUN, "--resume")
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert "r.json is not a sidecar of collbench" in ran.err
    assert (cut.folder / "r.csv").read_text() == before
