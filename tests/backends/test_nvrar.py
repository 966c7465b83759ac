"""``nvrar``: the kernel that it chooses, its candidates, and the order of additions that it documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kernel_files import source, write
from samples import a_layout, a_problem

from collbench import registry
from collbench.backends import _kernels, _trips, mpi_nvrar, nvrar
from collbench.backends._kernels import KernelBackend
from collbench.backends._specs import split
from collbench.devices.device import Values
from collbench.fit import profiles
from collbench.fit.law import BETWEEN
from collbench.host import environment
from collbench.kernels.kernel import Kernel
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.tune import table as tuned
from collbench.tune.table import Choice, Table

REAL, VIRTUAL = a_layout(8, nodes=2), a_layout(8, nodes=2, virtual=True)
SIZES = (4, 4096, 128 << 10, 1 << 20, 64 << 20)


def kernel(spec: str) -> Kernel:
    """The kernel behind a spec."""
    found = registry.find(spec)
    assert isinstance(found, KernelBackend), found
    return found.kernel


def noise(ranks: int) -> Values:
    """Numbers whose sum depends on the order of additions, in bfloat16."""
    values = np.random.default_rng(3).standard_normal((ranks, 4096))
    return values.astype(DTYPES["bfloat16"].numpy)


@pytest.mark.parametrize(
    ("ranks", "size", "dtype", "name"),
    [  # 444 kB are worth a hop: (P-1) (1 - 2/P) S
        (2, 64 << 20, "bfloat16", "oneshot"),
        (4, 4, "bfloat16", "oneshot"),
        (4, 128 << 10, "bfloat16", "oneshot"),
        (4, 512 << 10, "bfloat16", "nvrar-lamport"),
        (8, 64 << 10, "float32", "oneshot"),
        (8, 128 << 10, "bfloat16", "nvrar-lamport"),
        (8, 64 << 10, "int64", "oneshot"),
        (8, 64 << 20, "bfloat16", "nvrar-lamport"),
    ],
)
def test_one_hop_for_few_bytes_and_few_ranks(ranks: int, size: int, dtype: str, name: str) -> None:
    assert nvrar.default(a_problem(dtype=dtype, ranks=ranks, size=size)) == name


@pytest.mark.parametrize("size", SIZES)
def test_three_phases_between_nodes(size: int) -> None:
    assert nvrar.default(a_problem(layout=VIRTUAL, size=size)) == "nvrar-lamport"
    assert nvrar.default(a_problem(layout=REAL, size=size)) == "nvrar-put"


@pytest.mark.parametrize("layout", [a_layout(2), a_layout(8), VIRTUAL, REAL], ids=str)
@pytest.mark.parametrize("dtype", ["bfloat16", "int32"])
def test_candidates_can_run_and_the_default_is_first(layout: Layout, dtype: str) -> None:
    for size in SIZES:
        problem = a_problem(dtype=dtype, layout=layout, size=size)
        specs = nvrar.candidates(problem)
        assert specs[0] == nvrar.default(problem)
        assert len(set(specs)) == len(specs) > 1
        names = {split(spec).name for spec in specs}
        assert names <= set(_kernels.own_names())
        assert all(kernel(name).refuses(problem) is None for name in names)


def tried(layout: Layout, size: int) -> set[str]:
    """Names of the candidates' kernels."""
    return {split(spec).name for spec in nvrar.candidates(a_problem(layout=layout, size=size))}


def test_kernels_that_know_no_nodes_are_not_tried_on_several() -> None:
    for size in SIZES:
        for layout in (REAL, VIRTUAL):
            assert {kernel(name).file.order for name in tried(layout, size)} == {"nvrar"}
        assert {kernel(name).file.nodes for name in tried(REAL, size)} == {"any"}, "only puts leave a node"
    assert {"oneshot", "nvrar-lamport", "nvrar-ll"} <= tried(a_layout(8), 4096)
    assert "oneshot" not in tried(a_layout(8), 64 << 20), "seven times the message, where two hops send less than two"
    assert "oneshot" in tried(a_layout(2), 64 << 20)


def test_a_users_kernel_is_not_picked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = nvrar.candidates(a_problem(ranks=8))
    write(tmp_path, "hop.cu", source())
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tmp_path))
    assert kernel("hop").refuses(a_problem(ranks=8)) is None
    assert nvrar.candidates(a_problem(ranks=8)) == before


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (
            a_problem("broadcast"),
            "nvrar implements all_reduce, reduce_scatter, all_gather, all_reduce_rms_norm, not broadcast",
        ),
        (a_problem(op="avg"), "oneshot does not support avg, only "),
        (a_problem(op="avg", layout=REAL), "nvrar-put does not support avg, only "),
        (a_problem(layout=Layout((0, 1, 2), (0, 0, 1))), "nvrar-put needs the same number of ranks on every node"),
    ],
)
def test_it_refuses_what_its_kernel_refuses(problem: Problem, words: str) -> None:
    assert str(nvrar.refuses(problem)).startswith(words)


@pytest.mark.parametrize(
    ("nodes", "dtype", "ways"),
    [
        (2, "bfloat16", {"", "-lamport"}),  # with two nodes, one shot and doubling are the same, and halving is slower
        (2, "int32", {""}),  # with flags, both are the same
        (3, "bfloat16", {"", "-oneshot", "-oneshot-lamport"}),  # folding takes two trips more, one shot no more bytes
        (4, "int32", {"", "-oneshot", "-halving"}),
        (8, "bfloat16", {"", "-lamport", "-oneshot", "-oneshot-lamport", "-halving"}),
    ],
)
def test_candidates_between_nodes_are_those_that_differ_in_trips_or_bytes(
    nodes: int, dtype: str, ways: set[str]
) -> None:
    specs = [split(spec) for spec in nvrar.candidates(a_problem(dtype=dtype, layout=a_layout(nodes, nodes=nodes)))]
    assert {spec.name for spec in specs} == {f"nvrar-put{way}" for way in ways}
    large = nvrar.candidates(a_problem(dtype=dtype, layout=a_layout(nodes, nodes=nodes), size=64 << 20))
    assert {split(spec).parameters.get("chunk") for spec in large} == {None, "4", "16", "64", "256"}


def test_it_takes_every_size_type_and_operation_of_its_kernels() -> None:
    for layout in (a_layout(2), a_layout(8), REAL, VIRTUAL, a_layout(6, nodes=3)):
        for dtype in ("float32", "float16", "bfloat16", "float64", "int32", "int64"):
            for size in (4, 1000, 1 << 30):
                assert nvrar.refuses(a_problem(dtype=dtype, layout=layout, size=size, op="max")) is None


def bits(problem: Problem, backend: Any, inputs: Values) -> list[int]:
    """The result that a backend documents, to the bit."""
    result: list[int] = backend.exact_order(problem)(inputs).view(np.uint16).tolist()
    return result


@pytest.mark.parametrize("layout", [a_layout(8), REAL, VIRTUAL, a_layout(6, nodes=3), a_layout(8, nodes=8)], ids=str)
def test_its_order_is_that_of_the_three_phases_and_of_every_candidate(layout: Layout) -> None:
    problem, inputs = a_problem(dtype="bfloat16", layout=layout), noise(layout.size)
    expected = bits(problem, nvrar, inputs)
    assert expected == mpi_nvrar.three_phases(inputs, layout, "sum").view(np.uint16).tolist()
    for name in {split(spec).name for spec in nvrar.candidates(problem)}:
        assert bits(problem, registry.find(name), inputs) == expected, name


def test_its_bytes_on_the_wire_are_those_of_the_default() -> None:
    assert nvrar.wire_bytes(a_problem(ranks=8)) == 7 * 4096
    assert nvrar.wire_bytes(a_problem(ranks=8, size=64 << 20)) == 14 / 8 * (64 << 20)
    assert nvrar.wire_bytes(a_problem(layout=REAL)) == 2 * 7 / 4 * 4096


# ---- What a session picks ----


@dataclass
class Picker:
    """A world of one rank, and its device."""

    kind: str = "gpu"
    is_local: bool = True

    def led(self, action: Callable[[], object]) -> object:
        return action()

    def facts(self) -> dict[str, Any]:
        return {"name": "H200", "driver": 13020, "nccl": "2.28.9"}


def table(problem: Problem, fabric: str, spec: str) -> Table:
    """The tuned table for ``problem`` on the machine of ``Picker``."""
    layout = problem.layout
    key = tuned.key_of(
        "nvrar", "all_reduce", problem.dtype.name, "sum", layout.node_count, layout.per_node, fabric, Picker().facts(),
        environment.versions(),
    )  # fmt: skip
    return {key: (Choice(problem.bytes, spec, 2.0, "oneshot", 3.0, 3, "run"),)}


def picked(
    monkeypatch: pytest.MonkeyPatch,
    problem: Problem,
    reached: bool = True,
    kind: str = "gpu",
    words: bool = False,
    transport: str = "tcp",
) -> str:
    """The spec that a session chooses for ``problem``, once for all its calls, on a device of this kind; ``words``:
    whether puts write whole words."""
    found: list[str] = []
    known = _kernels.find

    def find(name: str) -> object:
        def opened(*_: object) -> object:
            found.append(name)
            return SimpleNamespace(prepare=lambda *_: name)

        return SimpleNamespace(open=opened, kernel=known(name).kernel)

    comm = SimpleNamespace(
        reaches=lambda ranks: reached and list(ranks) == list(range(problem.layout.size)),
        refuses=lambda one: None if words or one.file.cell == "ll" else "no whole words",
        transport=lambda: transport,
    )
    monkeypatch.setattr(nvrar, "open_communicator", lambda *_: comm)
    with monkeypatch.context() as patch:
        patch.setattr(_kernels, "find", find)
        return _twice(found, kind, problem)


def _twice(found: list[str], kind: str, problem: Problem) -> str:
    world: Any = Picker(kind)
    session: Any = nvrar.NvrarSession(world, world, 0, None)
    calls = [session.prepare(problem, None, None) for _ in range(2)]
    assert found == calls[:1]
    assert calls[0] == calls[1]
    return found[0]


LL = "nvrar-ll:blocks=2:threads=256"


@pytest.mark.parametrize(
    ("problem", "fabric", "spec"),
    [
        (a_problem(), "nvlink", LL),
        (a_problem(size=8192), "nvlink", LL),
        (a_problem(size=16384), "nvlink", "oneshot"),  # too far from what was measured
        (a_problem(dtype="bfloat16"), "nvlink", "oneshot"),
        (a_problem(ranks=2), "nvlink", "oneshot"),
        (a_problem(), "pcie", "oneshot"),
    ],
)
def test_the_tuned_spec_is_taken_where_it_was_measured(
    monkeypatch: pytest.MonkeyPatch, problem: Problem, fabric: str, spec: str
) -> None:
    measured = table(a_problem(), "nvlink", LL)
    monkeypatch.setattr(tuned, "read_tables", lambda: (measured,))
    monkeypatch.setattr("collbench.host.fabric.gpu_link", lambda: fabric)
    assert picked(monkeypatch, problem) == spec


def test_puts_where_loads_and_stores_do_not_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned, "read_tables", tuple)
    for problem in (a_problem(), a_problem(size=64 << 20), a_problem(layout=VIRTUAL)):
        assert picked(monkeypatch, problem, reached=False) == "nvrar-put"
        assert picked(monkeypatch, problem) == nvrar.default(problem) != "nvrar-put"


@pytest.mark.parametrize(
    ("nodes", "size", "dtype", "words", "name"),
    [  # a trip is worth 250 kB; on nodes of one rank a shard is the message
        (2, 4096, "bfloat16", False, "nvrar-put"),
        (2, 4096, "bfloat16", True, "nvrar-put-lamport"),
        (2, 16 << 20, "bfloat16", True, "nvrar-put-lamport"),
        (2, 16 << 20, "int32", True, "nvrar-put"),
        (4, 16 << 10, "bfloat16", True, "nvrar-put-oneshot-lamport"),  # 1 trip and 49 kB, rather than 2 and 33 kB
        (4, 128 << 10, "bfloat16", True, "nvrar-put-oneshot-lamport"),
        (4, 256 << 10, "bfloat16", True, "nvrar-put-lamport"),
        (4, 64 << 10, "int32", True, "nvrar-put-oneshot"),
        (4, 64 << 10, "bfloat16", False, "nvrar-put-oneshot"),
        (4, 256 << 10, "bfloat16", False, "nvrar-put"),
        (4, 512 << 10, "bfloat16", True, "nvrar-put-lamport"),
        (4, 4 << 20, "bfloat16", True, "nvrar-put-halving"),  # 4 trips and 1.5 times the bytes, rather than 2 and 2
        (8, 4 << 20, "float32", True, "nvrar-put-halving"),
        (3, 4096, "float32", False, "nvrar-put-oneshot"),  # folding takes 2 more trips
    ],
)
def test_between_nodes_trips_and_bytes_decide(
    monkeypatch: pytest.MonkeyPatch, nodes: int, size: int, dtype: str, words: bool, name: str
) -> None:
    monkeypatch.setattr(tuned, "read_tables", tuple)
    problem = a_problem(dtype=dtype, layout=a_layout(nodes, nodes=nodes), size=size)
    assert picked(monkeypatch, problem, reached=False, words=words) == name


@pytest.mark.parametrize(
    ("transport", "size"), [("libfabric/cxi", 42_750), ("ibgda", 57_500), ("tcp", 62_500), ("unknown", 62_500)]
)
def test_what_a_trip_is_worth_depends_on_the_network(
    monkeypatch: pytest.MonkeyPatch, transport: str, size: int
) -> None:
    monkeypatch.setattr(tuned, "read_tables", tuple)
    for near, name in ((-16, "nvrar-put-oneshot"), (16, "nvrar-put")):  # 1 trip saved for 2 flagged shards more
        problem = a_problem(dtype="bfloat16", layout=a_layout(4, nodes=4), size=2 * size + near)
        assert picked(monkeypatch, problem, reached=False, transport=transport) == name


@pytest.mark.parametrize(("network", "profile"), [("slingshot", "slingshot-11"), ("infiniband", "infiniband-ndr")])
def test_a_trip_is_worth_what_the_profiles_of_links_say(network: str, profile: str) -> None:
    latency, per_byte = np.exp(profiles.nvrar_between(profile, "nvrar").constants[[BETWEEN, BETWEEN + 1]])
    assert _trips.BYTES_OF_A_TRIP[network] == pytest.approx(latency / per_byte, rel=0.01)


@pytest.mark.parametrize(
    "problem",
    [a_problem(), a_problem(size=64 << 20), a_problem(layout=VIRTUAL)],
    ids=["4 KiB", "64 MiB", "virtual nodes"],
)
@pytest.mark.parametrize("reached", [True, False])
def test_puts_on_cpu_ranks_whoever_reaches_whom(
    monkeypatch: pytest.MonkeyPatch, problem: Problem, reached: bool
) -> None:
    monkeypatch.setattr(tuned, "read_tables", tuple)
    assert picked(monkeypatch, problem, reached, kind="cpu") == "nvrar-put"


@pytest.mark.parametrize(("fabric", "spec"), [("nvlink", "nvrar-put"), ("shm", LL)])
def test_what_was_tuned_on_gpus_is_not_for_cpu_ranks(monkeypatch: pytest.MonkeyPatch, fabric: str, spec: str) -> None:
    measured = table(a_problem(), fabric, LL)
    monkeypatch.setattr(tuned, "read_tables", lambda: (measured,))
    monkeypatch.setattr("collbench.host.fabric.gpu_link", lambda: "nvlink")
    assert picked(monkeypatch, a_problem(), kind="cpu") == spec
