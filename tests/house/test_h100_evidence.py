"""Numbers of 2 x H100 in READMEs, of what engines run and of other collectives, are those of the committed files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from statistics import median

import pytest
from readmes import LINES, PROSE, ROOT

from collbench.check.gate import Gate
from collbench.plan.sizes import parse_size
from collbench.results.records import Record, load

NCCL = ("nccl", "nccl-symm")
FUSED = "h100x2-fused"


def rows_of(name: str, **cells: object) -> list[Record]:
    """The rows of a committed file with these values."""
    rows = load(ROOT / "results" / f"{name}.csv")
    return [row for row in rows if all(getattr(row, key) == value for key, value in cells.items())]


def middle(name: str, backend: str, size: int, **cells: object) -> float:
    """Median over the launches of a case, in microseconds."""
    found = [row.latency_us_median for row in rows_of(name, backend=backend, bytes=size, **cells)]
    return median(each for each in found if each)


def table(corner: str) -> tuple[list[int], list[list[str]]]:
    """Sizes in bytes, and the cells of all rows, of the only table whose first row begins so."""
    (first,) = [number for number, line in enumerate(LINES) if line.startswith(corner)]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in LINES[first:]]
    end = next(number for number, row in enumerate(cells) if not row)
    return [parse_size(cell) for cell in cells[0] if cell.endswith("iB")], cells[2:end]


def blocks(rows: list[list[str]]) -> Iterator[tuple[str, str, list[str]]]:
    """(the last first cell that is not empty, the second, the numbers) of each row."""
    whose = ""
    for row in rows:
        whose = row[0] or whose
        yield whose, row[1], row[2:]


def test_what_engines_run() -> None:
    sizes, (own, *others) = table("| 2 × H100, bf16, `results/h100x2-fused.csv`")
    times = [middle(FUSED, "nvrar", size, hidden=4096) for size in sizes]
    assert own[1:] == [f"{each:.2f}" for each in times]
    for label, *shown in others:
        (backend, *_) = re.findall(r"`([\w-]+)`", label)
        ratios = [middle(FUSED, backend, size, hidden=4096) / own for size, own in zip(sizes, times, strict=True)]
        assert [float(each) for each in shown] == pytest.approx(ratios, abs=0.006)
    assert len(others) == 3


@pytest.mark.parametrize("corner", ["| bf16, `all_reduce_rms_norm` |", "| bf16, `all_reduce` |"])
def test_medians_of_peers(corner: str) -> None:
    sizes, rows = table(corner)
    assert len(rows) >= 8
    for whose, backend, shown in blocks(rows):
        (name,) = re.findall(r"`([\w-]+)\.csv`", whose)
        found = [f"{middle(name, backend.strip('`'), size, dtype='bfloat16'):.2f}" for size in sizes]
        assert shown == found, (name, backend)


def shards(collective: str, sizes: list[int]) -> tuple[list[float], list[float]]:
    """Microseconds of nvrar, and the better NCCL over it."""
    name = "h100x2-shards"
    own = [middle(name, "nvrar", size, collective=collective) for size in sizes]
    best = [min(middle(name, each, size, collective=collective) for each in NCCL) for size in sizes]
    return own, [one / other for one, other in zip(best, own, strict=True)]


def test_shards_and_whole_numbers() -> None:
    sizes, rows = table("| bf16, `h100x2-shards.csv` |")
    shown = {(whose.strip("`"), kind): numbers for whose, kind, numbers in blocks(rows)}
    ends = []
    for collective in ("reduce_scatter", "all_gather"):
        own, ratios = shards(collective, sizes)
        assert shown[collective, "`nvrar`"] == [f"{each:.2f}" for each in own]
        assert [float(each) for each in shown[collective, "better NCCL ÷ `nvrar`"]] == pytest.approx(ratios, abs=0.006)
        ends += [min(ratios), max(ratios)]
    words = "NCCL takes {:.2f} to {:.2f} times as long as `nvrar` for reduce-scatter, {:.2f} to {:.2f} for all-gather"
    assert words.format(*ends) in PROSE
    whole = "h100x2-whole"
    cases = {(row.dtype, row.bytes) for row in rows_of(whole)}
    times = [[middle(whole, name, size, dtype=kind) for name in ("nccl", "nvrar")] for kind, size in cases]
    ratios = [nccl / own for nccl, own in times]
    assert f"NCCL {min(ratios):.2f} to {max(ratios):.2f} for `int32`, `int64` and `float64`" in PROSE
    ours, theirs = (middle(whole, name, 64 << 20, dtype="int32") for name in ("nvrar", "nccl"))
    assert f"at 64 MiB {ours:.1f} µs for int32, where NCCL takes {theirs:.1f}" in PROSE


def test_the_kernels_of_before_are_as_fast() -> None:
    name = "h100x2-check-old"
    facts = json.loads((ROOT / "results" / f"{name}.json").read_text())["launches"][-1]["goal"]
    found = Gate.of_facts(facts).judge(rows_of(name))
    assert found
    assert [(str(each.finding.verdict), each.finding.launches) for each in found.cases] == [("same", 5)] * 6
