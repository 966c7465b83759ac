"""Kernels compiled for processors: which compiler, what it says, what is kept, and what is loaded."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulated import needs_compiler
from kernel_files import source, write
from running import CACHE, HERE

from collbench.kernels import host_compiler, sources
from collbench.kernels.files import own_folder
from collbench.kernels.header import KernelFile, read
from collbench.kernels.host_compiler import CPU, EMULATED, LoadedKernel, kernel_library, load_runtime, runtime_library
from collbench.kernels.sources import KernelError

# Needs nothing of ours, so that it is compiled in no time.
PLAIN = '#include "mine.h"\nextern "C" int COLL_NAME() { return FACTOR * COLL_EMULATED; }\n'


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    """The compiler is looked for once in a process."""
    yield
    forget()


def forget() -> None:
    """Look for the compiler again."""
    host_compiler.compiler.cache_clear()
    host_compiler._version.cache_clear()
    host_compiler._attempts.cache_clear()


def a_compiler(monkeypatch: pytest.MonkeyPatch, named: str, path: str | None = None) -> None:
    """Have CXX name it, on a machine with this PATH."""
    monkeypatch.setenv("CXX", named)
    if path is not None:
        monkeypatch.setenv("PATH", path)
    forget()


def command(folder: Path, name: str, script: str = "") -> Path:
    """A shell script that can be called."""
    path = write(folder, name, f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def kernel(folder: Path, body: str = PLAIN, factor: int = 2) -> KernelFile:
    """A kernel file beside a header."""
    write(folder, "mine.h", f"#define FACTOR {factor}\n")
    return read(write(folder, "one_hop.cu", source() + body))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


# ---- Which compiler ----


def test_the_compiler_is_what_cxx_names_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = command(tmp_path, "my c++")
    a_compiler(monkeypatch, f"'{mine}' -O3 '-DX=a b'", path=str(tmp_path))
    assert host_compiler.compiler() == (str(mine), "-O3", "-DX=a b")
    a_compiler(monkeypatch, "'my c++'")
    assert host_compiler.compiler() == (str(mine),)
    assert host_compiler.missing() is None


def test_else_the_first_of_the_usual_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("clang++", "g++", "c++"):
        mine = command(tmp_path, name)
        a_compiler(monkeypatch, "", path=str(tmp_path))
        assert host_compiler.compiler() == (str(mine),)


def test_without_any_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_compiler(monkeypatch, "", path=str(tmp_path))
    assert host_compiler.compiler() is None
    advice = "kernels need a C++ compiler on CPU ranks; install one (Debian, Ubuntu: apt install g++) or name it in CXX"
    assert host_compiler.missing() == advice
    with pytest.raises(KernelError) as caught:
        runtime_library(CPU)
    assert str(caught.value) == advice


@pytest.mark.parametrize("named", ["/nonexistent/c++ -O3", "no-such-compiler", "/dev/null", "'g++"])
def test_a_name_that_is_not_a_command_is_reported(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    a_compiler(monkeypatch, named)
    assert host_compiler.compiler() is None, "no other is taken instead"
    assert str(host_compiler.missing()).startswith(f"CXX names {named!r}, which is not a command; ")


# ---- What it says ----


@needs_compiler
def test_an_error_names_the_file_and_shows_the_compilers_lines(tmp_path: Path, cache: Path) -> None:
    body = "#warning not this\n" + "".join(f"int a{number} = nothing{number};\n" for number in range(40))
    with pytest.raises(KernelError) as caught:
        kernel_library(kernel(tmp_path, body), {}, CPU)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{tmp_path / 'one_hop.cu'} does not compile for CPUs with {(host_compiler.compiler() or '?')[0]}:"
    assert any("nothing0" in line and "error:" in line for line in lines)
    assert not any("not this" in line for line in lines)
    assert len(lines) == 21
    assert lines[-1].endswith(" more lines")
    assert not list(cache.glob("*")), "nothing is kept of it"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", "does not compile for CPUs with "),  # and leaves nothing behind
        ("echo 'internal error: sorry' >&2; kill -9 $$", "internal error: sorry"),
        ("exec sleep 600", "did not compile .* within 0.2 s; name a compiler that works in CXX"),
    ],
)
def test_a_compiler_that_fails_is_reported(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    if "sleep" in script:
        monkeypatch.setattr(host_compiler, "COMPILE_SECONDS", 0.2)
    a_compiler(monkeypatch, str(command(tmp_path, "my-c++", f'test "$1" = --version && exit 0\n{script}')))
    with pytest.raises(KernelError, match=words) as caught:
        kernel_library(kernel(tmp_path), {}, CPU)
    assert str(tmp_path / "one_hop.cu") in str(caught.value)


def calls_of(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Callable[[], int]:
    """Have CXX name a script that counts its calls."""
    a_compiler(monkeypatch, str(command(folder, "my-c++", f'echo >>"{folder}/calls"\n{script}')))
    return lambda: len((folder / "calls").read_text())


def test_what_does_not_compile_is_tried_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, file = calls_of(tmp_path, monkeypatch, 'test "$1" = --version'), kernel(tmp_path)
    words = set()
    for _ in range(3):
        with pytest.raises(KernelError) as caught:
            kernel_library(file, {}, CPU)
        words.add(str(caught.value))
    assert (calls(), len(words)) == (2, 1)
    with pytest.raises(KernelError):
        kernel_library(file, {"COLL_THREADS": 32}, CPU)
    with pytest.raises(KernelError):
        kernel_library(kernel(tmp_path, factor=3), {}, CPU)
    assert calls() == 4, "other options and sources are tried"


@pytest.mark.parametrize("limit", ["VERSION_SECONDS", "COMPILE_SECONDS"])
def test_a_compiler_that_hangs_is_not_called_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    hangs = "exec sleep 600" if limit == "VERSION_SECONDS" else 'test "$1" = --version || exec sleep 600'
    calls, file = calls_of(tmp_path, monkeypatch, hangs), kernel(tmp_path)
    monkeypatch.setattr(host_compiler, limit, 0.5)
    for machine in (CPU, EMULATED):
        with pytest.raises(KernelError, match=r"within 0\.5 s; name a compiler that works in CXX"):
            kernel_library(file, {}, machine)
    with pytest.raises(KernelError, match=r"within 0\.5 s"):
        runtime_library(CPU)
    assert calls() == (1 if limit == "VERSION_SECONDS" else 2)


def test_an_error_of_the_system_is_reported(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, program = kernel(tmp_path), command(tmp_path, "my-c++")
    a_compiler(monkeypatch, str(program))
    file.path.unlink()
    with pytest.raises(KernelError, match=r"one_hop.cu cannot be compiled: .*No such file"):
        kernel_library(file, {}, CPU)
    program.write_bytes(b"\x7fELF, or not")
    forget()
    with pytest.raises(KernelError, match=r"one_hop.cu cannot be compiled: .*Exec format error"):
        kernel_library(kernel(tmp_path), {}, CPU)


# ---- What is kept ----


@needs_compiler
def test_what_a_library_is_made_of_decides_whether_it_is_made_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> int:
        return len(list(cache.glob("one_hop-*.so")))

    file = kernel(tmp_path)
    first = kernel_library(file, {}, CPU)
    assert (kernel_library(file, {}, CPU), made()) == (first, 1)
    assert kernel_library(file, {}, EMULATED) != first
    kernel_library(file, {"COLL_THREADS": 32}, CPU)
    assert made() == 3
    second = kernel_library(kernel(tmp_path, factor=3), {}, CPU)
    assert made() == 4, "the header is another"
    a_compiler(monkeypatch, " ".join([*(host_compiler.compiler() or ()), "-DX"]))
    kernel_library(file, {}, CPU)
    assert made() == 5, "the compiler's options are others"
    a_compiler(monkeypatch, "")
    assert (kernel_library(kernel(tmp_path), {}, CPU), made()) == (first, 5)
    assert second


@needs_compiler
@pytest.mark.parametrize("damage", ["cut short", "changed", "empty"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, cache: Path, damage: str) -> None:
    file = kernel(tmp_path)
    library = kernel_library(file, {}, CPU)
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes({"cut short": whole[:-9], "changed": whole[:99] + b"?" + whole[100:], "empty": b""}[damage])
    assert kernel_library(file, {}, CPU) == library
    assert entry.read_bytes() == whole


@needs_compiler
def test_a_runtime_is_made_again_where_a_header_of_it_changes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "machine"
    for name, text in {"cpu.cpp": '#include "fibers.h"\nint stack = STACK;\n', "fibers.h": "#define STACK 1\n"}.items():
        write(machine, name, text)
    monkeypatch.setattr(host_compiler, "own_folder", lambda: tmp_path)
    first = runtime_library(CPU)
    assert runtime_library(CPU) == first
    write(machine, "fibers.h", "#define STACK 2\n")
    assert runtime_library(CPU) != first
    assert len(list(cache.iterdir())) == 2


@needs_compiler
def test_a_kernel_is_made_again_where_a_header_that_ours_includes_changes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path / "ours"
    shutil.copytree(own_folder(), ours)
    monkeypatch.setattr(sources, "own_folder", lambda: ours)
    file = kernel(tmp_path / "theirs", '#include "collbench.cuh"\nKERNEL(a) { *(u64*)a.out = a.count; }\n')
    for text in ("", "// another\n", "// a third\n"):
        args = ours / "common" / "args.cuh"
        args.write_text(args.read_text() + text)
        kernel_library(file, OPTIONS, CPU)
        kernel_library(file, OPTIONS, CPU)
    assert len(list(cache.iterdir())) == 3


# ---- What is loaded ----


OPTIONS: dict[str, str | int] = {
    "COLL_DTYPE": "float32", "COLL_OP": "sum", "COLL_NODES": 1, "COLL_LOCAL": 2, "COLL_FLAGGED": 1,
    "COLL_THREADS": 32, "COLL_TILE": 128, "COLL_FLAGGED_HALF": 4096, "COLL_LAMPORT_HALF": 4096, "COLL_ARGS_BYTES": 88,
    "COLL_PHASES": "",
}  # fmt: skip
SHARING = "__shared__ u64 sums[5]; sums[threadIdx.x % 5] = a.count; __syncthreads(); *(u64*)a.out = sums[a.place];"


@needs_compiler
def test_a_kernel_is_loaded_with_the_memory_that_its_blocks_share(tmp_path: Path) -> None:
    assert load_runtime(runtime_library(CPU)) is load_runtime(runtime_library(CPU)), "once in a process"
    for body, least in ((SHARING, 40), ("*(u64*)a.out = a.count;", 0)):
        file = kernel(tmp_path, f'#include "collbench.cuh"\nKERNEL(a) {{ {body} }}\n')
        found = LoadedKernel(kernel_library(file, OPTIONS, CPU), "one_hop")
        begin, end = (address or 0 for address in found.shared)
        assert found.entry.value
        assert least <= end - begin <= 2 * least


@needs_compiler
def test_what_is_no_kernel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="cannot be loaded"):
        LoadedKernel(b"no library", "one_hop")
    library = kernel_library(kernel(tmp_path), {}, CPU)
    for symbol in ("one_hop", "another"):  # the first is there, but without the section of shared memory
        with pytest.raises((AttributeError, ValueError), match="undefined symbol"):
            LoadedKernel(library, symbol)


BOTH = """
from emulated import Draws, cast_for, kernel
from collbench.verify.playing import run_scene
from collbench.verify.scenes import draw_scene
from collbench.kernels.host_compiler import CPU, load_runtime, runtime_library
load_runtime(runtime_library(CPU))
verdict = run_scene(draw_scene(cast_for(kernel("oneshot"), Draws("oneshot", "1x2", "float32", (64,))), 1))
print(verdict.calls, repr(verdict.wrong))
"""


@needs_compiler
def test_runtimes_do_not_take_each_others_functions() -> None:
    done = subprocess.run([sys.executable, "-c", BOTH], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() in ([str(calls), "''"] for calls in (3, 6, 9, 12, 18))


def test_both_runtimes_are_where_they_are_looked_for() -> None:
    for name in host_compiler.RUNTIMES.values():
        assert (own_folder() / "machine" / name).is_file()
