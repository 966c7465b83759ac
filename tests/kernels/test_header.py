"""Kernels are found by their files, and what a header says wrongly is told in a sentence."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import source, write

from collbench.errors import UsageError
from collbench.kernels.files import Broken, find_kernels, own_folder
from collbench.kernels.formula import value
from collbench.kernels.header import KernelFile, read


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
        ({"ops": None}, "the field 'ops' is missing; it is a list out of sum, min, max."),
        ({"bloks": "[1]"}, "unknown field 'bloks'; did you mean 'blocks'?"),
        ({"name": '"x"'}, "unknown field 'name'"),
        ({"dtypes": '["flaot16"]'}, "unknown value in 'dtypes': 'flaot16'; did you mean 'float16'?"),
        ({"dtypes": "[]"}, "the field 'dtypes' must be a list out of float16, "),
        ({"dtypes": '"float32"'}, "the field 'dtypes' must be a list out of float16, "),
        ({"ops": '["avg"]'}, "unknown value in 'ops': 'avg'"),
        ({"ops": '["sum", "sum"]'}, "the field 'ops' must be a list out of sum, min, max, each once"),
        ({"collective": '"all_gather"'}, "unknown value of 'collective': 'all_gather'"),
        ({"order": '"nvarr"'}, "unknown value of 'order': 'nvarr'; did you mean 'nvrar'?"),
        ({"nodes": "1"}, "the field 'nodes' must be one of one, any, not 1."),
        ({"summary": "3"}, "the field 'summary' must be a line of text, not 3."),
        ({"blocks": "[true]"}, "the field 'blocks' must be a list of whole numbers from 1 to "),
        ({"threads": "[0]"}, "the field 'threads' must be a list of whole numbers from 1 to 1024, not [0]."),
        ({"threads": "[2048]"}, "the field 'threads' must be a list of whole numbers from 1 to 1024, not [2048]."),
        ({"max_ranks": "0"}, "the field 'max_ranks' must be a whole number above 0, not 0."),
        ({"max_bytes": "-1"}, "the field 'max_bytes' must be a whole number above 0, not -1."),
        ({"max_bytes": '"4M"'}, "the field 'max_bytes' must be a whole number above 0, not '4M'."),
        ({"defines": "[1]"}, "the field 'defines' must be a table of lists of whole numbers, not [1]."),
        ({"defines": "{A = 1}"}, "the field 'A' must be a list of whole numbers, not 1."),
        ({"defines": '{"A-B" = [1]}'}, "the parameter 'A-B' in 'defines' needs another name"),
        ({"defines": "{COLL_BLOCKS = [1]}"}, "the parameter 'COLL_BLOCKS' in 'defines' needs another name"),
        ({"wire": '"S*Q"'}, "the field 'wire': unknown name in a formula: 'Q'; known: G, N, P, S."),
        ({"wire": '"S/(N-1)"'}, "the field 'wire': 'S/(N-1)' has no value for P=8, G=8, N=1, S=4096: "),
        ({"scratch": '"P-S"'}, "the field 'scratch': 'P-S' is -4088 bytes for P=8, G=8, N=1, S=4096."),
        ({"scratch": '"S*1e400"'}, "the field 'scratch': 'S*1e400' is inf bytes"),
        ({"cell": "ll"}, "Invalid value (at line 10, column 8)"),
    ],
)
def test_a_wrong_header_is_told(tmp_path: Path, changes: dict[str, str | None], said: str) -> None:
    assert complaint(tmp_path, **changes).startswith(said)


@pytest.mark.parametrize("text", ["", "__global__ void f();", f"// a licence\n{source()}", "/* collbench\nsummary = 1"])
def test_a_kernel_file_begins_with_its_header(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="a kernel file begins with its header block"):
        read(write(tmp_path, "hop.cu", text))


def test_a_file_name_is_an_entry_point(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="letters, digits and underscores"):
        read(write(tmp_path, "one-hop.cu", source()))


def test_a_directory_in_the_variable_adds_its_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "hop.cu", source())
    for hidden in ("_draft.cu", ".hop.cu", "common.cuh", "README.md"):
        write(tmp_path, hidden, "no kernel")
    before = set(find_kernels())
    monkeypatch.setenv("COLLBENCH_KERNELS", os.pathsep.join([str(tmp_path), str(tmp_path), str(own_folder()), ""]))
    found = find_kernels()
    assert set(found) - before == {"hop"}
    assert isinstance(found["hop"], KernelFile)
    assert list(found) == sorted(found)


def test_a_broken_file_keeps_nobody_from_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "hop.cu", source())
    path = write(tmp_path, "bad_one.cu", source(ops=None))
    (tmp_path / "binary.cu").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.cu").mkdir()
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path))
    found = find_kernels()
    assert isinstance(found["hop"], KernelFile)
    assert isinstance(found["bad-one"], Broken)
    assert found["bad-one"] == Broken("bad-one", path, found["bad-one"].reason)
    assert found["bad-one"].reason.startswith(f"{path}: the field 'ops' is missing")
    assert isinstance(found["binary"], Broken)
    assert isinstance(found["folder"], Broken)


def test_two_files_with_one_name_are_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (write(tmp_path / folder, "hop.cu", source()) for folder in ("a", "b"))
    monkeypatch.setenv("COLLBENCH_KERNELS", os.pathsep.join(str(path.parent) for path in (one, two)))
    found = find_kernels()["hop"]
    assert isinstance(found, Broken)
    assert found.reason == f"{one} and {two} are both the kernel 'hop'; rename one of them."


def test_a_missing_directory_in_the_variable_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"COLLBENCH_KERNELS names .*nowhere, which is no directory"):
        find_kernels()


def test_in_a_wheel_our_kernels_are_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_folder() == Path(__file__).parents[2] / "kernels"
    (tmp_path / "kernels").mkdir()  # another package of that name
    packed = tmp_path / "collbench" / "share" / "kernels"
    packed.mkdir(parents=True)
    monkeypatch.setattr("collbench.host.shipped.PACKAGE", tmp_path / "collbench")
    assert own_folder() == packed


@pytest.mark.parametrize("path", sorted(own_folder().glob("*.cu")), ids=lambda path: path.name)
def test_our_kernels_declare_themselves(path: Path) -> None:
    assert read(path).name == path.stem.replace("_", "-")


NAMES = {"P": 24, "G": 4, "N": 6, "S": 4096}


@pytest.mark.parametrize(
    ("formula", "result"),
    [
        ("S", 4096),
        ("(P-1)*S", 23 * 4096),
        ("(2*(G-1)+ceil(log2(N)))*S/G", 9 * 1024),
        ("2**3**2 + -1", 511),
        ("max(S, 1e4) + min(G, N, 2)", 10002),
        (" 0.5 * S ", 2048),
    ],
)
def test_formulas_have_their_value(formula: str, result: float) -> None:
    assert value(formula, **NAMES) == result


@pytest.mark.parametrize(
    "formula",
    [
        "", "S S", "S.real", "S[0]", "S if P else G", "S < P", "S // 2", "S % 2", "P and S", "True", "'S'", "1j", "...",
        "lambda: 1", "[S]", "__import__('os')", "open(S)", "log2", "log2()", "log2(1, 2)", "max(S)", "max(*(1, 2))",
        "log2(x=1)", "(log2)(2)(3)", "S := 1", "9**9**9", "1/0", "log2(0)", "(-1)**0.5", "Q", "s", "\0", "(" * 150,
        "-" * 201 + "1", "1" * 201, "await S", "f'{S}'",
    ],
)  # fmt: skip
def test_nothing_else_is_a_formula(formula: str) -> None:
    with pytest.raises(UsageError):
        value(formula, **NAMES)


@given(st.text(alphabet="PGNS0123456789.+-*/() ,maxinlog2ce_", max_size=40))
def test_a_formula_has_a_value_or_is_told(formula: str) -> None:
    with suppress(UsageError):
        assert isinstance(value(formula, **NAMES), float)
