"""Curves of results, and what each algorithm asks of the links."""

from __future__ import annotations

import pytest
from samples import timed, untimed

from collbench.backends._trips import trips
from collbench.errors import UsageError
from collbench.fit.algorithms import ALGORITHMS, counts_of
from collbench.fit.curves import curves_of, ways
from collbench.fit.families import GPU_RATIO, HOST_RATIO, NCCL_RATIO, family_of


def test_the_median_over_launches_is_a_point() -> None:
    rows = [timed(us, launch=launch) for launch, us in enumerate((9.0, 10.0, 30.0))]
    (curve,) = curves_of([*rows, timed(7.0, ranks=2), timed(8.0, bytes=8192)])
    assert [(point.size, point.world, point.us) for point in curve.points] == [
        (4096, (2, 1), 7.0), (4096, (4, 1), 10.0), (8192, (4, 1), 8.0),
    ]  # fmt: skip
    assert (curve.sizes, curve.worlds) == ((4096, 8192), ((2, 1), (4, 1)))


def test_bad_cases_uneven_nodes_and_single_ranks_are_left_out() -> None:
    bad = [timed(9.0), untimed("wrong", launch=1)]
    assert curves_of([*bad, timed(9.0, ranks=5, nodes=2, gpus_per_node=None), timed(9.0, ranks=1)]) == []


def test_other_types_modes_and_backends_are_other_curves() -> None:
    rows = [timed(9.0), timed(9.0, dtype="bfloat16"), timed(9.0, mode="isolated"), timed(9.0, backend="mpi-ring")]
    rows += [timed(9.0, skew="20us"), timed(9.0, groups=2)]
    assert len(curves_of(rows)) == 6


def test_ways_have_bytes_on_each_level() -> None:
    ring = family_of("mpi-ring", "all_reduce", on_host=True)
    assert ways(ring, 1000, 4, 1) == [(6.0, 1500.0, 0.0, 0.0)]
    assert ways(ring, 1000, 4, 2) == [(3.0, 0.0, 3.0, 1500.0)]


def test_virtual_nodes_have_one_kind_of_link() -> None:
    nvrar, nccl = (family_of(name, "all_reduce", on_host=False) for name in ("nvrar", "nccl"))
    assert ways(nvrar, 1000, 4, 2, virtual=True) == [(3.0, 1500.0, 0.0, 0.0)] * 3, "its schedule sees the nodes"
    assert ways(nccl, 1000, 4, 2, virtual=True) == ways(nccl, 1000, 4, 1), "NCCL does not"
    assert ways(nvrar, 1000, 4, 1) == [(1.0, 3000.0, 0.0, 0.0)] + [(2.0, 1500.0, 0.0, 0.0)] * 2


def test_what_mpi_nvrar_does_between_nodes_is_in_its_spec() -> None:
    def algorithms(spec: str) -> tuple[str, ...]:
        return family_of(spec, "all_reduce", on_host=True).on(nodes=4)

    assert algorithms("mpi-nvrar") == algorithms("mpi-nvrar:between=doubling") == ("nvrar",)
    assert algorithms("mpi-nvrar:between=one-shot") == ("nvrar, one-shot",)
    assert len(algorithms("mpi-nvrar:between=by-size:trip=64K")) == 4
    assert {"nvrar", *algorithms("mpi-nvrar:between=by-size")} <= ALGORITHMS["all_reduce"].keys()


def test_between_nodes_that_only_puts_reach_nvrar_takes_what_suits_the_size() -> None:
    found = family_of("nvrar", "all_reduce", on_host=False)
    assert ways(found, 1000, 4, 4) == [(0.0, 0.0, 2.0, 2000.0), (0.0, 0.0, 1.0, 3000.0), (0.0, 0.0, 4.0, 1500.0)]
    assert found.on(4, virtual=True) == family_of("nvrar", "all_reduce_rms_norm", on_host=False).on(4) == ("nvrar",)


@pytest.mark.parametrize(
    "name",
    ["nvrar-put", "nvrar-put-lamport", "nvrar-put-oneshot", "nvrar-put-oneshot-lamport", "nvrar-put-halving"],
)
@pytest.mark.parametrize("nodes", range(1, 10))
def test_a_kernel_takes_the_trips_by_which_nvrar_chooses_it(name: str, nodes: int) -> None:
    (algorithm,) = family_of(name, "all_reduce", on_host=False).on(nodes)
    assert counts_of("all_reduce", algorithm, 2 * nodes, nodes).steps_between == trips(name, nodes)


@pytest.mark.parametrize(
    ("backend", "operation", "on_host", "algorithms", "ratio"),
    [
        ("nccl@tree-ll", "all_reduce", False, ("ring", "tree"), NCCL_RATIO),
        ("nvrar-lamport:blocks=64", "all_reduce", False, ("nvrar",), GPU_RATIO),
        ("oneshot", "all_reduce", True, ("one-shot",), HOST_RATIO),
        ("nvrar-put-oneshot:chunk=16", "all_reduce", False, ("nvrar, one-shot",), GPU_RATIO),
        ("nvrar-put-halving@HEAD~1", "all_reduce", False, ("nvrar, halving",), GPU_RATIO),
        ("mpi", "all_reduce", True, ("recursive doubling", "rabenseifner"), HOST_RATIO),
        ("late", "all_reduce_rms_norm", False, ("one-shot", "nvrar"), GPU_RATIO),
        ("nccl", "all_gather", False, ("half ring",), NCCL_RATIO),
        ("nvrar", "reduce_scatter", False, ("direct",), GPU_RATIO),
        ("mpi", "broadcast", True, ("binomial",), HOST_RATIO),
        ("nccl", "send_recv", False, ("message",), NCCL_RATIO),
    ],
)
def test_families(backend: str, operation: str, on_host: bool, algorithms: tuple[str, ...], ratio: float) -> None:
    found = family_of(backend, operation, on_host)
    assert (found.algorithms, found.ratio) == (algorithms, ratio)


def test_a_collective_without_a_model_is_refused() -> None:
    with pytest.raises(UsageError, match="no model of scan"):
        family_of("mpi", "scan", on_host=True)
