"""The structure of the package: each floor imports only what stands below it, without circles.

Pure packages load neither MPI nor CUDA, so that what needs neither works on a login node or a laptop.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import collbench

PACKAGE = Path(collbench.__file__).parent
# Packages and single modules, from the ground up.
FLOORS = (
    "errors", "tables", "printer", "plan", "llm", "host", "ranks", "results", "foreign", "views", "tune", "check",
    "fit", "predict", "devices", "kernels", "backends", "registry", "proof", "batch", "jobs", "doctor", "verify",
    "measure", "replay", "report", "cli", "__main__",
)  # fmt: skip
# Modules that are imported only where a GPU or MPI is; no other module of a pure package loads them on import.
BEYOND_THE_WALL = {"kernels.gpu_communicator", "kernels.cpu_communicator"}
PURE = (
    "errors", "tables", "printer", "plan", "llm", "host", "results", "foreign", "views", "tune", "check", "fit",
    "predict", "kernels", "jobs", "backends", "registry", "report",
)  # fmt: skip
WALL = ("mpi4py.MPI", "cupy", "cuda", "nccl", "nvshmem", "pynvml", "torch", "flashinfer")


def modules() -> dict[str, Path]:
    """Every file of the package by its dotted name below ``collbench``."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__") or "__init__"] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """Modules of the package that a file imports, anywhere in it, also for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "collbench":
            base = (node.module or "").removeprefix("collbench").removeprefix(".")
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix(".")
                yield whole if whole in MODULES else base or "__init__"


IMPORTS = {name: set(imported(path)) for name, path in MODULES.items()}


def floor(module: str) -> int:
    """The number of a module's floor."""
    return FLOORS.index(module.split(".", maxsplit=1)[0])


def test_every_package_has_its_floor() -> None:
    assert {name.split(".")[0] for name in MODULES} - {"__init__"} == set(FLOORS)


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"__init__"}))
def test_a_file_imports_its_own_floor_and_what_stands_below(name: str) -> None:
    above = {other for other in IMPORTS[name] - {"__init__"} if floor(other) > floor(name)}
    assert above == set()


def test_no_files_import_each_other_in_a_circle() -> None:
    files = {name: others - {"__init__"} for name, others in IMPORTS.items() if name != "__init__"}
    TopologicalSorter(files).prepare()  # raises CycleError


def run_fresh(program: str) -> str:
    """What a program prints in an interpreter of its own."""
    watch = f"import json, sys\ndef behind_the_wall(): return [name for name in {WALL} if name in sys.modules]\n"
    run = subprocess.run([sys.executable, "-c", watch + program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_pure_packages_load_neither_mpi_nor_cuda() -> None:
    pure = sorted(name for name in MODULES if name.split(".")[0] in PURE and name not in BEYOND_THE_WALL)
    program = f"""
import importlib
found = {{}}
for name in {pure}:
    importlib.import_module(f"collbench.{{name}}")
    found[name] = behind_the_wall()
print(json.dumps(found))
"""
    assert json.loads(run_fresh(program)) == {name: [] for name in pure}


def test_authors_of_backends_import_from_one_module() -> None:
    program = """
import collbench.backends as contract
pure = behind_the_wall()
print(json.dumps([pure, [name for name in contract.__all__ if not hasattr(contract, name)], hasattr(contract, "Wrld")]))
"""
    assert json.loads(run_fresh(program)) == [[], [], False]


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


def test_help_loads_nothing_heavy_and_a_command_no_other() -> None:
    program = """
from collbench.cli.main import cli
print(json.dumps([name for name in sys.modules if name.startswith("collbench.cli.")]))
for command in (["sweep"], ["fit"], ["llm", "steps"], ["llm", "predict"], ["llm", "replay"]):
    cli.main([*command, "--help"], standalone_mode=False)
    if command == ["sweep"]:
        others = ("collbench.cli.check", "collbench.llm", "collbench.jobs", "collbench.verify")
        print(json.dumps([name for name in others if name in sys.modules]))
print(json.dumps([name for name in ("numpy", "matplotlib", "pandas", "ml_dtypes") if name in sys.modules]))
"""
    first, *shown = run_fresh(program).splitlines()
    assert json.loads(first) == ["collbench.cli.main"]
    assert "[]" in shown[:-1], "or every rank would spend a tenth of its start on them"
    assert shown[-1] == "[]", "or help and completion would take a second"
