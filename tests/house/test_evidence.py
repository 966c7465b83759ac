"""Numbers in READMEs are those of the committed files."""

from __future__ import annotations

import csv
import json
from functools import cache
from statistics import median

import pytest
from lab.replicates import spread
from readmes import LINES, PROSE, ROOT, line_that_begins

from collbench.check.gate import Gate
from collbench.check.judgement import Judgement
from collbench.errors import Exit
from collbench.plan.sizes import parse_size
from collbench.results.records import Record, load

NCCL = ("nccl", "nccl-symm")


@cache
def rows_of(name: str) -> list[Record]:
    """The rows of a committed file."""
    return load(ROOT / "results" / f"{name}.csv")


def latencies(name: str, **cells: object) -> list[float]:
    """Latency of each launch of a case of a file, in microseconds, in the order of launches."""
    rows = [row for row in rows_of(name) if all(getattr(row, key) == value for key, value in cells.items())]
    assert [row.launch for row in sorted(rows, key=lambda row: row.launch)] == list(range(len(rows)))
    return [row.latency_us_median or 0 for row in sorted(rows, key=lambda row: row.launch)]


def middle(name: str, backend: str, size: int, nodes: int = 1) -> float:
    """Median over the three launches of a case."""
    found = latencies(name, backend=backend, bytes=size, nodes=nodes)
    assert len(found) == 3
    return median(found)


# Tables of medians: what stands in the corner, and how a row's first cell narrows the file down.
ROWS: dict[str, dict[str, object]] = {
    "": {"ranks": 4, "dtype": "bfloat16", "nodes": 1},
    "2 GPUs, bf16": {"ranks": 2, "dtype": "bfloat16", "nodes": 1},
    "4 GPUs, fp32": {"ranks": 4, "dtype": "float32", "nodes": 1},
    "2 virtual nodes × 2": {"ranks": 4, "dtype": "bfloat16", "nodes": 2},
    "4 virtual nodes × 1": {"ranks": 4, "dtype": "bfloat16", "nodes": 4},
}


def shown_medians(name: str) -> list[tuple[str, str, int, str]]:
    """(whose rows, backend, bytes, median as shown) of the only table whose corner names the file ``name``."""
    (first,) = [
        number for number, line in enumerate(LINES) if line.startswith("| ") and f"`results/{name}.csv` |" in line
    ]
    sizes = [parse_size(cell) for cell in LINES[first].split("|")[2:-1] if cell.strip()]
    found, whose = [], ""
    for line in LINES[first + 2 :]:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if not cells:
            break
        if cells[0].startswith("better NCCL"):
            continue
        label, (backend, *values) = ("", cells) if cells[0].startswith("`") else (cells[0], cells[1:])
        whose = label or whose
        found += [(whose, backend.strip("`"), size, value) for size, value in zip(sizes, values, strict=True)]
    return found


@pytest.mark.parametrize("name", ["h200x4-nvrar", "h200x4-nvrar-worlds", "h200x4-nvrar-layouts"])
def test_medians(name: str) -> None:
    shown = shown_medians(name)
    assert len(shown) > 20
    for whose, backend, size, value in shown:
        launches = latencies(name, backend=backend, bytes=size, **ROWS[whose])
        assert len(launches) == 3
        assert f"{median(launches):.2f}" == value, (whose, backend, size)


def test_ratios_to_the_better_nccl() -> None:
    shown = shown_medians("h200x4-nvrar")
    of = {(backend, size): float(value) for _, backend, size, value in shown}
    sizes = [size for _, backend, size, _ in shown if backend == "nvrar"]
    ratios = [min(of[name, size] for name in NCCL) / of["nvrar", size] for size in sizes]
    cells = [float(cell) for cell in line_that_begins("| better NCCL").split("|")[2:-1]]
    assert cells == pytest.approx(ratios, abs=0.011)


def test_which_kernel_nvrar_takes_on_one_node() -> None:
    rows = [row for name in ("h200x4-nvrar", "h200x4-nvrar-worlds") for row in rows_of(name) if row.backend == "nvrar"]
    for row in rows:
        kernel = "oneshot" if row.ranks == 2 or row.bytes <= 256 << 10 else "nvrar_lamport"
        assert f";kernel={kernel};" in row.params


def test_what_the_proof_found() -> None:
    wrong = {(row.backend, row.bytes, row.in_place) for row in rows_of("h200x4-wrong") if row.status == "wrong"}
    assert wrong == {("nccl-symm", 4 * 250, False), ("nvshmem", 64 << 10, True), ("nvshmem", 1 << 20, True)}


def test_what_the_switch_for_graphs_is_worth() -> None:
    files = {state: f"h200x2-graph-mixing-{state}" for state in "01"}
    shown = {
        state: [
            f"{min(middle(file, name, size) for name in NCCL) / middle(file, 'nvrar', size):.2f}"
            for size in (4096, 65536, 1 << 20)
        ]
        for state, file in files.items()
    }
    assert "takes {} times as long as `nvrar` at 4 KiB, {} at 64 KiB, {} at 1 MiB".format(*shown["0"]) in PROSE
    assert "without it {}, {} and {} (".format(*shown["1"]) in PROSE
    saved = [
        middle(files["1"], name, 4096 << step) - middle(files["0"], name, 4096 << step)
        for name in NCCL
        for step in range(9)
    ]
    assert f"saves it {min(saved):.1f} to {max(saved):.1f} µs per call up to 1 MiB" in PROSE


@pytest.mark.parametrize("dtype", ["bf16", "int32"])
def test_splitting_the_header_changed_no_kernel_s_speed(dtype: str) -> None:
    file = f"h100x2-parts-{dtype}"
    cases = {(row.backend, row.bytes) for row in rows_of(file) if not row.backend.startswith("old-")}
    assert len(cases) == 4 * 7
    for backend, size in cases:
        new, old = (latencies(file, backend=name, bytes=size) for name in (backend, f"old-{backend}"))
        assert len(new) == 4
        assert median(a / b for a, b in zip(new, old, strict=True)) == pytest.approx(1, abs=0.0075)
    assert "Every median ratio of new to old is within 0.75 % of 1." in PROSE


def test_kernels_on_cpu_ranks() -> None:
    names = ("mpi", "oneshot", "nvrar-lamport", "nvrar-ll", "nvrar-put")
    first, last = ({name: middle("cpu-4ranks-kernels", name, size) for name in names} for size in (4096, 65536))
    assert "even, {nvrar-lamport:.0f} and {mpi:.0f} µs, and `nvrar-put` takes {nvrar-put:.0f}.".format(**first) in PROSE
    ratios = sorted(us / last["mpi"] for name, us in last.items() if name != "mpi")
    assert f"ahead, {ratios[0]:.1f} to {ratios[-1]:.1f} times at 64 KiB" in PROSE


@pytest.mark.parametrize("nodes", [2, 3, 4])
def test_ratios_to_the_ring(nodes: int) -> None:
    sizes = [4096 << 2 * step for step in range(5)]
    us = {name: [middle("tcp-nodes", name, size, nodes) for size in sizes] for name in ("mpi", "mpi-ring", "mpi-nvrar")}
    ratios = [f"{ring / ours:.2f}" for ring, ours in zip(us["mpi-ring"], us["mpi-nvrar"], strict=True)]
    line = line_that_begins(f"| {nodes} nodes × 2 ranks")
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ratios
    better = map(min, us["mpi-ring"], us["mpi-nvrar"])
    assert all(one < 1.03 * other for one, other in zip(better, us["mpi"], strict=True))


def test_numbers_beside_nccl_tests() -> None:
    with (ROOT / "results" / "h200x4-nccl-tests.csv").open(encoding="utf-8") as file:
        rows = {parse_size(row["bytes"]): row for row in csv.DictReader(file)}
    assert len(rows) == 15
    assert all(abs(float(row["mean_ratio"]) - 1) < 0.03 for row in rows.values())
    header, theirs, ours = (
        [cell.strip() for cell in line_that_begins(start).split("|")[2:-1]]
        for start in ("| 4 × H200, bf16, µs |", "| nccl-tests `-G`, before / after", "| `nccl`, chain, same statistic")
    )
    shown = [rows[parse_size(size)] for size in header]
    assert len(shown) == 6
    assert ours == [f"{float(row['collbench_mean_us']):.2f}" for row in shown]
    assert theirs == [f"{row['nccl_tests_us_before']} / {row['nccl_tests_us_after']}" for row in shown]


def test_the_same_code_twice_is_the_same_to_the_gate() -> None:
    for number in (1, 2):
        found = judged(f"h200x2-gate-same-{number}")
        assert found.code is Exit.FINE
        assert [(str(each.finding.verdict), each.finding.launches) for each in found.cases] == [("same", 5)] * 15


def test_a_kernel_that_waits_is_slower_to_the_gate_and_a_wrong_one_is_wrong() -> None:
    found = judged("h200x2-gate-slower")
    assert found.code is Exit.REGRESSION
    changes = {each.record.bytes: each.finding.change.value for each in found.cases if each.finding.change}
    shown = [f"{changes[size]:.1f}" for size in (64 << 10, 1 << 20, 16 << 20)]
    assert f"by {shown[0]}, {shown[1]} and {shown[2]} %" in PROSE
    small = [changes[size << 10] for size in (4, 8, 16, 32)]
    assert f"by {min(small):.1f} to {max(small):.1f} %, 128 KiB, at {changes[128 << 10]:.2f} %" in PROSE
    assert sum(str(each.finding.verdict) == "same" for each in found.cases) == 7
    wrong = judged("h200x2-gate-wrong")
    assert wrong.code is Exit.WRONG
    assert sum("wrong" in each.trial.ill for each in wrong.cases) == 13


def judged(name: str) -> Judgement:
    """The judgement of a committed check."""
    facts = json.loads((ROOT / "results" / f"{name}.json").read_text())["launches"][-1]["goal"]
    found = Gate.of_facts(facts).judge(rows_of(name))
    assert found
    return found


def test_preparing_again_is_no_launch_for_our_kernels() -> None:
    of = {name: [row for row in rows_of("h200x2-replicates") if row.backend == name] for name in ("nvrar", *NCCL)}
    ours, *others = (spread(rows, 5) for rows in of.values())
    assert f"F = {ours.ratio:.1f}, p = {ours.chance * 1e6:.0f}·10⁻⁶" in PROSE
    assert f"{ours.within:.2%} inside and {ours.between:.2%} between".replace("%", " %") in PROSE
    assert f"(F = {others[0].ratio:.1f} and {others[1].ratio:.1f})" in PROSE
