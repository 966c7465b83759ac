"""``collbench tune`` on real ranks, with backends that by their clock are as slow as their parameter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import BROKEN, Here, Mpi

from collbench.tune.table import Choice, load

SHORT = ("--ranks", "2", "--launches", "3", "--finalists", "1", "--max-seconds", "0.05", "-o", "t.toml")


def choices(mpi: Mpi) -> dict[int, Choice]:
    """The only key's choices by size."""
    (found,) = load(mpi.folder / "t.toml").values()
    return {choice.bytes: choice for choice in found}


def tune(mpi: Mpi, backend: str, *more: str) -> tuple[int, str, str]:
    ran = mpi.run("tune", "--backend", backend, *SHORT, *more, "--results", "out/x", PYTHONPATH=str(BROKEN))
    return ran.code, ran.out, ran.err


def test_the_fastest_candidate_of_each_size_replaces_the_default(mpich: Mpi) -> None:
    code, out, err = tune(mpich, "waits", "--sizes", "2K,4K")
    assert code == 0, err
    assert {size: choice.spec for size, choice in choices(mpich).items()} == {4096: "waits:ms=1"}
    best = choices(mpich)[4096]
    assert (best.default, best.launches) == ("waits:ms=10", 3)
    assert best.us < best.default_us
    assert out.count("replaces the default") == 1
    first, second = mpich.rows("out/x-1.csv"), mpich.rows("out/x-2.csv")
    assert {row.status for row in [*first, *second]} == {"ok"}
    assert {(row.backend, row.bytes) for row in first} == {(f"waits:ms={ms}", 4096) for ms in (10, 1, 12)}
    assert {row.backend for row in second} == {"waits:ms=10", "waits:ms=1"}
    assert {row.launch for row in second} == {0, 1, 2}
    assert {row.run_id for row in second} == {best.run}


def test_equal_candidates_leave_the_default(mpich: Mpi) -> None:
    code, out, err = tune(mpich, "even", "--sizes", "4K", "--json")
    assert code == 0, err
    assert choices(mpich)[4096].spec == choices(mpich)[4096].default == "even:ms=3"
    assert [verdict["decision"] for verdict in json.loads(out)] == ["default kept"]


def test_a_wrong_candidate_is_reported_and_never_chosen(mpich: Mpi) -> None:
    code, _, err = tune(mpich, "cheats", "--sizes", "4K")
    assert code == 3
    assert "wrong ×1: cheats:ms=0" in err
    assert choices(mpich)[4096].spec == "cheats:ms=1"


def test_dry_run_shows_who_would_compete(mpich: Mpi) -> None:
    words = ("tune", "--backend", "waits", "--ranks", "2", "--sizes", "2K:8K", "--dry-run")
    shown = mpich.run(*words, PYTHONPATH=str(BROKEN))
    assert "6 cases to run once" in shown.out
    contests = json.loads(mpich.run(*words, "--json", PYTHONPATH=str(BROKEN)).out)
    assert [each["size"] for each in contests] == [4096, 8192]
    assert contests[0]["backends"] == ["waits:ms=10", "waits:ms=1", "waits:ms=12"]
    assert not list(mpich.folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--backend", "mpi"), "mpi cannot be tuned: it has only one candidate for each problem"),
        (("--backend", "waits", "--sizes", "2K"), "only one candidate for each problem"),
        (("--backend", "waits:mss=1"), "did you mean 'ms'?"),
        (("--backend", "wait"), "did you mean 'waits'?"),
        (("--backend", "nvrar"), "nvrar cannot be tuned here: needs an NVIDIA GPU"),
        (("--backend", "nvrar-ll"), "nvrar-ll cannot be tuned here: needs an NVIDIA GPU"),
        (("--backend", "waits", "--launches", "2"), "2 is not in the range"),
        (("--backend", "waits", "-o", "bad.toml"), "is not a tuned table"),
        (("--backend", "waits", "-o", "bad.toml", "--dry-run"), "is not a tuned table"),
        (("--backend", "nvrar-ll", "--dry-run"), "nvrar-ll cannot be tuned here: needs an NVIDIA GPU"),
        (("--backend", "waits", "--results", "x"), "x-2.csv exists; give another --results"),
    ],
)
def test_what_cannot_be_tuned_gets_one_sentence(mpich: Mpi, arguments: tuple[str, ...], words: str) -> None:
    (mpich.folder / "bad.toml").write_text("nonsense")
    (mpich.folder / "x-2.csv").write_text("precious")
    variables = {"PYTHONPATH": str(BROKEN), "CUDA_VISIBLE_DEVICES": "", "CXX": "no-such-c++"}  # no use without a GPU
    ran = mpich.run("tune", "--sizes", "4K", *arguments, ranks=None, **variables)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert words in ran.err


def test_under_a_launcher_it_says_what_to_do(mpich: Mpi) -> None:
    ran = mpich.run("tune", "--backend", "waits", ranks=2, PYTHONPATH=str(BROKEN))
    assert ran.code == 2
    assert ran.err.count("tune starts its own ranks") == 1


def test_results_are_never_overwritten(mpich: Mpi) -> None:
    (mpich.folder / "out").mkdir()
    (mpich.folder / "out" / "x-1.csv").write_text("precious")
    code, _, err = tune(mpich, "waits", "--sizes", "4K")
    assert code == 2
    assert "exists" in err


def test_a_file_that_says_nothing_of_contests_is_refused(here: Here, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("[1]")
    for name in ("c.json", "none.json"):
        ran = here("sweep", "--contests", name, "--dry-run")
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "is not a valid file of contests" in ran.err
