"""The wall: pure modules load neither MPI nor CUDA, so that they work on a login node or a laptop."""

from __future__ import annotations

import json
import subprocess
import sys

PURE = (
    "collbench.errors",
    "collbench.host.environment",
    "collbench.host.fabric",
    "collbench.host.gpus",
    "collbench.host.nccl_log",
    "collbench.host.probes",
    "collbench.host.shipped",
    "collbench.host.transports",
    "collbench.plan.bounds",
    "collbench.plan.collectives",
    "collbench.plan.dtypes",
    "collbench.plan.layout",
    "collbench.plan.problem",
    "collbench.plan.sizes",
    "collbench.plan.sweep",
    "collbench.plan.worlds",
    "collbench.registry",
    "collbench.results.files",
    "collbench.results.mismatch",
    "collbench.results.panels",
    "collbench.results.records",
    "collbench.results.statistics",
    "collbench.slurm.client",
    "collbench.slurm.follow",
    "collbench.slurm.gather",
    "collbench.slurm.profiles",
    "collbench.slurm.scripts",
    "collbench.slurm.submission",
    "collbench.slurm.submit",
    "collbench.tables",
    "collbench.tune.finals",
    "collbench.tune.table",
    "collbench.views.comparison",
    "collbench.views.drawing",
    "collbench.views.figures",
    "collbench.views.summary",
)
WATCH = """
import json, sys
WALL = ("mpi4py.MPI", "cupy", "cuda", "nccl", "nvshmem", "pynvml")

def behind_the_wall():
    return [name for name in WALL if name in sys.modules]
"""


def run_fresh(program: str) -> str:
    """What a program prints in an interpreter of its own."""
    run = subprocess.run([sys.executable, "-c", WATCH + program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_pure_modules_load_neither_mpi_nor_cuda() -> None:
    program = f"""
import importlib
found = {{}}
for name in {PURE!r}:
    importlib.import_module(name)
    found[name] = behind_the_wall()
print(json.dumps(found))
"""
    found = json.loads(run_fresh(program))
    assert found == {name: [] for name in PURE}


def test_the_wall_is_watched() -> None:
    program = """
from mpi4py import rc
rc.initialize = False
import mpi4py.MPI
print(behind_the_wall())
"""
    assert run_fresh(program).strip() == "['mpi4py.MPI']"


def test_list_and_help_work_without_loading_mpi() -> None:
    program = """
from collbench.cli.main import cli
for arguments in (["list"], ["list", "--json"], ["sweep", "--help"], ["sweep", "--dry-run", "--ranks", "4"]):
    cli.main(arguments, standalone_mode=False)
print(json.dumps(behind_the_wall()))
"""
    *shown, wall = run_fresh(program).splitlines()
    assert any(line.startswith("mpi-nvrar") for line in shown)
    assert wall == "[]"


def test_help_loads_nothing_heavy() -> None:
    program = """
import collbench.cli.main
print(json.dumps([name for name in ("numpy", "matplotlib", "pandas", "ml_dtypes") if name in sys.modules]))
"""
    assert run_fresh(program).strip() == "[]"
