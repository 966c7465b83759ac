"""The README is true: its tables are what its commands print, its figures and files exist, its options are known."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path
from statistics import median

import pytest

from collbench.cli.main import cli
from collbench.plan.sizes import parse_size
from collbench.results.records import Record, load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
SHOWN = re.findall(r"```console\n\$ (collbench [^\n]+)\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_tables_are_what_the_commands_print(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(command)
    cli.main(words, standalone_mode=False)
    assert (program, capsys.readouterr().out.strip()) == ("collbench", output.strip())


def test_there_are_tables_for_cpu_and_gpu() -> None:
    assert ["cpu" in command for command, _ in SHOWN] == [True, False]


def test_figures_and_files_exist() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", TEXT) + re.findall(
        r"`((?:results|plots|collbench)/[\w./-]+\.\w+)`", TEXT
    )
    placeholders = {"results/RUN.csv", *(f"#{title.lower().replace(' ', '-')}" for title in HEADINGS)}
    assert links
    assert [link for link in links if link not in placeholders and not (ROOT / link).exists()] == []


def middle(rows: list[Record], name: str, size: int, nodes: int = 1) -> float:
    """Median over launches of a case of a file, in microseconds."""
    return median(
        row.latency_us_median or 0 for row in rows if (row.backend, row.bytes, row.nodes) == (name, size, nodes)
    )


def test_what_the_switch_for_graphs_is_worth_is_measured() -> None:
    told = {}
    for state in "01":
        rows = load(ROOT / "results" / f"h200x2-graph-mixing-{state}.csv")
        told[state] = [
            f"{min(middle(rows, name, size) for name in ('nccl', 'nccl-symm')) / middle(rows, 'nvrar', size):.2f}"
            for size in (4096, 65536, 1 << 20)
        ]
    assert "takes {} times as long as `nvrar` at 4 KiB, {} at 64 KiB, {} at 1 MiB".format(*told["0"]) in TEXT
    assert "without it {}, {} and {} (".format(*told["1"]) in TEXT


@pytest.mark.parametrize("nodes", [2, 3, 4])
def test_ratios_to_the_ring_are_the_file_s(nodes: int) -> None:
    rows = load(ROOT / "results" / "tcp-nodes.csv")
    line = next(line for line in TEXT.splitlines() if line.startswith(f"| {nodes} nodes × 2 ranks"))
    ratios = [
        f"{middle(rows, 'mpi-ring', size, nodes) / middle(rows, 'mpi-nvrar', size, nodes):.2f}"
        for size in (4096 << 2 * step for step in range(5))
    ]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ratios


def test_numbers_beside_nccl_tests_are_the_file_s() -> None:
    with (ROOT / "results" / "h200x4-nccl-tests.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(abs(float(row["mean_ratio"]) - 1) < 0.03 for row in rows)
    line = next(line for line in TEXT.splitlines() if line.startswith("| `nccl`, chain, same statistic"))
    shown = [cell.strip() for cell in line.split("|")[2:-1]]
    means = [f"{float(row['collbench_mean_us']):.2f}" for row in rows]
    assert len(shown) == 6
    assert [mean for mean in means if mean in shown] == shown


def test_every_option_it_names_is_one() -> None:
    known = {
        option
        for command in cli.commands.values()
        for param in command.params
        for option in [*param.opts, *param.secondary_opts]
    }
    shell = "\n".join(re.findall(r"```(?:sh|console)\n(.*?)```", TEXT, re.DOTALL))
    named = {
        word for line in shell.splitlines() if "collbench " in line for word in re.findall(r"\s(--?[a-z][\w-]*)", line)
    }
    assert named - known - {"-n"} == set()


# Tables of medians: what stands in the corner, and how a row's first cell narrows the file down.
ROWS = {
    "": {"ranks": "4", "dtype": "bfloat16", "nodes": "1"},
    "2 GPUs, bf16": {"ranks": "2", "dtype": "bfloat16", "nodes": "1"},
    "4 GPUs, fp32": {"ranks": "4", "dtype": "float32", "nodes": "1"},
    "2 virtual nodes × 2": {"ranks": "4", "dtype": "bfloat16", "nodes": "2"},
    "4 virtual nodes × 1": {"ranks": "4", "dtype": "bfloat16", "nodes": "4"},
}


def shown_medians(name: str) -> list[tuple[str, str, int, str]]:
    """(whose rows, backend, bytes, median as shown) of the table whose corner names the file ``name``."""
    lines = TEXT.splitlines()
    first = next(
        number for number, line in enumerate(lines) if line.startswith("| ") and f"`results/{name}.csv` |" in line
    )
    sizes = [parse_size(cell) for cell in lines[first].split("|")[2:-1] if cell.strip()]
    found, whose = [], ""
    for line in lines[first + 2 :]:
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
def test_medians_are_the_file_s(name: str) -> None:
    with (ROOT / "results" / f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shown = shown_medians(name)
    assert len(shown) > 20
    for whose, backend, size, value in shown:
        wanted = {**ROWS[whose], "backend": backend, "bytes": str(size)}
        launches = [row["latency_us_median"] for row in rows if all(row[key] == text for key, text in wanted.items())]
        assert len(launches) == 3
        assert f"{median(map(float, launches)):.2f}" == value, (whose, backend, size)


def test_ratios_are_those_to_the_better_nccl() -> None:
    shown = shown_medians("h200x4-nvrar")
    of = {(backend, size): float(value) for _, backend, size, value in shown}
    sizes = [size for _, backend, size, _ in shown if backend == "nvrar"]
    ratios = [min(of["nccl", size], of["nccl-symm", size]) / of["nvrar", size] for size in sizes]
    line = next(line for line in TEXT.splitlines() if line.startswith("| better NCCL"))
    told = [float(cell) for cell in line.split("|")[2:-1]]
    assert told == pytest.approx(ratios, abs=0.011)
