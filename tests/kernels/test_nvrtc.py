"""Kernels compile and link without a GPU, errors show the compiler's lines, the cache is right or rebuilt."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from kernel_files import HEADER, PLAIN, compilable, compiles
from running import GUARD_SECONDS

from collbench.kernels import cache as kernel_cache
from collbench.kernels import nvrtc
from collbench.kernels.cubin import resources, uses_nvshmem
from collbench.kernels.nvrtc import build, load_or_build, missing
from collbench.kernels.sources import KernelError

UPGRADE = "upgrade nvidia-nvjitlink to 13.5 or newer"
NVSHMEM = """#include <cuda/std/cstdint>
#include <cuda_fp16.h>
#include "non_abi/nvshmem_build_options.h"
#include "device/nvshmem_defines.h"
#include "device/nvshmemx_defines.h"
extern "C" __global__ void COLL_NAME(float* a, float* b, int n, int peer) {
  float* there = (float*)nvshmem_ptr(a, peer);
  if (there) there[threadIdx.x] = b[threadIdx.x];
  else nvshmemx_putmem_nbi_block(a, b, n, peer);
}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("COLLBENCH_CACHE", str(folder))
    return folder


@compiles
def test_a_kernel_that_calls_nvshmem_compiles_and_links(tmp_path: Path) -> None:
    cubin = build(compilable(tmp_path, NVSHMEM), {}, "sm_90")  # for others: test_own_kernels.py
    assert uses_nvshmem(cubin)
    assert resources(cubin).entry == "one_hop"
    assert 16 <= resources(cubin).registers <= 64


WORDS = """
#include "machine/gpu.cuh"
extern "C" __global__ void COLL_NAME(u64* a, u32* b, Cell* c) {
  store_release_system(a, load_acquire_system(a + 1));
  store_release_system(b, load_acquire_system(b + 1));
  store_plain(c, load_plain(c + 1));
  store_word(a + 2, load_word(a + 3));
  __threadfence_block();
  add_word(a + 4, nanoseconds());
}
"""


@compiles
def test_the_machine_layer_s_words_compile(tmp_path: Path) -> None:
    assert resources(build(compilable(tmp_path, WORDS), {"COLL_THREADS": 32}, "sm_80")).local_bytes == 0


@compiles
def test_an_error_of_the_compiler_is_shown(tmp_path: Path) -> None:
    file = compilable(
        tmp_path, 'extern "C" __global__ void COLL_NAME(float* a) {\n  int unused;\n  a[0] = nobody;\n}\n'
    )
    with pytest.raises(KernelError) as caught:
        build(file, {}, "sm_90")
    first, second, third, *_ = str(caught.value).splitlines()
    assert first == f"{file.path} does not compile for sm_90:"
    assert second == f'{file.path}({HEADER.count(chr(10)) + 3}): error: identifier "nobody" is undefined'
    assert third.strip() == "a[0] = nobody;"
    assert "unused" not in str(caught.value)


@compiles
def test_an_error_of_the_linker_is_shown(tmp_path: Path) -> None:
    body = 'extern "C" __device__ void nowhere();\nextern "C" __global__ void COLL_NAME() { nowhere(); }\n'
    with pytest.raises(KernelError, match="Undefined reference to 'nowhere'"):
        build(compilable(tmp_path, body), {}, "sm_90")


@compiles
def test_an_unknown_architecture_is_reported(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"(?s)one_hop.cu does not compile for sm_12:.*gpu-arch"):
        build(compilable(tmp_path, PLAIN), {}, "sm_12")


@compiles
def test_a_crash_of_the_compiler_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\necho last words >&2\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crashing))
    with pytest.raises(KernelError, match=r"(?s)one_hop.cu .*the compiler crashed \(Segmentation fault\):\nlast words"):
        build(compilable(tmp_path, PLAIN), {}, "sm_90")


@compiles
def test_a_compiler_that_hangs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr(nvrtc, "COMPILE_SECONDS", 0.2)
    with pytest.raises(KernelError, match=r"did not compile within 0\.2 s"):
        build(compilable(tmp_path, PLAIN), {}, "sm_90")


@compiles
def test_what_does_not_compile_is_tried_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "python"
    failing.write_text(f'#!/bin/sh\necho >>"{tmp_path}/calls"\necho "error: no" >&2\nexit 1\n')
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    file = compilable(tmp_path, PLAIN + f"// {tmp_path}\n")
    for arch in ("sm_90", "sm_90", "sm_100", "sm_90"):
        with pytest.raises(KernelError, match=f"does not compile for {arch}:\nerror: no"):
            load_or_build(file, {}, arch)
    assert len((tmp_path / "calls").read_text()) == 2


@pytest.mark.parametrize(
    ("compiler", "linker", "words"),
    [
        ("13.5.37", "13.5.0", None),
        ("13.0.88", "13.5.37", None),
        ("13.10.1", "13.9.9", "nvJitLink 13.9 cannot link code of NVRTC 13.10; "),
        (
            "13.5.37",
            "13.0.88",
            f"nvJitLink 13.0 cannot link code of NVRTC 13.5; {UPGRADE}",
        ),
        (None, "13.0.88", None),
        ("13.5.37", None, None),
    ],
)
def test_a_linker_older_than_the_compiler_is_named(
    monkeypatch: pytest.MonkeyPatch, compiler: str | None, linker: str | None, words: str | None
) -> None:
    installed = {"nvidia-cuda-nvrtc": compiler, "nvidia-nvjitlink": linker}

    def version(name: str) -> str:
        if found := installed.get(name):
            return found
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    found = nvrtc.mismatch()
    assert found is None if words is None else (found or "").startswith(words)


@compiles
def test_libraries_that_do_not_fit_are_named_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvrtc, "mismatch", lambda: "upgrade it")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert missing() == "upgrade it"
    with pytest.raises(KernelError, match=r"^upgrade it$"):
        build(compilable(tmp_path, PLAIN), {}, "sm_90")


@compiles
def test_a_hit_does_not_compile(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = compilable(tmp_path, PLAIN)
    first = load_or_build(file, {"FACTOR": 3}, "sm_90")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert load_or_build(file, {"FACTOR": 3}, "sm_90") == first
    (tmp_path / "other.cuh").write_text("// not included by it")
    assert load_or_build(file, {"FACTOR": 3}, "sm_90") == first
    with pytest.raises(KernelError, match="nothing"):  # another define, another header: another entry
        load_or_build(file, {"FACTOR": 4}, "sm_90")
    (tmp_path / "common.cuh").write_text("// changed\n")
    with pytest.raises(KernelError, match="nothing"):
        load_or_build(file, {"FACTOR": 3}, "sm_90")
    assert len(list(cache.iterdir())) == 1


@compiles
@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_entry_is_built_again(tmp_path: Path, cache: Path, damage: str) -> None:
    file = compilable(tmp_path, PLAIN)
    cubin = load_or_build(file, {}, "sm_90")
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes({"cut": whole[:-1], "changed": whole[:-1] + bytes([whole[-1] ^ 1]), "empty": b""}[damage])
    assert load_or_build(file, {}, "sm_90") == cubin
    assert entry.read_bytes() == whole


@compiles
def test_two_processes_may_build_at_once(tmp_path: Path, cache: Path) -> None:
    file = compilable(tmp_path, PLAIN)
    program = f"""
from importlib import metadata
from pathlib import Path
from collbench.kernels.header import read
from collbench.kernels.nvrtc import load_or_build
print(len(load_or_build(read(Path({str(file.path)!r})), {{}}, "sm_90")))
"""
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sizes = {each.communicate(timeout=GUARD_SECONDS)[0] for each in both}
    assert [each.returncode for each in both] == [0, 0]
    assert len(sizes) == 1
    (entry,) = cache.iterdir()
    assert kernel_cache.load(entry) is not None


@compiles
def test_a_missing_file_is_reported(tmp_path: Path, cache: Path) -> None:
    file = compilable(tmp_path, PLAIN)
    file.path.unlink()
    with pytest.raises(KernelError, match=r"one_hop.cu cannot be compiled: .*No such file"):
        load_or_build(file, {}, "sm_90")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "MODULES", {"nowhere.to.be.found": "cuda-core", "json": "json"})
    assert missing() == "kernels cannot be compiled without cuda-core; pip install cuda-core"


@compiles
def test_headers_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(nvrtc.HEADERS, "cccl", ("nowhere.h", "nvidia-cuda-cccl"))
    with pytest.raises(KernelError, match="without nvidia-cuda-cccl; pip install nvidia-cuda-cccl"):
        build(compilable(tmp_path, PLAIN), {}, "sm_90")
