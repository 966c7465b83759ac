"""Backends by specs: parameters that are taken, refused or broken, and sweeps with them."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import numpy as np
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
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Pretends that an object is installed as the backend ``spare``: the module of ``mpi`` with changes."""

    def put(**changes: object) -> None:
        members = {**vars(sys.modules["collbench.backends.mpi"]), **changes}
        point = Point("spare", SimpleNamespace(**members))
        monkeypatch.setattr(registry, "_installed", lambda: [point])
        registry._plugin.cache_clear()

    find("mpi")
    yield put
    registry._plugin.cache_clear()


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
    assert find("spare:x=1").SUMMARY == find("mpi").SUMMARY
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


def test_a_backend_on_request_runs_only_where_it_is_named(install: object) -> None:
    assert callable(install)
    install(DEVICE="gpu")
    assert "spare" in registry.default_backends()
    install(DEVICE="gpu", ON_REQUEST=True)
    assert "spare" not in registry.default_backends()
    assert "spare" in registry.names()
    assert refusals()(a_problem(), "spare") is None


class UnspeakableError(BaseException):
    """An error whose message raises."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("boom\nbang"), "ValueError: boom bang"),
        (SystemExit(3), "SystemExit: 3"),
        (StopIteration(), "StopIteration"),
        (UnspeakableError(), "UnspeakableError"),
        (UsageError("mine"), "UsageError: mine"),
    ],
)
@pytest.mark.parametrize("member", ["missing", "refuses", "exact_order", "wire_bytes", "candidates", "configured"])
def test_whatever_a_plugin_raises_is_the_reason_of_its_rows(
    install: object, capfd: pytest.CaptureFixture[str], member: str, error: BaseException, said: str
) -> None:
    assert callable(install)

    def fail(*_: object) -> None:
        print("printed")
        os.write(1, b"written")
        raise error

    install(**{member: fail})
    words = f"raised {said} in {member}(); fix or remove it"
    backend = find("spare")
    if member == "candidates":
        with pytest.raises(UsageError, match=re.escape(f"backend spare {words}.")):
            candidates(backend, a_problem())
    elif member == "configured" and isinstance(error, UsageError):
        with pytest.raises(UsageError, match="mine"):
            find("spare:x=1")
    elif member == "configured":
        assert find("spare:x=1").missing() == f"cannot be configured ({said}); fix or remove it"
    else:
        assert registry.refusals()(a_problem(), "spare") == words
    assert backend.wire_bytes(a_problem()) == find("mpi").wire_bytes(a_problem()) or member == "wire_bytes"
    out, err = capfd.readouterr()
    assert out == ""
    assert {"printed", "written"} <= set(err.replace("printed", " printed ").replace("written", " written ").split())


def test_an_order_that_raises_names_itself(install: object) -> None:
    assert callable(install)
    install(exact_order=lambda problem: lambda inputs: 1 / 0)
    order = find("spare").exact_order(a_problem())
    assert order is not None
    with pytest.raises(RuntimeError, match="raised ZeroDivisionError: division by zero in its exact order"):
        order(np.zeros((2, 3)))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "many"])
def test_bytes_that_are_no_number_are_refused(install: object, number: object) -> None:
    assert callable(install)
    install(wire_bytes=lambda problem: number)
    assert "in wire_bytes(); fix or remove it" in str(registry.refusals()(a_problem(), "spare"))
    assert find("spare").wire_bytes(a_problem()) is None


@pytest.mark.parametrize("member", ["missing", "refuses", "exact_order", "wire_bytes", "candidates", "configured"])
def test_ctrl_c_is_for_us(install: object, member: str) -> None:
    assert callable(install)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    install(**{member: interrupt})
    asked = () if member == "missing" else ({"x": "1"},) if member == "configured" else (a_problem(),)
    with pytest.raises(KeyboardInterrupt):
        getattr(find("spare"), member)(*asked)


def test_a_device_that_there_is_not_is_named(install: object) -> None:
    assert callable(install)
    install(DEVICE="tpu")
    assert find("spare").missing() == "runs on 'tpu'; its DEVICE must be one of cpu, gpu"


def test_a_plugin_that_never_ends_its_import_is_left_once(monkeypatch: pytest.MonkeyPatch) -> None:
    began = []

    class Slow:
        name = "slow"

        def load(self) -> object:
            began.append(1)
            time.sleep(600)
            return None

    monkeypatch.setattr(registry, "IMPORT_SECONDS", 0.01)
    monkeypatch.setattr(registry, "_installed", lambda: [Slow()])
    registry._plugin.cache_clear()
    for _ in range(2):
        assert find("slow").missing() == "cannot be loaded (it took more than 0.01 s); fix or remove it"
    assert began == [1]
    registry._plugin.cache_clear()


def test_plugins_lose_their_own_rows_only(mpich: Mpi) -> None:
    """Under a launcher's ranks, in a sweep, and in lists that stay JSON."""
    folder = mpich.folder / "rude-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: rude\nVersion: 1\n")
    names = ("chatty", "leaver", "failer")
    (folder / "entry_points.txt").write_text("[collbench.backends]\n" + "".join(f"{name} = {name}\n" for name in names))
    like_mpi = "from collbench.backends.mpi import *\nimport os, sys\n"
    (mpich.folder / "chatty.py").write_text(f"{like_mpi}print('hello')\nos.write(1, b'hello')\n")
    (mpich.folder / "leaver.py").write_text(f"{like_mpi}sys.exit(3)\n")
    (mpich.folder / "failer.py").write_text(
        f"{like_mpi}def missing():\n    print('hello')\n    raise ValueError('no')\n"
    )
    ran = mpich.run("list", "--json", PYTHONPATH=str(mpich.folder))
    assert ran.code == 0, ran.err
    found = {each["name"]: each["missing"] for each in json.loads(ran.out)["backends"]}
    assert found["chatty"] is None
    assert found["leaver"] == "cannot be loaded (SystemExit: 3); fix or remove it"
    assert found["failer"] == "raised ValueError: no in missing(); fix or remove it"
    ran = mpich.run("sweep", "--backend", ",".join(("mpi", *names)), "--json", *QUICK, PYTHONPATH=str(mpich.folder))
    assert ran.code == 0, ran.err
    rows = {row["backend"]: (row["status"], row["reason"]) for row in json.loads(ran.out)}
    assert {name: status for name, (status, _) in rows.items()} == {
        "mpi": "ok", "chatty": "ok", "leaver": "skipped", "failer": "skipped",
    }  # fmt: skip
    assert rows["failer"][1] == found["failer"]
    assert "Traceback" not in ran.err


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
