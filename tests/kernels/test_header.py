"""Headers of kernel files are read, and each error in one is reported in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import source, write

from collbench.errors import UsageError
from collbench.kernels.files import own_folder
from collbench.kernels.header import read


def complaint(tmp_path: Path, **changes: str | None) -> str:
    """What is said of a header with ``changes``, after the name of its file."""
    path = write(tmp_path, "hop.cu", source(**changes))
    with pytest.raises(UsageError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_a_header_is_read(tmp_path: Path) -> None:
    text = source(max_ranks="8", max_bytes="1048576", defines="{COLL_BATCH = [2, 1, 0]}")
    kernel = read(write(tmp_path, "one_hop.cu", text))
    assert (kernel.name, kernel.symbol) == ("one-hop", "one_hop")
    assert kernel.dtypes == ("float32", "bfloat16")
    assert (kernel.order, kernel.nodes, kernel.cell) == ("flat", "one", "ll")
    assert (kernel.blocks, kernel.threads) == ((8, 16), (256,))
    assert (kernel.max_ranks, kernel.max_bytes) == (8, 1 << 20)
    assert kernel.defines == {"COLL_BATCH": (2, 1, 0)}


def test_what_is_optional_may_be_absent(tmp_path: Path) -> None:
    kernel = read(write(tmp_path, "hop.cu", source(order=None)))
    assert (kernel.order, kernel.max_ranks, kernel.max_bytes, kernel.defines) == (None, None, None, {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ops": None}, "the field 'ops' is missing; it is a list of values from sum, min, max."),
        ({"bloks": "[1]"}, "unknown field 'bloks'; did you mean 'blocks'?"),
        ({"name": '"x"'}, "unknown field 'name'"),
        ({"dtypes": '["flaot16"]'}, "unknown value in 'dtypes': 'flaot16'; did you mean 'float16'?"),
        ({"dtypes": "[]"}, "the field 'dtypes' must be a list of values from float16, "),
        ({"dtypes": '"float32"'}, "the field 'dtypes' must be a list of values from float16, "),
        ({"ops": '["avg"]'}, "unknown value in 'ops': 'avg'"),
        ({"ops": '["sum", "sum"]'}, "the field 'ops' must be a list of values from sum, min, max, without duplicates"),
        ({"collective": '"broadcast"'}, "unknown value of 'collective': 'broadcast'"),
        ({"order": '"nvarr"'}, "unknown value of 'order': 'nvarr'; did you mean 'nvrar'?"),
        ({"collective": '"all_gather"'}, "the field 'ops' is that of reductions, and all_gather has none; omit it."),
        (
            {"collective": '"all_gather"', "ops": None},
            "the field 'order' is that of additions, and all_gather has none; omit it.",
        ),
        (
            {"collective": '"all_reduce_rms_norm"', "cell": '"lamport"', "order": '"nodes"'},
            "the field 'order' must be flat or nvrar for all_reduce_rms_norm, not 'nodes'.",
        ),
        (
            {"collective": '"all_reduce_rms_norm"'},
            "the field 'cell' must be lamport for all_reduce_rms_norm",
        ),
        ({"nodes": "1"}, "the field 'nodes' must be one of one, any, not 1."),
        ({"summary": "3"}, "the field 'summary' must be a line of text, not 3."),
        ({"blocks": "[true]"}, "the field 'blocks' must be a list of integers from 1 to "),
        ({"threads": "[0]"}, "the field 'threads' must be a list of integers from 1 to 1024, not [0]."),
        ({"threads": "[2048]"}, "the field 'threads' must be a list of integers from 1 to 1024, not [2048]."),
        ({"max_ranks": "0"}, "the field 'max_ranks' must be a positive integer, not 0."),
        ({"max_bytes": "-1"}, "the field 'max_bytes' must be a positive integer, not -1."),
        ({"max_bytes": '"4M"'}, "the field 'max_bytes' must be a positive integer, not '4M'."),
        ({"defines": "[1]"}, "the field 'defines' must be a table of lists of integers, not [1]."),
        ({"defines": "{A = 1}"}, "the field 'A' must be a list of integers, not 1."),
        ({"defines": '{"A-B" = [1]}'}, "the parameter 'A-B' in 'defines' is reserved or not a C identifier"),
        ({"defines": "{COLL_BLOCKS = [1]}"}, "the parameter 'COLL_BLOCKS' in 'defines' is reserved"),
        ({"defines": "{COLL_HIDDEN = [8]}"}, "the parameter 'COLL_HIDDEN' in 'defines' is reserved"),
        ({"wire": '"S*Q"'}, "the field 'wire': unknown name in a formula: 'Q'; known: G, N, P, S."),
        ({"wire": '"S/(N-1)"'}, "the field 'wire': 'S/(N-1)' has no value for P=8, G=8, N=1, S=4096: "),
        ({"scratch": '"P-S"'}, "the field 'scratch': 'P-S' is -4088 bytes for P=8, G=8, N=1, S=4096."),
        ({"scratch": '"S*1e400"'}, "the field 'scratch': 'S*1e400' is inf bytes"),
        ({"phases": '["send", "double"]'}, "the phase 'double' in 'phases' is a C++ keyword; rename it."),
        ({"phases": '["const-cast"]'}, "the phase 'const-cast' in 'phases' is a C++ keyword"),
        ({"cell": "ll"}, "Invalid value (at line 10, column 8)"),
    ],
)
def test_an_error_in_a_header_is_reported(tmp_path: Path, changes: dict[str, str | None], said: str) -> None:
    assert complaint(tmp_path, **changes).startswith(said)


@pytest.mark.parametrize("text", ["", "__global__ void f();", f"// a licence\n{source()}", "/* collbench\nsummary = 1"])
def test_a_kernel_file_begins_with_its_header(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="a kernel file must begin with its header block"):
        read(write(tmp_path, "hop.cu", text))


def test_a_file_name_is_an_entry_point(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="letters, digits and underscores"):
        read(write(tmp_path, "one-hop.cu", source()))


@pytest.mark.parametrize("path", sorted(own_folder().glob("*.cu")), ids=lambda path: path.name)
def test_our_kernels_declare_themselves(path: Path) -> None:
    assert read(path).name == path.stem.replace("_", "-")
