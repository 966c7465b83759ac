"""Backends by specs: parameters that are taken, refused or broken, and sweeps with them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import pytest
from running import BROKEN, Mpi
from samples import a_problem

from collbench import registry
from collbench.cli.params import BACKENDS
from collbench.errors import UsageError
from collbench.registry import Unusable, candidates, find, refusals, ways

QUICK = ("--sizes", "4K", "--samples", "2", "--max-seconds", "0.02", "--warmup", "1", "--ranks", "2", "-o", "r.csv")


@dataclass(frozen=True)
class Point:
    """An installed backend."""

    name: str
    found: object

    def load(self) -> object:
        return self.found


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> object:
    """Pretends that an object is installed as the backend ``spare``: the module of ``mpi`` with changes."""

    def put(**changes: object) -> None:
        members = {**vars(sys.modules["collbench.backends.mpi"]), **changes}
        point = Point("spare", SimpleNamespace(**members))
        monkeypatch.setattr(registry, "_installed", lambda: [point])

    find("mpi")
    return put


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("mpi:", "'' in backend 'mpi:' is not a parameter; write mpi:KEY=VALUE"),
        ("mpi:blocks", "'blocks' in backend"),
        ("mpi:blocks=", "'blocks='"),
        ("mpi:=8", "'=8'"),
        ("mpi:a=1:a=2", "gives a twice"),
        ("mpi:blocks=8", "backend mpi takes no parameters; omit blocks"),
    ],
)
def test_parameters_that_cannot_be_used_get_one_sentence(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        find(spec)


def test_the_option_takes_specs() -> None:
    assert BACKENDS.convert("mpi, mpi-nvrar:x=1:y=2,mpi", None, None) == ("mpi", "mpi-nvrar:x=1:y=2")


def test_a_backend_is_given_its_parameters(install: object) -> None:
    assert callable(install)

    def configured(parameters: dict[str, str]) -> ModuleType:
        if set(parameters) != {"x"}:
            raise UsageError("spare has x only.")
        return sys.modules["collbench.backends.mpi"]

    install(configured=configured)
    assert find("spare:x=1") is sys.modules["collbench.backends.mpi"]
    with pytest.raises(UsageError, match="spare has x only"):
        find("spare:y=1")


@pytest.mark.parametrize(
    ("configured", "words"),
    [(lambda parameters: 1 / 0, "ZeroDivisionError"), (lambda parameters: object(), "does not define DEVICE")],
)
def test_one_that_breaks_on_its_parameters_is_unusable(install: object, configured: object, words: str) -> None:
    assert callable(install)
    install(configured=configured)
    found = find("spare:x=1")
    assert isinstance(found, Unusable)
    assert words in found.reason


def test_a_plan_asks_a_backend_once_what_is_missing_and_once_per_problem_whether_it_refuses(install: object) -> None:
    assert callable(install)
    asked: list[str] = []
    install(missing=lambda: asked.append("missing"), refuses=lambda problem: asked.append("refuses"))
    refuse = refusals()
    assert [refuse(a_problem(size=size), "spare") for size in (4, 8, 16)] == [None] * 3
    assert sorted(asked) == ["missing", *["refuses"] * 3]


def test_optional_members(install: object) -> None:
    assert callable(install)
    assert candidates(find("mpi"), a_problem()) == ()
    assert ways(find("mpi")) == {}
    install(candidates=lambda problem: ("spare:x=1", "mpi", "spare:x=1"), WAYS={"slow": lambda *_: None})
    assert candidates(find("spare"), a_problem()) == ("spare:x=1", "mpi")
    assert list(ways(find("spare"))) == ["slow"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("wait:ms=1", "unknown backend 'wait'; did you mean 'waits'?"),
        ("waits:mss=1", "unknown parameter of waits 'mss'; did you mean 'ms'?"),
        ("mpi:ms=1", "takes no parameters"),
        ("waits:ms", "is not a parameter"),
    ],
)
def test_a_bad_spec_gets_one_sentence(mpich: Mpi, spec: str, words: str) -> None:
    ran = mpich.run("sweep", "--backend", f"mpi,{spec}", *QUICK, PYTHONPATH=str(BROKEN))
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert words in ran.err


def test_specs_are_timed_compared_and_plotted_by_their_names(mpich: Mpi) -> None:
    specs = "waits:ms=1,waits:ms=5"
    ran = mpich.run("sweep", "--backend", specs, *QUICK, PYTHONPATH=str(BROKEN))
    assert ran.code == 0, ran.err
    assert {row.backend: row.status for row in mpich.rows()} == {"waits:ms=1": "ok", "waits:ms=5": "ok"}
    compared = mpich.run("compare", "r.csv", "--backend", specs)
    assert "waits:ms=1 ÷ waits:ms=5" in compared.out
    assert mpich.run("compare", "r.csv", "r.csv", "--only", "backend=waits:ms=1").code == 0
    assert mpich.run("plot", "r.csv").code == 0
