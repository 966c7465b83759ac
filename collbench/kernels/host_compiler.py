"""Compiles the files of ``kernels/`` for CPUs with the host's C++ compiler, and loads them.

Each kernel becomes a library whose threads are run by a runtime in ``kernels/machine``: ``cpu.cpp`` for ranks that
share memory, ``emulator.cpp`` for the emulator. Libraries are cached with the cubins.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from collbench.kernels import cache
from collbench.kernels.attempts import Attempts, CompilerHangError
from collbench.kernels.contract import check_runtime
from collbench.kernels.files import own_folder
from collbench.kernels.header import KernelFile
from collbench.kernels.sources import KernelError, error_lines, explained, include_folders, key

COMPILERS = ("c++", "g++", "clang++")
# No contraction: sums are rounded where the source says, as on a GPU. No strict aliasing: peers write cells as other
# types. No fortification: it mistakes a switch of fibers for a smashed stack. -Bsymbolic: runtimes are loaded globally,
# and each library must find its own `live`.
FLAGS = (
    "-std=c++17", "-fPIC", "-shared", "-w", "-fno-strict-aliasing", "-ffp-contract=off", "-U_FORTIFY_SOURCE",
    "-Wl,-Bsymbolic",
)  # fmt: skip
COMPILE_SECONDS, VERSION_SECONDS = 300.0, 20.0
CPU, EMULATED = "cpu", "emulated"
RUNTIMES = {CPU: "cpu.cpp", EMULATED: "emulator.cpp"}
# In the emulator the runtime takes most of the time, and each kernel is compiled for few calls.
LEVELS = {CPU: "-O2", EMULATED: "-O1"}


@functools.cache
def compiler() -> tuple[str, ...] | None:
    """The command of the C++ compiler: CXX, else the first of COMPILERS that exists; None where none does."""
    named = os.environ.get("CXX", "")
    try:
        words = shlex.split(named)
    except ValueError:  # an unclosed quote: not a command
        words = [named]
    found = shutil.which(words[0]) if words else next(filter(None, map(shutil.which, COMPILERS)), None)
    return (found, *words[1:]) if found else None


def missing() -> str | None:
    """What this machine lacks to compile kernels for CPUs and how to get it, or None."""
    if compiler():
        return None
    named = os.environ.get("CXX")
    if named:
        return f"CXX names {named!r}, which is not a command; name a C++17 compiler, or unset it"
    return "kernels need a C++ compiler on CPU ranks; install one (Debian, Ubuntu: apt install g++) or name it in CXX"


@functools.cache
def _attempts(command: tuple[str, ...]) -> Attempts:
    """What this process has tried with a compiler in vain."""
    return Attempts()


@functools.cache
def _version(command: tuple[str, ...]) -> str:
    done = _run([*command, "--version"], VERSION_SECONDS, f"{command[0]} --version did not end")
    return done.stdout + done.stderr


def _run(command: Sequence[str], seconds: float, late: str) -> subprocess.CompletedProcess[str]:
    """Run a compiler; raises CompilerHangError, which begins with ``late``, after ``seconds``."""
    try:
        return subprocess.run(
            command, capture_output=True, check=False, encoding="utf-8", errors="replace", timeout=seconds
        )
    except subprocess.TimeoutExpired:
        words = f"{late} within {seconds:g} s; name a compiler that works in CXX"
        raise CompilerHangError(words) from None


def kernel_library(file: KernelFile, defines: Mapping[str, str | int], machine: str) -> bytes:
    """A shared library with the kernel's entry point, for ``machine`` (CPU or EMULATED); through the cache.

    Raises KernelError with the compiler's errors.
    """
    check_runtime(file, machine)
    macros = {"COLL_NAME": file.symbol, "COLL_EMULATED": int(machine == EMULATED), **defines}
    return _library(file.path, include_folders(file), macros, machine, LEVELS[machine])


def runtime_library(machine: str) -> bytes:
    """The shared library that runs the kernels of ``machine``; through the cache. Raises KernelError."""
    folder = own_folder()
    return _library(folder / "machine" / RUNTIMES[machine], (folder,), {}, machine, "-O2")


def _library(path: Path, folders: tuple[Path, ...], macros: Mapping[str, str | int], machine: str, level: str) -> bytes:
    found = compiler()
    if found is None:
        raise KernelError(str(missing()))
    attempts = _attempts(found)
    command = [*found, *FLAGS, level, *(f"-D{name}={number}" for name, number in macros.items())]
    with explained(path):
        version = attempts("--version", lambda: _version(found))
        named = f"{path.stem}-{machine}-{key(path, folders, command, version, platform.machine())}.so"
        full = [*command, *(f"-I{folder}" for folder in folders)]
        return cache.load_or_make(cache.folder() / named, lambda: attempts(named, lambda: _compiled(path, full)))


def _compiled(path: Path, command: Sequence[str]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="collbench-") as folder:
        output = Path(folder, "library.so")
        full = [*command, "-o", str(output), "-x", "c++", str(path)]
        run = _run(full, COMPILE_SECONDS, f"{command[0]} did not compile {path}")
        if run.returncode or not output.is_file():
            lines = "\n".join(error_lines(run.stderr))
            raise KernelError(f"{path} does not compile for CPUs with {command[0]}:\n{lines}")
        return output.read_bytes()


@functools.cache
def load_runtime(content: bytes) -> ctypes.CDLL:
    """Load a runtime, once per process; kernels that are loaded later resolve their calls in it."""
    return _load(content, ctypes.RTLD_GLOBAL)


def _load(content: bytes, mode: int) -> ctypes.CDLL:
    with tempfile.NamedTemporaryFile(prefix="collbench-", suffix=".so") as file:
        file.write(content)
        file.flush()
        try:
            return ctypes.CDLL(file.name, mode=mode)
        except OSError as error:
            raise KernelError(
                f"a compiled kernel cannot be loaded ({error}); if its folder is mounted noexec, name another in TMPDIR"
            ) from None


class LoadedKernel:
    """A loaded entry point, and the bounds of its blocks' shared memory."""

    def __init__(self, content: bytes, symbol: str) -> None:
        self.handle = _load(content, ctypes.RTLD_LOCAL)
        self.entry = ctypes.cast(getattr(self.handle, symbol), ctypes.c_void_p)
        ends = (ctypes.c_void_p.in_dll(self.handle, f"coll_shared_{end}") for end in ("begin", "end"))
        self.shared = tuple(end.value for end in ends)
