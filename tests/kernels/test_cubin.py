"""The resources that are read from a cubin."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import PLAIN, compilable, compiles

from collbench.kernels.cubin import CubinError, Resources, resources, uses_nvshmem
from collbench.kernels.nvrtc import build

FRAME = """extern "C" __global__ void COLL_NAME(float* a, int n) {
  float t[64];
  for (int i = 0; i < 64; i++) t[i] = a[i * n];
  for (int i = 0; i < 64; i++) t[(t[i] > 0 ? i + n : n) & 63] += t[i];
  a[0] = t[n & 63];
}
"""


@compiles
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_a_cubin_says_what_it_needs(tmp_path: Path, arch: str) -> None:
    plain = build(compilable(tmp_path, PLAIN), {}, arch)
    assert resources(plain) == Resources("one_hop", resources(plain).registers, local_bytes=0, shared_bytes=32)
    assert not uses_nvshmem(plain)


@compiles
def test_local_memory_is_counted(tmp_path: Path) -> None:
    needs = resources(build(compilable(tmp_path, FRAME), {}, "sm_90"))
    assert needs.local_bytes == 64 * 4
    assert needs.shared_bytes == 0


@compiles
def test_a_file_has_one_entry_point(tmp_path: Path) -> None:
    two = 'extern "C" __global__ void f(int* a) { *a = 1; }\nextern "C" __global__ void g(int* a) { *a = 1; }\n'
    with pytest.raises(CubinError, match=r"one entry point .* this one has [fg], [fg]"):
        resources(build(compilable(tmp_path, two), {}, "sm_90"))
    with pytest.raises(CubinError, match="this one has none"):
        resources(build(compilable(tmp_path, "void f(int* a) { *a = 1; }\n"), {}, "sm_90"))


@pytest.mark.parametrize("content", [b"", b"no cubin", b"\x7fELF\x02", b"\x7fELF\x02" + bytes(59), b"\x7fELF\x02" * 99])
def test_what_is_not_a_cubin_is_an_error(content: bytes) -> None:
    for look in (resources, uses_nvshmem):
        with pytest.raises(CubinError, match="not a readable cubin"):
            look(content)
