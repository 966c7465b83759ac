"""What kernels of a revision must declare like the present headers, and what may differ."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from collbench.errors import UsageError
from collbench.kernels import contract
from collbench.kernels.files import own_folder
from collbench.kernels.header import KernelFile, read
from collbench.kernels.sources import KernelError, texts


def changed(folder: Path, file: str, old: str, new: str, kernel: str = "oneshot") -> KernelFile:
    """A kernel of a revision in which a header was otherwise."""
    shutil.copytree(own_folder(), folder, dirs_exist_ok=True)
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return replace(read(folder / f"{kernel}.cu"), name=f"{kernel}@1234567", headers=folder)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("common/args.cuh", "// elements, at least 1", "/* a number\nof elements */"),
        ("common/args.cuh", "  u64 count; ", "\tu64\n   count  ;"),
        ("common/cells.cuh", "add(s, theirs);", "add(s, theirs); add(s, theirs);"),
        ("common/epoch.cuh", "value % 2 * PLACES;", "value % 2 * PLACES + 0;"),
        ("oneshot.cu", "KERNEL(a) {", "KERNEL(a) {\n  constexpr int HALF = 3;"),
    ],
)
def test_comments_white_space_and_what_kernels_do_may_differ(tmp_path: Path, file: str, old: str, new: str) -> None:
    found = changed(tmp_path, file, old, new)
    contract.check(found)
    for machine in contract.RUNTIME:
        contract.check_runtime(found, machine)


def test_declarations_may_stand_in_another_header(tmp_path: Path) -> None:
    found = changed(tmp_path, "collbench.cuh", '#include "common/args.cuh"', '#include "everything.cuh"')
    (tmp_path / "common" / "args.cuh").rename(tmp_path / "everything.cuh")
    contract.check(found)


@pytest.mark.parametrize(
    ("file", "old", "new", "name"),
    [
        ("common/args.cuh", "u64 patience;", "u32 patience;", "struct Args"),
        ("common/args.cuh", "  State* state;\n  Stuck* stuck;", "  Stuck* stuck;\n  State* state;", "struct Args"),
        ("common/args.cuh", "u32 set, place,", "u32 place, set,", "struct Stuck"),
        ("common/args.cuh", "u64 era;", "u64 ear;", "struct State"),
        ("common/args.cuh", "GATES_BYTES = 4096", "GATES_BYTES = 8192", "GATES_BYTES"),
        ("common/args.cuh", "FLAGGED_AT + 2 * COLL", "FLAGGED_AT + 4 * COLL", "LAMPORT_AT"),
        ("common/args.cuh", "FLAGGED ? COLL_FLAGGED_HALF", "FLAGGED ? COLL_LAMPORT_HALF", "HALF"),
        ("common/epoch.cuh", "TICKS = 4096;", "TICKS = 1024;", "TICKS"),
        ("common/cells.cuh", "EMPTY = 0xffffffffu", "EMPTY = 0xfffffffeu", "EMPTY"),
        ("common/cells.cuh", "PAYLOAD = 4 * WORDS", "PAYLOAD = 2 * WORDS", "PAYLOAD"),
        ("common/waiting.cuh", "FOLDING_IN, FOLDING_OUT", "FOLDING_OUT, FOLDING_IN", "enum Phase"),
        ("common/marks.cuh", "blockIdx.x * COLL_MARKS", "blockIdx.x * 32", "the place of a mark"),
        ("collbench.cuh", '#include "common/args.cuh"', "", "struct Args"),
    ],
)
def test_what_the_host_passes_must_be_declared_alike(tmp_path: Path, file: str, old: str, new: str, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        contract.check(changed(tmp_path, file, old, new))
    words = f"oneshot@1234567 cannot run here: its revision declares {name} otherwise than this collbench; run it with"
    assert str(caught.value).startswith(words)


def test_what_only_kernels_of_rows_get_must_be_alike_for_them_alone(tmp_path: Path) -> None:
    exchanged = ("const char* weight;", "u64 nothing;\n  const char* weight;")
    contract.check(changed(tmp_path / "plain", "common/args.cuh", *exchanged))
    rows = changed(tmp_path / "rows", "common/args.cuh", *exchanged, kernel="oneshot_norm")
    with pytest.raises(UsageError, match="its revision declares struct Given otherwise than this collbench"):
        contract.check(rows)


@pytest.mark.parametrize(
    ("file", "old", "new", "machines"),
    [
        ("machine/host.h", "Index thread, block,", "Index block, thread,", {"cpu", "emulated"}),
        ("machine/cpu.h", "void coll_cpu_yield(const void* cell);", "void coll_cpu_yield();", {"cpu"}),
        ("machine/emulated.h", "u32 bytes, u32 piece);\nvoid coll_emu_fence", "u32 bytes);\nvoid coll_emu_fence",
         {"emulated"}),
    ],
)  # fmt: skip
def test_a_runtime_must_be_declared_as_it_is_where_it_runs(
    tmp_path: Path, file: str, old: str, new: str, machines: set[str]
) -> None:
    found = changed(tmp_path, file, old, new)
    contract.check(found)  # on GPUs it may run
    for machine in machines:
        with pytest.raises(KernelError, match=r"^oneshot@1234567 cannot run (on CPU ranks|in the emulator): "):
            contract.check_runtime(found, machine)
    for machine in contract.RUNTIME.keys() - machines:
        contract.check_runtime(found, machine)


@pytest.mark.parametrize("machine", contract.RUNTIME)
def test_a_runtime_may_have_more_functions_than_a_revision_declares(tmp_path: Path, machine: str) -> None:
    contract.check_runtime(changed(tmp_path, "machine/host.h", "void HOST(sync_warp)(u32 lanes);", ""), machine)


def test_every_term_is_declared_by_the_present_headers() -> None:
    ours = [contract.normalised(text) for text in texts(own_folder() / contract.ENTRY, ()).values()]
    for term in (*contract.TERMS, *contract.RUNTIME_TERMS):
        assert contract.declared(term, ours), term.name
