"""Compiles the files of ``kernels/`` to cubins, through a cache.

NVRTC compiles and nvJitLink links; neither needs a GPU or a driver. They run in a separate process (``python -m
collbench.kernels.nvrtc OUTPUT``, with a ``Compilation`` as JSON on its standard input), since nvJitLink crashes on some
inputs that it should reject.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from collbench.kernels import cache
from collbench.kernels.attempts import Attempts, CompilerHangError
from collbench.kernels.header import KernelFile
from collbench.kernels.sources import KernelError, error_lines, explained, include_folders, key

MODULES = {"cuda.core": "cuda-core", "cuda.bindings": "cuda-bindings", "cuda.pathfinder": "cuda-pathfinder"}
LIBRARIES = {"nvrtc": "nvidia-cuda-nvrtc", "nvJitLink": "nvidia-nvjitlink"}
HEADERS = {  # a header that must exist, and the package that provides it
    "nvshmem": ("device/nvshmemx_defines.h", "nvidia-nvshmem-cu13"),
    "cudart": ("cuda_fp16.h", "nvidia-cuda-runtime"),
    "cccl": ("cuda/std/cstdint", "nvidia-cuda-cccl"),
}
OPTIONS = {
    "std": "c++17",
    "relocatable_device_code": True,
    "link_time_optimization": True,
    "device_as_default_execution_space": True,
}
COMPILE_SECONDS = 300.0


# ---- What is installed ----


@dataclass(frozen=True)
class Toolchain:
    """Include folders of the installed packages, NVSHMEM's device library, and the versions of all."""

    includes: tuple[str, ...]
    archive: str
    versions: tuple[str, ...]


def missing() -> str | None:
    """What keeps this machine from compiling kernels and the cure, or None; quick, imports no CUDA library."""
    lacking = [package for module, package in MODULES.items() if not _importable(module)]
    if not lacking:  # cuda.pathfinder can be imported
        lacking = [package for name, package in LIBRARIES.items() if _library_version(name) is None]
        lacking += [package for name, (_, package) in HEADERS.items() if _include_folder(name) is None]
    if not lacking and _device_library() is None:
        lacking = [HEADERS["nvshmem"][1]]
    if not lacking:
        return mismatch()
    return f"kernels cannot be compiled without {', '.join(lacking)}; pip install {' '.join(lacking)}"


def mismatch() -> str | None:
    """Why nvJitLink cannot link what NVRTC compiles, and the cure, or None: it reads no code of a newer NVRTC. Wheels
    alone have versions to compare."""
    versions = {}
    for name, package in LIBRARIES.items():
        with suppress(metadata.PackageNotFoundError):
            versions[name] = tuple(map(int, metadata.version(package).split(".")[:2]))
    if len(versions) < len(LIBRARIES) or versions["nvrtc"] <= versions["nvJitLink"]:
        return None
    nvrtc, linker = (".".join(map(str, each)) for each in versions.values())
    package = LIBRARIES["nvJitLink"]
    return f"nvJitLink {linker} cannot link code of NVRTC {nvrtc}; upgrade {package} to {nvrtc} or newer"


def toolchain() -> Toolchain:
    """The installed toolchain; raises KernelError with the missing packages, or those that do not fit together."""
    lacking = missing()
    if lacking:
        raise KernelError(lacking)
    libraries = [f"{name} {_library_version(name)}" for name in LIBRARIES]
    headers = {name: Path(str(_include_folder(name))) for name in HEADERS}
    sources = [f"{name} {_version(HEADERS[name][1], headers[name] / HEADERS[name][0])}" for name in HEADERS]
    core = f"cuda-core {metadata.version(MODULES['cuda.core'])}"
    return Toolchain(tuple(map(str, headers.values())), str(_device_library()), (core, *libraries, *sources))


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _version(package: str, path: Path) -> str:
    """The version of a wheel; without that wheel, path, size and modification time of the file that identifies it."""
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    state = path.stat()
    return f"{path} {state.st_size} {state.st_mtime_ns}"


def _library_version(name: str) -> str | None:
    from cuda import pathfinder

    with suppress(metadata.PackageNotFoundError):
        return metadata.version(LIBRARIES[name])
    with suppress(RuntimeError):  # pathfinder does not find it
        return _version(LIBRARIES[name], Path(pathfinder.load_nvidia_dynamic_lib(name).abs_path))
    return None


def _include_folder(name: str) -> Path | None:
    from cuda import pathfinder

    folder = None
    with suppress(RuntimeError):  # an older pathfinder does not know the name
        folder = pathfinder.find_nvidia_header_directory(name)
    return Path(folder) if folder and Path(folder, HEADERS[name][0]).is_file() else None


def _device_library() -> Path | None:
    include = _include_folder("nvshmem")
    folders = [include.parent / name for name in ("lib", "lib64")] if include else []
    return next((each / "libnvshmem_device.a" for each in folders if (each / "libnvshmem_device.a").is_file()), None)


# ---- Compiling ----


@dataclass(frozen=True)
class Compilation:
    """The input of a compiling process. ``name``: the file, for the compiler's messages."""

    name: str
    source: str
    arch: str
    defines: dict[str, str]
    includes: tuple[str, ...]
    archive: str


def build(file: KernelFile, defines: Mapping[str, str | int], arch: str) -> bytes:
    """The cubin of ``file`` for ``arch`` (such as sm_90) with ``defines``; COLL_NAME, its entry point, is the stem.

    Raises KernelError with the compiler's errors.
    """
    with explained(file.path):
        return _compiled(_job(file, defines, arch, toolchain()))


@functools.cache
def _attempts() -> Attempts:
    """What this process has tried in vain."""
    return Attempts()


def _job(file: KernelFile, defines: Mapping[str, str | int], arch: str, tools: Toolchain) -> Compilation:
    macros = {"COLL_NAME": file.symbol, **{name: str(value) for name, value in defines.items()}}
    folders = (*map(str, include_folders(file)), *tools.includes)
    return Compilation(str(file.path), file.path.read_text(encoding="utf-8"), arch, macros, folders, tools.archive)


def _compiled(job: Compilation) -> bytes:
    with tempfile.TemporaryDirectory(prefix="collbench-") as folder:
        output = Path(folder, "cubin")
        command = [sys.executable, "-P", "-m", __name__, str(output)]
        try:
            run = subprocess.run(
                command, input=json.dumps(asdict(job)), capture_output=True, check=False,
                encoding="utf-8", errors="replace", timeout=COMPILE_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            words = f"{job.name} did not compile within {COMPILE_SECONDS:g} s for {job.arch}"
            raise CompilerHangError(words) from error
        if run.returncode or not output.is_file():
            raise KernelError(f"{job.name} does not compile for {job.arch}{_why(run)}")
        return output.read_bytes()


def _why(run: subprocess.CompletedProcess[str]) -> str:
    crash = f": the compiler crashed ({signal.strsignal(-run.returncode)})" if run.returncode < 0 else ""
    lines = error_lines(run.stderr)
    return f"{crash}:\n" + "\n".join(lines) if lines else crash


def _compile_and_link(job: Compilation) -> bytes:
    from cuda.core import Linker, LinkerOptions, ObjectCode, Program, ProgramOptions

    options = ProgramOptions(
        name=job.name, arch=job.arch, include_path=list(job.includes), define_macro=list(job.defines.items()), **OPTIONS
    )
    code = Program(job.source, "c++", options).compile("ltoir")
    link = LinkerOptions(arch=job.arch, link_time_optimization=True)
    try:  # with the library, every cubin would hold NVSHMEM's state and need registration
        return bytes(Linker(code, options=link).link("cubin").code)
    except Exception:  # it calls NVSHMEM or has an error; linking with the library distinguishes the two
        return bytes(Linker(code, ObjectCode.from_library(job.archive), options=link).link("cubin").code)


def _work(output: Path) -> int:
    job: dict[str, Any] = json.load(sys.stdin)
    try:
        output.write_bytes(_compile_and_link(Compilation(**job)))
    except Exception as error:  # of any type: the parent process reports it
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


# ---- Through the cache ----


def load_or_build(file: KernelFile, defines: Mapping[str, str | int], arch: str) -> bytes:
    """``build`` through the cache; safe in any number of concurrent processes.

    The key of an entry covers the source, all headers that it includes from folders of kernels, the defines, the
    versions, and this file. A damaged entry is rebuilt. A cache that cannot be written is reported once on standard
    error.
    """
    with explained(file.path):
        tools = toolchain()
        job = _job(file, defines, arch, tools)
        how = (sorted(job.defines.items()), job.arch, tools.versions, Path(__file__).read_text(encoding="utf-8"))
        named = f"{file.symbol}-{arch}-{key(file.path, include_folders(file), *how)}.cubin"
        return cache.load_or_make(cache.folder() / named, lambda: _attempts()(named, lambda: _compiled(job)))


if __name__ == "__main__":
    sys.exit(_work(Path(sys.argv[1])))
