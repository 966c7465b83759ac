"""Our kernels that put compile and link without a GPU, and spill nothing; a file of their own, since they take long."""

from __future__ import annotations

import pytest
from kernel_files import compiles
from own_kernels import ONE_NODE, PUTS, Variant, compiled, everywhere, kernel, spilling
from samples import a_layout

from collbench.kernels.cubin import uses_nvshmem
from collbench.kernels.sources import include_folders, texts

pytestmark = compiles


@pytest.mark.parametrize("name", PUTS)
def test_a_kernel_compiles_and_nvshmem_registers_it(name: str) -> None:
    file = kernel(name).file
    assert any("COLL_USES_PUT 1" in text for text in texts(file.path, include_folders(file)).values())
    assert spilling(everywhere(name)) == {}
    assert all(uses_nvshmem(compiled(each)) for each in everywhere(name))


def test_no_launch_shape_spills_with_eight_ranks_on_a_node() -> None:
    file = kernel("nvrar-put").file
    assert "REGISTERS" not in file.path.read_text(), "or fewer threads, which have more of them, are other code"
    hardest = (("threads", max(file.threads)), ("COLL_CHUNK", file.defines["COLL_CHUNK"][0]))
    assert spilling([Variant("nvrar-put", "float32", "sm_90", ONE_NODE, shape=hardest)]) == {}


def test_other_layouts_operations_and_the_form_that_times_phases() -> None:
    marked = Variant("nvrar-put", "int64", "sm_90", marked=True)
    odd = Variant("nvrar-put-halving", "float16", "sm_90", a_layout(6, nodes=3), "min")
    assert spilling([marked, odd]) == {}
    assert compiled(marked) != compiled(Variant("nvrar-put", "int64", "sm_90"))
