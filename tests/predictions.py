"""The predictions that results/README.md shows for two kinds of machines, as rows of its table."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner

from collbench.cli.main import cli

NODES = (1, 2, 4, 8, 16)
MACHINES = {
    "4 × A100 a node, Slingshot-11": ("gpus-per-node=4", "a100", "slingshot-11"),
    "1 GH200 a node, InfiniBand NDR": ("gpus-per-node=1", "gh200", "infiniband-ndr"),
}
MODELS = {"70B": "llama-3.1-70b", "405B": "llama-3.1-405b"}
Row = dict[str, Any]


def predicted(*arguments: str) -> list[Row]:
    """The predictions of `llm predict --json`, without splits that are refused."""
    ran = CliRunner().invoke(cli, ["llm", "predict", *arguments, "--json"], standalone_mode=False)
    assert ran.exception is None, ran.output
    rows: list[Row] = json.loads(ran.output)["predictions"]
    return [row for row in rows if "tpot_us" in row]


def table() -> list[str]:
    """Rows of Markdown, four for each machine and model."""
    return [row for machine in MACHINES for model in MODELS for row in _rows(machine, model)]


def _rows(machine: str, model: str) -> list[str]:
    nodes, gpu, profile = MACHINES[machine]
    found = predicted(
        f"{MODELS[model]}:{nodes}:batch=8:output=1024", "--gpu", gpu, "--source", f"nccl=fit:{profile}#nccl",
        "--faster", "1.9", "--faster", "3.6", "--nodes", ",".join(map(str, NODES)),
    )  # fmt: skip
    assert {row["tpot_basis"] for row in found} == {"assumed"}
    head = f"| {model}, {machine} |"
    rows = []
    for source, label in (("nccl", "NCCL"), ("nccl ÷ 1.9", "1.9 × as fast"), ("nccl ÷ 3.6", "3.6 × as fast")):
        cells = [_cell(found, source, count) for count in NODES]
        rows.append(" | ".join([f"{head if source == 'nccl' else '| |'} {label}", *cells]) + " |")
    return rows


def _cell(found: list[Row], source: str, nodes: int) -> str:
    """The fastest split, its time and f; – where none fits into memory."""
    some = [row for row in found if (row["source"], row["nodes"]) == (source, nodes)]
    if not some:
        return "–"
    best = min(some, key=lambda row: float(row["tpot_us"]))
    split = f"TP {best['tp']}" + (f" × PP {best['pp']}" if best["pp"] > 1 else "")
    return f"{best['tpot_us'] / 1000:.1f}, {split}, {100 * best['share']:.0f} %"
