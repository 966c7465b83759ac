"""Kernels as backends: found by their files, configured, refused, cut to the message, and added up as they declare."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from kernel_files import OF_ALL_REDUCE, OURS, a_kernel, ours, source, write
from running import Mpi
from samples import a_layout, a_problem

from collbench import registry
from collbench.backends import ExactOrder, _kernels, mpi_nvrar, nvrar
from collbench.backends._kernels import KernelBackend, order_of
from collbench.cli import list_
from collbench.devices.device import Values
from collbench.host import gpus as host_gpus
from collbench.kernels import host_compiler
from collbench.kernels.files import own_folder
from collbench.kernels.header import read
from collbench.measure.sidecar import kernel_hashes
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.printer.forms import Form
from collbench.registry import Unusable, default_backends

IN_TURN = Layout((0, 1, 2, 3), (0, 1, 0, 1))  # nodes whose ranks interleave


# ---- Finding them ----


def test_every_file_in_our_folder_is_a_backend_and_is_listed(mpich: Mpi) -> None:
    assert OURS
    assert set(OURS) <= set(registry.names())
    run = partial(mpich.run, CUDA_VISIBLE_DEVICES="")
    listed = {each["name"]: each for each in json.loads(run("list", "--json").out)["backends"]}
    for name in OURS:
        assert ours(name).file == read(own_folder() / f"{name.replace('-', '_')}.cu")
        assert (listed[name]["on"], listed[name]["times"]) == ("cpu", ours(name).file.summary)
    assert {line.split()[0] for line in run("list").out.splitlines() if line} > set(OURS)


def test_a_kernel_in_a_folder_of_the_user_is_listed_and_used(mpich: Mpi) -> None:
    run = partial(mpich.run, COLLBENCH_KERNELS=str(mpich.folder / "mine"), CUDA_VISIBLE_DEVICES="")
    write(mpich.folder / "mine", "two_hops.cu", source(summary='"there and back"'))
    assert "there and back" in run("list").out
    planned = ("sweep", "--dry-run", "--sizes", "4K", "--json", "--backend")
    (fact,) = json.loads(run(*planned, "two-hops:blocks=8", CXX="no-such-c++").out)
    assert (fact["backend"], fact["status"]) == ("two-hops:blocks=8", "skipped")
    assert "CXX names 'no-such-c++'" in fact["reason"], "on CPU ranks it takes a compiler, and no GPU"
    for spec, words in (("two-hop", "did you mean 'two-hops'?"), ("two-hops:block=8", "did you mean 'blocks'?")):
        ran = run(*planned, spec)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert words in ran.err
    assert mpich.run(*planned, "two-hops").code == 2, "only where the variable names its folder"


def machine_with(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    """Pretend that this machine has ``gpus`` GPUs and no package that uses them."""
    for module in (_kernels, host_gpus):
        monkeypatch.setattr(module, "gpu_count", lambda: gpus)
    monkeypatch.setattr(host_gpus, "GPU_PACKAGES", {"no_such_module": "some-package"})


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (4, "gpu")])
def test_they_run_on_gpus_where_there_are_some_and_else_on_cpus(
    monkeypatch: pytest.MonkeyPatch, gpus: int, device: str
) -> None:
    machine_with(monkeypatch, gpus)
    monkeypatch.setattr(host_compiler, "missing", lambda: "no compiler")
    reason = "no compiler" if device == "cpu" else "some-package, nvshmem4py-cu13 not installed; pip install"
    for name in OURS:
        assert device == registry.find(name).DEVICE
        assert str(registry.find(name).missing()).startswith(reason)


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (4, "gpu")])
def test_a_file_that_cannot_be_read_is_a_backend_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, device: str
) -> None:
    machine_with(monkeypatch, gpus)
    path = write(tmp_path, "hop.cu", source(ops=None))
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path))
    found = registry.find("hop:blocks=8")
    assert isinstance(found, Unusable)
    assert device == found.DEVICE
    assert str(found.missing()).startswith(f"{path}: the field 'ops' is missing")


@pytest.fixture
def hop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's kernel beside ours."""
    write(tmp_path, "hop.cu", source())
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path))


@pytest.mark.usefixtures("hop")
def test_on_cpu_ranks_every_kernel_is_timed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, gpus=0)
    monkeypatch.setattr(host_compiler, "missing", lambda: None)
    assert default_backends() == ("hop", "mpi", "mpi-nvrar", "mpi-ring", *OF_ALL_REDUCE)
    monkeypatch.setattr(host_compiler, "missing", lambda: "no compiler")
    ours = OF_ALL_REDUCE  # have a row, which says what is missing
    assert default_backends() == ("mpi", "mpi-nvrar", "mpi-ring", *ours)
    of_rows = ("mpi", "mpi-nvrar", "mpi-ring", "nvrar-norm", "oneshot-norm")
    assert default_backends(["all_reduce_rms_norm"]) == of_rows


@pytest.mark.usefixtures("hop")
def test_on_gpus_all_that_can_run_is_timed_but_kernels_that_nvrar_picks_from(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, gpus=4)
    assert default_backends() == ("mpi", "mpi-nvrar", "mpi-ring"), "no kernel where what GPUs need is not installed"
    monkeypatch.setattr(KernelBackend, "missing", lambda self: None)
    monkeypatch.setattr(nvrar, "missing", lambda: None)
    monkeypatch.setattr(nvrar, "DEVICE", "gpu")
    assert default_backends() == ("hop", "nvrar")


def test_a_communicator_near_its_wrap_is_a_way_to_open_one() -> None:
    for name in ("nvrar", *OURS):
        assert list(registry.ways(registry.find(name))) == [_kernels.NEAR_WRAP]


@pytest.mark.parametrize("name", ["folder.cu", "collbench.cuh"])
def test_a_run_records_the_file_of_every_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = kernel_hashes()
    write(tmp_path, "hop.cu", source())
    if name.endswith(".cu"):
        (tmp_path / name).mkdir()
    else:
        write(tmp_path, name, "// another\n")
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path))
    assert set(before.values()) < set(kernel_hashes().values())


# ---- Orders of additions ----

BIG = 2.0**24  # float32 adds 1 to it in vain


def noise(ranks: int) -> Values:
    """Numbers of many magnitudes, in bfloat16: hardly any order of additions gives what another gives."""
    draw = np.random.default_rng(5)
    values = draw.standard_normal((ranks, 4096)) * 2.0 ** draw.integers(-6, 7, (ranks, 4096))
    return values.astype(DTYPES["bfloat16"].numpy)


def sum_of(order: ExactOrder | None, inputs: Values) -> Values:
    """Its bits."""
    assert order is not None
    return order(inputs).view(np.uint16)


@pytest.mark.parametrize("op", ["sum", "min", "max"])
def test_on_one_node_both_orders_are_one(tmp_path: Path, op: str) -> None:
    problem = a_problem(dtype="bfloat16", ranks=8, op=op)
    flat, three = (
        sum_of(order_of(a_kernel(tmp_path, order=order).file, problem), noise(8)) for order in ('"flat"', '"nvrar"')
    )
    assert np.array_equal(flat, three)
    wide = {"sum": np.add, "min": np.minimum, "max": np.maximum}[op].reduce(noise(8).astype(np.float32), axis=0)
    assert np.array_equal(flat, wide.astype(DTYPES["bfloat16"].numpy).view(np.uint16)), "in fp32, rounded once"


def test_on_several_nodes_they_are_not(tmp_path: Path) -> None:
    problem, inputs = a_problem(dtype="bfloat16", layout=a_layout(8, nodes=4)), noise(8)
    flat = sum_of(order_of(a_kernel(tmp_path, order='"flat"').file, problem), inputs)
    three = order_of(a_kernel(tmp_path, order='"nvrar"').file, problem)
    assert np.array_equal(flat, sum_of(order_of(a_kernel(tmp_path).file, a_problem(dtype="bfloat16", ranks=8)), inputs))
    assert np.count_nonzero(flat != sum_of(three, inputs)) > 100
    pairs = sum_of(three, inputs[[1, 0, 2, 3, 4, 5, 6, 7]])
    assert np.array_equal(pairs, sum_of(three, inputs)), "two numbers have one sum"
    assert np.count_nonzero(sum_of(three, inputs[[0, 2, 1, 3, 4, 5, 6, 7]]) != pairs) > 100, "the wrong nodes"


@pytest.mark.parametrize(
    ("order", "layout", "inputs", "result"),
    [
        ("flat", a_layout(4), (BIG, 1, 1, -BIG), 0),
        ("flat", a_layout(4, nodes=2), (BIG, 1, 1, -BIG), 0),
        ("nvrar", a_layout(4), (BIG, 1, 1, -BIG), 0),
        ("nvrar", a_layout(4, nodes=2), (BIG, 1, 1, -BIG), 1),  # 2^24, and 1 - 2^24
        ("flat", IN_TURN, (BIG, -BIG, 1, 0), 0),  # places are ranks 0, 2, 1, 3
        ("nvrar", IN_TURN, (BIG, -BIG, 1, 0), 0),
        ("nvrar", a_layout(4, nodes=2), (BIG, -BIG, 1, 0), 1),
    ],
)
def test_the_order_is_the_documented_one(
    tmp_path: Path, order: str, layout: Layout, inputs: tuple[float, ...], result: float
) -> None:
    add = order_of(a_kernel(tmp_path, order=f'"{order}"').file, a_problem(layout=layout))
    assert add is not None
    assert add(np.array(inputs, np.float32)[:, None]).tolist() == [result]


def test_a_kernel_may_have_no_order(tmp_path: Path) -> None:
    assert order_of(a_kernel(tmp_path, order=None).file, a_problem()) is None


@pytest.mark.parametrize("name", OF_ALL_REDUCE)
def test_ours_document_theirs(name: str) -> None:
    problem = a_problem(dtype="bfloat16", layout=IN_TURN)
    nodes = {"flat": 1, "nvrar": 2}[str(ours(name).file.order)]
    expected = mpi_nvrar.exact_order(a_problem(dtype="bfloat16", layout=a_layout(4, nodes)))
    assert np.array_equal(
        sum_of(order_of(ours(name).file, problem), noise(4)), sum_of(expected, noise(4)[[0, 2, 1, 3]])
    )


def test_a_kernel_called_like_a_backend_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.hidden() == {}
    write(tmp_path, "mpi_nvrar.cu", source())
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path))
    assert "rename the file" in registry.hidden()["mpi-nvrar"]
    assert "mpi_nvrar.cu: 'mpi-nvrar' is the name of a built-in backend" in list_.show(Form.PLAIN)
