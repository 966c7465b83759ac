"""Variants on real ranks: variables that reach their processes and no others, in launches that are paired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from running import BROKEN, Mpi

import collbench as cb
from collbench.results.records import Record

SET = {"mpich": "MPICH_PLANTED", "openmpi": "OMPI_MCA_planted"}
QUICK = ("sweep", "--sizes", "4K", "--samples", "2", "--max-seconds", "0.02", "--warmup", "1", "-o", "r.csv",
         "--quiet")  # fmt: skip
ODD = "1,2; 3=four 'five'"
PAIRED = ("--ranks", "2", "--launches", "3", "--backend", "mpi",
          "--variant", "a=mpi MPICH_PLANTED=1 NCCL_PLANTED=2")  # fmt: skip


def run(mpi: Mpi, *arguments: str, ranks: int | None = None, code: int = 0, **more: str) -> str:
    """Run a quick sweep; returns what it says."""
    ran = mpi.run(*QUICK, *arguments, ranks=ranks, PYTHONPATH=str(BROKEN), **more)
    assert ran.code == code, ran.err
    return ran.err


def entries(mpi: Mpi) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((mpi.folder / "r.json").read_text())["launches"]
    return found


def legs(mpi: Mpi) -> list[tuple[int, str]]:
    """Launch and variant of each set of ranks, in the order in which they ran."""
    return [(entry["launch"], entry.get("variant", {}).get("name", "")) for entry in entries(mpi)]


def reported(row: Record) -> dict[str, str]:
    """What a row of the backend ``reports`` says of the planted variables."""
    return {name: value for name, value in row.param.items() if "planted" in name.lower()}


def test_variables_reach_the_ranks_of_their_variant_before_they_load_mpi(mpi: Mpi) -> None:
    name = SET[mpi.name]
    launches = 2 if mpi.name == "mpich" else 1  # the order of variants is the same under any library
    run(
        mpi, "--ranks", "2", "--launches", str(launches), "--backend", "mpi,reports",
        "--variant", f'odd=reports {name}="{ODD}"', "--variant", f"two=reports {name}=2 NCCL_PLANTED=b",
        NVSHMEM_PLANTED="for all",
    )  # fmt: skip
    rows = mpi.rows()
    everywhere = {"NVSHMEM_PLANTED": f"{quote('for all')} from the start"}
    expected = {
        "reports": everywhere,
        "reports@odd": {name: f"{quote(ODD)} from the start", **everywhere},
        "reports@two": {name: "2 from the start", "NCCL_PLANTED": "b from the start", **everywhere},
    }
    assert {(row.launch, row.backend) for row in rows} == {
        (launch, backend) for launch in range(launches) for backend in ("mpi", *expected)
    }
    assert all(reported(row) == expected[row.backend] for row in rows if row.backend != "mpi")
    assert {row.status for row in rows} == {"ok"}

    ran = legs(mpi)
    assert sorted(ran) == [(launch, leg) for launch in range(launches) for leg in ("", "odd", "two")]
    assert launches == 1 or [leg for _, leg in ran[3:6]] == [leg for _, leg in ran[:3]][::-1]
    for entry in entries(mpi):
        variant = entry.get("variant", {"variables": {}})
        planted = {key: value for key, value in entry["variables"].items() if "planted" in key.lower()}
        assert planted == {"NVSHMEM_PLANTED": "for all", **variant["variables"]}
    assert {entry["variant"]["backend"] for entry in entries(mpi) if "variant" in entry} == {
        "reports@odd",
        "reports@two",
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished sweep of three launches, each plain and of a variant."""
    mpich = Mpi("mpich", tmp_path_factory.mktemp("finished"))
    run(mpich, *PAIRED)
    return mpich.folder


@pytest.fixture
def again(finished: Path, mpich: Mpi) -> Mpi:
    """A copy of it, to be continued."""
    for name in ("r.csv", "r.json", "r.samples.csv"):
        (mpich.folder / name).write_bytes((finished / name).read_bytes())
    return mpich


def test_rows_are_paired_by_launch_and_traced_to_their_entry(finished: Path) -> None:
    frame = cb.read(finished / "r.csv", sidecar=True)
    (found,) = cb.compare(frame, backends="mpi@a,mpi").to_dict("records")
    assert (found["a"], found["launches"], found["covers"]) == ("mpi@a", 3, "launches like these")
    assert frame.started.notna().all()


@pytest.mark.parametrize("leg", ["", "a"])
def test_a_resumed_sweep_times_the_leg_that_lacks_its_rows(again: Mpi, leg: str) -> None:
    """The one or the other leg of the last launch is lost, as by an interrupt, with its entry."""
    names = {"": "mpi", "a": "mpi@a"}
    path = again.folder / "r.csv"
    kept = [line for line in path.read_text().splitlines(True) if f",2,all_reduce,{names[leg]}," not in line]
    path.write_text("".join(kept))
    content = json.loads((again.folder / "r.json").read_text())
    lost = (2, leg)
    content["launches"] = [
        entry for entry in content["launches"] if (entry["launch"], entry.get("variant", {}).get("name", "")) != lost
    ]
    (again.folder / "r.json").write_text(json.dumps(content))
    run(again, *PAIRED, "--resume")
    assert [(row.launch, row.backend) for row in again.rows()][-1] == (2, names[leg])
    assert sorted((row.launch, row.backend) for row in again.rows()) == [
        (launch, name) for launch in range(3) for name in ("mpi", "mpi@a")
    ]
    assert legs(again)[-1] == lost


def test_a_new_variant_joins_the_launches_that_there_are(again: Mpi) -> None:
    run(again, *PAIRED, "--resume", "--variant", "b=reports MPICH_PLANTED=2")
    assert legs(again)[6:] == [(0, "b"), (1, "b"), (2, "b")]


def test_another_definition_of_a_name_is_refused(again: Mpi) -> None:
    before = (again.folder / "r.csv").read_text()
    words = ("--ranks", "2", "--launches", "4", "--resume", "--backend", "mpi")
    for definition in ("mpi MPICH_PLANTED=1", "mpi MPICH_PLANTED=1 NCCL_PLANTED=3", "mpi-ring MPICH_PLANTED=1"):
        for more in ((), ("--mixed",)):
            said = run(again, *words, "--variant", f"a={definition}", *more, code=2)
            assert "r.csv has rows of another variant a: mpi@a MPICH_PLANTED=1 NCCL_PLANTED=2, now " in said
            assert said.count("\n") == 1
    assert (again.folder / "r.csv").read_text() == before
    run(again, *words, "--variant", "a=mpi NCCL_PLANTED=2 MPICH_PLANTED=1")
    assert sorted((row.launch, row.backend) for row in again.rows()[6:]) == [(3, "mpi"), (3, "mpi@a")]


def test_ranks_that_do_not_start_are_the_last_of_their_variant_alone(mpich: Mpi) -> None:
    bad, good = ("--variant", "bad=mpi MPI4PY_LIBMPI=/none"), ("--variant", "good=mpi MPICH_PLANTED=1")
    said = run(mpich, "--ranks", "2", "--launches", "2", "--backend", "mpi", *bad, *good, code=1)
    assert said.count("A rank failed (exit code 1). These were the last ranks of variant bad.") == 1
    assert "continue with --resume -o r.csv" in said
    assert sorted((row.launch, row.backend) for row in mpich.rows()) == [
        (launch, name) for launch in (0, 1) for name in ("mpi", "mpi@good")
    ]


def test_under_a_launcher_each_command_runs_one_leg(mpich: Mpi) -> None:
    arguments = ("--launches", "2", "--backend", "reports", "--variant", "a=reports NCCL_PLANTED=1")
    said = run(mpich, *arguments, ranks=2, code=2)
    assert "starts one launch, not the 4 that --launches 2 of plain backends and of each variant are" in said
    for number in range(1, 6):
        run(mpich, *arguments, "--resume", ranks=2)
        assert len(mpich.rows()) == min(number, 4)
    assert sorted(legs(mpich)) == [(0, ""), (0, "a"), (1, ""), (1, "a")]
    assert {row.backend: reported(row) for row in mpich.rows()} == {"reports": {}, "reports@a": {"NCCL_PLANTED": "1"}}
    recorded = [entry["variables"].get("NCCL_PLANTED") for entry in entries(mpich)]
    assert recorded == [entry.get("variant", {}).get("variables", {}).get("NCCL_PLANTED") for entry in entries(mpich)]
    assert not (mpich.folder / "r.doing").exists()


def test_under_a_launcher_what_mpi_reads_is_refused(mpi: Mpi) -> None:
    name = SET[mpi.name]
    said = run(mpi, "--backend", "mpi", "--resume", "--variant", f"a=mpi {name}=1", ranks=2, code=2)
    assert said.count("collbench: ") == 1
    assert f"variant a sets {name}, which may have been read" in said
    assert "set it on the launcher instead" in said
    assert not (mpi.folder / "r.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--variant", "a=mpj MPICH_X=1"), "unknown backend 'mpj'; did you mean 'mpi'?"),
        (("--variant", "a=mpi"), "variant a sets no variable"),
        (("--variant", "a=mpi MPICH_X=1 MPICH_X=2"), "sets MPICH_X twice"),
        (("--variant", "a=mpi LD_PRELOAD=x"), "variant a sets LD_PRELOAD, which no sidecar would record"),
        (("--variant", "a=mpi MPICH_X=1", "--variant", "a=mpi-ring MPICH_X=1"), "two variants are named a"),
        (("--variant", "a b=mpi MPICH_X=1"), "cannot name a variant"),
        (("--backend", "mpi,mpi@a", "--variant", "a=mpi MPICH_X=1"), "mpi@a is among the backends and a variant"),
    ],
)
def test_mistakes_are_one_sentence(here: Any, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    ran = here(*QUICK, *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert words in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_shows_variants(here: Any) -> None:
    variant = ("--variant", "a=mpi MPICH_X=1")
    ran = here("sweep", "--dry-run", "--ranks", "2", "--sizes", "4K", "--backend", "mpi", *variant, "--json")
    assert ran.code == 0, ran.err
    assert [(fact["backend"], fact["status"]) for fact in json.loads(ran.out)] == [
        ("mpi", "planned"), ("mpi@a", "planned")
    ]  # fmt: skip


def test_a_check_ends_after_whole_launches(mpich: Mpi) -> None:
    sides = ("--baseline", "mpi", "--candidate", "mpi@a", "--variant", "a=mpi MPICH_PLANTED=1")
    rule = ("--max-launches", "3", "--margin", "900%")
    ran = mpich.run(
        "check", *sides, *rule, "--ranks", "2", *QUICK[1:], PYTHONPATH=str(BROKEN), MPICH_PLANTED="0"
    )  # fmt: skip
    assert ran.code in (0, 4, 6), ran.err  # whatever a busy machine measures
    assert "last ranks" not in ran.err
    assert sorted(legs(mpich)) == [(launch, leg) for launch in range(3) for leg in ("", "a")]
