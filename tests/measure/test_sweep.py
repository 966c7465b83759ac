"""Sweeps on real MPI ranks, under both MPI libraries: every collective, odd rank counts, sub-worlds, virtual nodes.

Kernels on such ranks have a file of their own, kernels/test_session.py.
"""

from __future__ import annotations

import csv
import json
import platform

import pytest
from running import BROKEN, Here, Mpi, statuses

from collbench.registry import default_backends

QUICK = ("--samples", "2", "--max-seconds", "0.02", "--warmup", "1", "-o", "r.csv")
OVER_MPI = ("--backend", "mpi,mpi-nvrar")
ALL = "all_reduce,reduce_scatter,all_gather,broadcast,gather,send_recv,all_to_all,send"


def test_every_collective_is_right_on_any_number_of_ranks_in_one_launch(mpi: Mpi) -> None:
    worlds = (2, 3, 5) if mpi.name == "mpich" else (2, 3)
    ran = mpi.run(
        "sweep", *OVER_MPI, "--ranks", ",".join(map(str, worlds)), "--collective", ALL, "--sizes", "4,1000,70001",
        *QUICK, ranks=max(worlds),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows = mpi.rows()
    timed = [row for row in rows if row.status == "ok"]
    assert statuses(rows) == {"ok", "skipped"}
    assert {(row.ranks, row.collective) for row in timed} == {
        (ranks, name) for ranks in worlds for name in ALL.split(",") if name != "send" or ranks == 2
    }
    assert {row.reason for row in rows if row.collective == "send" and row.ranks == 3} == {
        "send is between two ranks; this world has 3: use --ranks 2"
    }
    assert {row.wire_bytes for row in timed if row.collective == "send"} == {4, 1000, 70000}
    assert {(row.ranks, row.backend) for row in timed} == {
        (ranks, name) for ranks in worlds for name in OVER_MPI[1].split(",")
    }
    assert all(row.wrong == 0 and row.latency_us_median for row in timed)


def test_every_type_and_operation_in_place_and_not(mpich: Mpi) -> None:
    for extra in ((), ("--in-place", "--resume")):
        ran = mpich.run(
            "sweep", *OVER_MPI, "--dtype", "float16,bfloat16,float32,float64,int32", "--op", "sum,min,max,avg",
            "--sizes", "1000", *QUICK, *extra, ranks=3,
        )  # fmt: skip
        assert ran.code == 0, ran.err
    rows = mpich.rows()
    assert len(rows) == 2 * 5 * 4 * 2  # in place and not, types, operations, backends
    assert {row.reason for row in rows if row.status != "ok"} == {
        "MPI defines no averaging operation",
        "avg is not defined for int32",
    }
    assert sum(row.status == "ok" for row in rows) == 2 * (5 * 3 * 2 + 4)


def test_the_readme_case_gives_a_row_per_case(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", *OVER_MPI, "--collective", "all_reduce", "--sizes", "4,1000,4K:64K:x4,1000003",
        "--dtype", "float32,bfloat16", "--layout", "2x2", *QUICK, ranks=4,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows = mpich.rows()
    assert statuses(rows) == {"ok"}
    assert len(rows) == 6 * 2 * 2
    assert {(row.nodes, row.gpus_per_node, row.fabric) for row in rows} == {(2, 2, "shm-virtual")}
    assert {row.bytes for row in rows} == {4, 1000, 4096, 16384, 65536, 1000000, 1000002}
    assert "2 virtual nodes" in ran.out


def test_rows_are_normalised_and_proven(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", "--collective", "all_reduce_rms_norm", "--hidden", "64,1000", "--backend", "mpi,nvrar-unfused",
        "--sizes", "2000,4K", *QUICK, "--json", ranks=2,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows = mpich.rows()
    assert statuses(rows) == {"ok"}
    assert {(row.hidden, row.bytes) for row in rows} == {(64, 1920), (64, 4096), (1000, 2000), (1000, 4000)}
    assert {(row.dtype, row.wrong) for row in rows} == {("bfloat16", 0)}
    assert {row["hidden"] for row in json.loads(ran.out)} == {64, 1000}


def test_nvrar_folds_any_number_of_nodes(mpich: Mpi) -> None:
    layouts = ("3x2", "5x1", "7x1", "1x5")
    ran = mpich.run(
        "sweep", "--layout", ",".join(layouts), "--dtype", "bfloat16", "--sizes", "4,1000,70001", "--backend",
        "mpi-nvrar", *QUICK,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert statuses(mpich.rows()) == {"ok"}
    assert {f"{row.nodes}x{row.gpus_per_node}" for row in mpich.rows()} == set(layouts)


def test_modes_hot_and_cold(mpich: Mpi) -> None:
    modes = ("isolated", "chain", "throughput")
    ran = mpich.run(
        "sweep", *OVER_MPI, "--ranks", "2", "--mode", ",".join(modes), "--cache", "hot,cold", "--in-place", "--sizes",
        "64K", *QUICK,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert sorted((row.mode, row.backend, row.param["cache"]) for row in mpich.rows()) == sorted(
        (mode, name, cache) for mode in modes for name in ("mpi", "mpi-nvrar") for cache in ("cold", "hot")
    )
    assert statuses(mpich.rows()) == {"ok"}


def test_it_starts_its_own_ranks(mpi: Mpi) -> None:
    noted = "NCCL_X\t0\t1\tkept"  # by a job's script
    ran = mpi.run("sweep", "--sizes", "4K", "--backend", "mpi", *QUICK, COLLBENCH_CONFLICTS=noted)
    assert ran.code == 0, ran.err
    assert {(row.ranks, row.param["conflicts"]) for row in mpi.rows()} == {(4, "NCCL_X")}
    (launch,) = json.loads((mpi.folder / "r.json").read_text())["launches"]
    assert {"mpich": "MPICH", "openmpi": "Open MPI"}[mpi.name] in launch["mpi"]["library"]
    assert [rank["rank"] for rank in launch["ranks"]] == [0, 1, 2, 3]
    assert [each["name"] for each in launch["conflicts"]] == ["NCCL_X"]


def test_all_that_can_run_here_is_timed_by_default(mpich: Mpi) -> None:
    ran = mpich.run("sweep", "--sizes", "4K", "--ranks", "2", *QUICK, "--json")
    assert ran.code == 0, ran.err
    assert sorted(str(row["backend"]) for row in json.loads(ran.out)) == list(default_backends())


def test_launches_are_merged_and_resumed(mpich: Mpi) -> None:
    arguments = ("sweep", "--ranks", "2", "--sizes", "4K,8K", "--backend", "mpi", *QUICK)
    assert mpich.run(*arguments, "--launches", "2").code == 0
    assert sorted((row.launch, row.bytes) for row in mpich.rows()) == [(0, 4096), (0, 8192), (1, 4096), (1, 8192)]
    assert len({row.run_id for row in mpich.rows()}) == 1
    assert mpich.run(*arguments, "--launches", "3", "--resume").code == 0
    assert sorted(row.launch for row in mpich.rows()) == [0, 0, 1, 1, 2, 2]
    launches = json.loads((mpich.folder / "r.json").read_text())["launches"]
    assert [launch["launch"] for launch in launches] == [0, 1, 2]
    refused = mpich.run(*arguments, "--launches", "4", "--resume", "--seed", "9")
    assert refused.code == 2
    assert "r.csv was measured under other conditions: --seed 1, now --seed 9. Give another -o, or add" in refused.err
    assert mpich.run(*arguments, "--launches", "4", "--resume", "--seed", "9", "--mixed").code == 0
    launches = json.loads((mpich.folder / "r.json").read_text())["launches"]
    assert [(launch["launch"], launch["sweep"]["seed"]) for launch in launches] == [(0, 1), (1, 1), (2, 1), (3, 9)]


def test_one_launch_a_call_under_a_launcher(mpich: Mpi) -> None:
    arguments = ("sweep", "--sizes", "4K", "--backend", "mpi", "--launches", "2", *QUICK)
    refused = mpich.run(*arguments, ranks=2)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--resume" in refused.err
    assert all(mpich.run(*arguments, "--resume", ranks=2).code == 0 for _ in range(2))
    assert [row.launch for row in mpich.rows()] == [0, 1]
    note = mpich.folder / "r.doing"
    assert not note.exists()
    note.touch()
    assert mpich.run(*arguments, "--resume", ranks=2).code == 0
    assert not note.exists(), "nothing is left to do: a job script need not start it again"


def test_latency_is_that_of_the_slowest_rank(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", "--ranks", "2", "--sizes", "4K", "--mode", "isolated", "--backend", "slow-rank", "--samples", "10",
        "-o", "r.csv", PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (row,) = mpich.rows()
    assert row.latency_us_min is not None
    assert row.latency_us_mean is not None
    assert row.latency_us_min >= 5000, "the slowest rank's time, in every sample"
    with (mpich.folder / "r.samples.csv").open(encoding="utf-8") as file:
        slowest = [float(line["latency_us"]) for line in csv.DictReader(file)]
    assert row.latency_us_mean < 0.95 * sum(slowest) / len(slowest), "the mean over ranks: one of the two is quick"
    assert (row.slowest_rank, row.slowest_share, row.slowest_host) == (1, 1.0, platform.node())
    assert row.slowest_ratio is not None
    assert row.slowest_ratio > 1.1


def test_a_refusal_on_one_rank_is_a_failed_row(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", "--ranks", "2", "--sizes", "4K", "--backend", "mpi,fails-to-prepare", *QUICK, PYTHONPATH=str(BROKEN)
    )
    assert ran.code == 1
    rows = {row.backend: row for row in mpich.rows()}
    assert rows["mpi"].status == "ok"
    assert rows["fails-to-prepare"].status == "failed"
    assert "rank 1: RuntimeError: planted: no resources" in rows["fails-to-prepare"].reason


def test_what_cannot_run_here_is_a_row(mpich: Mpi) -> None:
    ran = mpich.run("sweep", "--ranks", "2", "--sizes", "4K", "--backend", "mpi,nccl", *QUICK, CUDA_VISIBLE_DEVICES="")
    assert ran.code == 0, ran.err
    rows = {row.backend: row for row in mpich.rows()}
    assert rows["nccl"].status == "skipped"
    assert "GPU" in rows["nccl"].reason


def test_groups_of_an_engine_run_side_by_side(mpich: Mpi) -> None:
    spec, faulty = "llama-3.1-8b:tp=2:dp=3:batch=1:prompt=2", ("crosses-groups", "crosses-groups-late")
    args = ("sweep", "--llm", spec, "--backend", "mpi,nvrar-lamport", *QUICK)
    ran = mpich.run(*args, ranks=6)
    assert ran.code == 0, ran.err
    sums = [row for row in mpich.rows() if row.collective == "all_reduce"]
    assert {(row.bytes, row.ranks, row.groups, row.status) for row in sums} == {
        (8192, 2, 3, "ok"),
        (16384, 2, 3, "ok"),
    }
    assert {row.slowest_rank for row in sums} <= {None, *range(6)}
    ran = mpich.run(
        "sweep", "--llm", spec.replace("dp=3", "dp=2:dtype=float32"), "--backend", ",".join(("mpi", *faulty)), *QUICK,
        "--force", ranks=4, PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 3, ran.err
    found = {(row.backend, row.status) for row in mpich.rows() if row.collective == "all_reduce"}
    assert found == {("mpi", "ok"), *((name, "wrong") for name in faulty)}


def test_what_an_engine_sends_takes_no_other_sizes(mpich: Mpi) -> None:
    ran = mpich.run("sweep", "--llm", "llama-3.1-8b:tp=2", "--sizes", "4K", "-o", "r.csv")
    assert (ran.code, ran.err) == (2, "collbench: --llm says which problems to time; omit --sizes.\n")


def test_a_spec_of_many_ranks_starts_none_of_them_here(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collbench.measure.sweep.find_mpiexec", lambda: pytest.fail("ranks would be started"))
    words = ("sweep", "--llm", "llama-3.1-8b:tp=8:pp=32", "--backend", "mpi")
    ran = here(*words)
    assert ran.code == 2
    assert "--llm needs 256 ranks, more than the 128 that collbench starts on one machine" in ran.err
    assert "on 256 ranks" in here(*words, "--dry-run").out
