"""Kernels on real CPU ranks, under both MPI libraries: timed and proven beside the others, and what may be missing."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from emulated import kernel, needs_compiler
from kernel_files import OF_ALL_REDUCE, source, write
from running import BROKEN, Mpi, Ran, statuses
from samples import a_problem

from collbench.backends._kernels import NEAR_WRAP
from collbench.kernels import host_compiler
from collbench.kernels.abi import ON_CPU
from collbench.results.records import Record

pytestmark = needs_compiler

OURS = OF_ALL_REDUCE
KERNELS = ("--backend", ",".join(OURS))
QUICK = ("--samples", "2", "--max-seconds", "0.02", "--warmup", "1", "-o", "r.csv")


def without_gpu(mpi: Mpi, *arguments: str, **variables: str) -> Ran:
    """Run collbench on ranks that it starts itself."""
    return mpi.run(*arguments, ranks=None, CUDA_VISIBLE_DEVICES="", **variables)


def sweep(mpi: Mpi, *arguments: str, **variables: str) -> Ran:
    """The same: a quick sweep."""
    return without_gpu(mpi, "sweep", *arguments, *QUICK, **variables)


def shape_of(row: Record) -> tuple[int, int]:
    """Blocks and threads of a block."""
    return int(row.param["blocks"]), int(row.param["threads"])


def phases_of(row: Record) -> set[str]:
    """The phases that were timed."""
    return {name for name in row.param if name.endswith("_us")}


def test_every_kernel_is_timed_and_proven_beside_mpi(mpi: Mpi) -> None:
    layouts = {(1, 4): "shm", (2, 2): "shm-virtual", (3, 1): "shm-virtual"}
    if mpi.name == "mpich":  # its ranks take processors from each other while they wait: the most of all tests here
        del layouts[1, 4]
    else:  # the kernels for several nodes are those that ran under MPICH
        del layouts[2, 2], layouts[3, 1]
    ran = sweep(mpi, "--layout", ",".join(f"{nodes}x{each}" for nodes, each in layouts), "--sizes", "1000")
    assert ran.code == 0, ran.err
    rows = mpi.rows()
    assert {((row.nodes, row.gpus_per_node), row.fabric) for row in rows} == set(layouts.items())
    for layout in layouts:
        there = {row.backend: row for row in rows if (row.nodes, row.gpus_per_node) == layout}
        assert set(there) == {"mpi", "mpi-nvrar", "mpi-ring", *OURS}
        assert all(row.status == "ok" and row.wrong == 0 and row.error_units is not None for row in there.values())
        assert all(row.latency_us_median and row.wire_bytes for row in (there[name] for name in OURS))
        assert {shape_of(there[name])[0] for name in OURS} == {1}
    assert "lowest median (1 launch: no verdict)" in ran.out


def test_every_type_in_place(mpich: Mpi) -> None:
    types = ("bfloat16", "float64")  # cells of integers escape like those of float64: verify/test_escapes.py
    ran = sweep(mpich, *KERNELS, "--ranks", "2", "--dtype", ",".join(types), "--sizes", "1000", "--in-place")
    assert ran.code == 0, ran.err
    assert statuses(mpich.rows()) == {"ok"}
    assert {(row.backend, row.dtype) for row in mpich.rows()} == {(name, dtype) for name in OURS for dtype in types}


def test_worlds_side_by_side_in_a_launch_and_messages_of_several_launches(mpich: Mpi) -> None:
    ran = sweep(mpich, "--backend", "oneshot", "--ranks", "2,3", "--sizes", "4K,1100K", "--phases")
    assert ran.code == 0, ran.err
    rows = {(row.ranks, row.bytes): row for row in mpich.rows()}
    assert set(rows) == {(ranks, size) for ranks in (2, 3) for size in (4096, 1100 << 10)}
    assert statuses(mpich.rows()) == {"ok"}
    for (ranks, size), row in rows.items():
        alone = kernel("oneshot").elements_at_once(a_problem(ranks=ranks), ON_CPU) * 4 >= size
        assert alone == (size == 4096)
        assert phases_of(row) == ({"send_us", "receive_us"} if alone else set()), "several launches have no phases"


def test_blocks_and_threads_that_are_asked_for_and_phases_between_nodes(mpich: Mpi) -> None:
    arguments = ("--layout", "2x1", "--sizes", "4K", "--phases")
    refused = sweep(mpich, "--backend", "nvrar:blocks=3", *arguments)
    assert (refused.code, refused.err.count("\n")) == (2, 1), "it picks"
    specs = ("oneshot:blocks=3:threads=40", "nvrar-ll:blocks=2:threads=33", "nvrar")
    ran = sweep(mpich, "--backend", ",".join(specs), *arguments)
    assert ran.code == 0, ran.err
    rows = {row.backend: row for row in mpich.rows()}
    assert statuses(mpich.rows()) == {"ok"}
    assert [shape_of(rows[name]) for name in specs[:2]] == [(3, 40), (2, 33)]
    for name in specs[1:]:
        assert phases_of(rows[name]) == {"reduce_scatter_us", "doubling0_us", "all_gather_us"}


def test_stories_hold_also_where_the_epoch_wraps(mpich: Mpi) -> None:
    stories = ("back-to-back", "mixed-sizes", "special-values")
    ran = without_gpu(
        mpich, "verify", "--json", *KERNELS, "--layout", "2x1", "--sizes", "4,1000", "--story", ",".join(stories)
    )
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert {one["status"] for one in found} == {"ok"}
    ways = {"": stories, NEAR_WRAP: stories[:2]}  # special values run only in the usual way
    assert sorted((one["backend"], one["way"], one["story"]) for one in found) == sorted(
        (name, way, story) for name in OURS for way in ways for story in ways[way]
    )
    assert all(one["calls"] >= 15 for one in found)


# ---- What is kept and given back ----


def counting(folder: Path, *flags: str) -> tuple[str, Path]:
    """A compiler that notes its calls, and its notes."""
    script, notes = folder / "noting-c++", folder / "notes"
    real = " ".join(host_compiler.compiler() or ())
    script.write_text(f'#!/bin/sh\necho "$@" >> {notes}\nexec {real} {" ".join(flags)} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script), notes


def compiled(notes: Path) -> list[str]:
    """The files that were compiled, in turn."""
    lines = notes.read_text().splitlines()
    notes.unlink()
    return [Path(line.split()[-1]).name for line in lines if line != "--version"]


def test_a_second_run_compiles_nothing_and_fibers_change_without_assembly_too(mpich: Mpi) -> None:
    libraries = mpich.folder / "libraries"
    compiler, notes = counting(mpich.folder, "-DCOLL_PORTABLE")
    for ever in (["cpu.cpp", "oneshot.cu"], []):
        ran = sweep(
            mpich, "--backend", "oneshot:blocks=2:threads=40", "--ranks", "2", "--sizes", "4K", "--force",
            CXX=compiler, COLLBENCH_CACHE=str(libraries),
        )  # fmt: skip
        assert ran.code == 0, ran.err
        assert compiled(notes) == ever
        assert statuses(mpich.rows()) == {"ok"}
    (runtime,) = libraries.glob("cpu-cpu-*.so")
    assert b"makecontext" in runtime.read_bytes()


# ---- What is missing or wrong ----


def test_without_a_compiler_kernels_are_skipped_and_say_what_to_install(mpich: Mpi, tmp_path: Path) -> None:
    ran = sweep(mpich, "--ranks", "2", "--sizes", "4K", CXX="/nonexistent/c++ -O3")
    assert ran.code == 0, ran.err
    rows = {row.backend: row for row in mpich.rows()}
    assert {name for name, row in rows.items() if row.status == "ok"} == {"mpi", "mpi-nvrar", "mpi-ring"}
    assert {name for name, row in rows.items() if row.status == "skipped"} == set(OURS)
    assert {rows[name].reason for name in OURS} == {
        "CXX names '/nonexistent/c++ -O3', which is not a command; name a C++17 compiler, or unset it"
    }
    plan = sweep(mpich, "--dry-run", "--json", "--sizes", "4K", CXX="", PATH=str(tmp_path))
    reasons = {fact["backend"]: fact["reason"] for fact in json.loads(plan.out) if fact["status"] == "skipped"}
    assert set(reasons) == set(OURS)
    assert all("apt install g++" in reason for reason in reasons.values())


def test_kernels_that_do_not_compile_or_load_are_failed_rows_that_say_why(mpich: Mpi) -> None:
    mine = mpich.folder / "mine"
    include = '#include "collbench.cuh"\n'
    write(mine, "typo.cu", source() + include + "KERNEL(a) { const int x = y; }\n")
    write(mine, "nameless.cu", source() + include + "static void another(const Args& a) {}\n")
    ran = sweep(mpich, "--backend", "typo,nameless,mpi", "--ranks", "2", "--sizes", "4K", COLLBENCH_KERNELS=str(mine))
    assert ran.code == 1, ran.err
    rows = {row.backend: row for row in mpich.rows()}
    assert {name: row.status for name, row in rows.items()} == {"typo": "failed", "nameless": "failed", "mpi": "ok"}
    assert f"{mine}/typo.cu does not compile for CPUs" in rows["typo"].reason
    assert "error: " in rows["typo"].reason
    assert "‘y’" in rows["typo"].reason or "'y'" in rows["typo"].reason
    assert "the kernel nameless does not load: " in rows["nameless"].reason


def test_a_rank_that_waits_for_one_that_never_calls_reports_it(mpi: Mpi) -> None:
    two = ("--sizes", "4K,8K", "--seed", "1")  # the small one first
    ran = sweep(mpi, "--backend", "one-rank-deaf", "--ranks", "3", *two, PYTHONPATH=str(BROKEN))
    assert ran.code == 5, ran.err
    assert [(row.bytes, row.status) for row in mpi.rows()] == [(4096, "ok"), (8192, "timeout")]
    reports = sorted(mpi.rows()[1].reason.split("; "))
    # Rank 2 is heard if it gives up soon enough: it looks 2048 times, and on a busy machine each look takes its turn.
    for rank, words in zip((0, 2), reports, strict=len(reports) == 2):
        assert words.startswith(f"rank {rank} waited 2.5 s in exchange of call ")
        assert words.endswith(" for rank 1")
        assert f"collbench: {words}" in ran.err
    assert "Traceback" not in ran.err
