"""Profiles of links: fitted to our evidence and to public curves, or assumed."""

from __future__ import annotations

import numpy as np
import pytest
from readmes import ROOT

from collbench.fit import public_curves
from collbench.fit.curves import curves_of
from collbench.fit.fitting import fit_curve
from collbench.fit.profiles import NVLINK, Profiled, inside, nvrar_between, slingshot
from collbench.plan.bounds import NVLINKS, bound_seconds
from collbench.results.records import load

SIZES = [1 << power for power in (12, 16, 20, 26)]

FUSED_AND_PLAIN = ("all_reduce", "all_reduce_rms_norm")


@pytest.mark.parametrize("backend", NVLINK)
def test_nvlink_is_what_our_evidence_gives(backend: str) -> None:
    path = ROOT / f"results/h200x4-{'nvrar-' * (backend == 'nvrar')}worlds.csv"
    rows = [row for row in load(path) if (row.dtype, row.backend) == ("bfloat16", backend)]
    (curve,) = curves_of(rows)
    again, kept = fit_curve(curve, str(path)).law, inside(backend)
    assert again.shape == kept.shape
    for ranks in (2, 4):
        assert again.us(SIZES, ranks, 1)[0] == pytest.approx(kept.us(SIZES, ranks, 1)[0], rel=0.01)
    for errors, (low, high) in ((again.errors, kept.errors), (again.world_errors, kept.world_errors)):
        assert np.percentile(errors, [2.5, 97.5]) == pytest.approx([low, high], abs=0.01)


def test_nccl_s_steps_on_nvlink_are_those_of_its_own_constants() -> None:
    _, ll, _, simple, _ = NVLINK["nccl"].constants
    assert ll == pytest.approx(0.6, rel=0.25), "LL"
    assert simple == pytest.approx(3.4, rel=0.25), "Simple"


def test_slingshot_s_law_agrees_with_the_public_curves() -> None:
    sizes, measured = zip(*public_curves.points(), strict=True)
    errors = np.abs(np.array(measured) / slingshot().us(sizes, 8, 2)[0] - 1)
    assert np.median(errors) < 0.12


def test_on_two_nodes_slingshot_takes_what_the_curves_took() -> None:
    source = Profiled("slingshot-11", "nccl")
    for size, us in public_curves.points():
        found = source.of("all_reduce", size, 8, 2)
        assert found.low <= us <= found.high
        assert found.us == pytest.approx(public_curves.us(size))
    between = source.of("all_reduce", 16 << 10, 8, 2).us
    assert 33.2 < between < 40.0
    assert source.of("all_reduce", 16 << 20, 8, 2).us == pytest.approx(2 * (341 * 345) ** 0.5)


def test_on_more_nodes_slingshot_scales_as_its_law() -> None:
    law, source = slingshot(), Profiled("slingshot-11", "nccl")
    scaled = law.us([65536], 16, 4)[0, 0] / law.us([65536], 8, 2)[0, 0]
    found = source.of("all_reduce", 65536, 16, 4)
    assert found.us == pytest.approx(scaled * (65.5 * 61.0) ** 0.5)
    assert found.low < found.us < found.high


def test_inside_a_node_every_profile_is_nvlink() -> None:
    for profile in ("slingshot-11", "infiniband-ndr"):
        found = Profiled(profile, "nvrar").of("all_reduce", 65536, 4, 1)
        assert found == Profiled("nvlink", "nvrar").of("all_reduce", 65536, 4, 1)


def test_nvrar_between_nodes_by_hand() -> None:
    """2 nodes of 4, 256 KiB by the code's volume: 2 steps and 1.5 n inside, a step and eta n/4 between nodes."""
    base, alpha, byte = NVLINK["nvrar"].constants
    n = 1 << 18
    want = base + 2 * alpha + 1.5 * n * byte / 1e3 + 5.0 + 2 * n / 4 / (0.92 * 50e3)
    found = Profiled("infiniband-ndr", "nvrar").of("all_reduce", n, 8, 2)
    assert found.us == pytest.approx(want)
    assert found.high == pytest.approx(Profiled("infiniband-ndr", "nccl").of("all_reduce", n, 8, 2).us / 0.7)
    paper = nvrar_between("infiniband-ndr", "nvrar-paper").us([n], 8, 2)[0, 0]
    assert paper == pytest.approx(want + 4 * alpha - n / 4 / (0.92 * 50e3)), "6 steps inside, half the volume between"


def test_other_collectives_have_assumed_constants() -> None:
    for profile in ("slingshot-11", "infiniband-ndr"):
        assert Profiled(profile, "nccl").of("all_gather", 4096, 8, 2).source.startswith(f"{profile} nccl")
        assert "half ring" in Profiled(profile, "nccl").of("all_gather", 4096, 8, 2).source
        assert "direct" in Profiled(profile, "nvrar").of("all_gather", 4096, 8, 2).source
    found = Profiled("nvlink", "nccl").of("send", 1 << 24, 2, 1)
    base, _, _, alpha, byte = NVLINK["nccl"].constants
    assert found.us == pytest.approx(base + alpha + (1 << 24) * byte / 1e3)
    assert (found.basis, Profiled("nvlink", "nccl").of("all_reduce", 1 << 20, 2, 1).basis) == ("assumed", "modelled")


@pytest.mark.parametrize(("profile", "world"), [("nvlink", (4, 1)), ("slingshot-11", (8, 2))])
@pytest.mark.parametrize("operation", ["send", "broadcast", "gather", "all_to_all"])
def test_where_nvrar_has_no_kernel_nccl_runs(profile: str, world: tuple[int, int], operation: str) -> None:
    found = Profiled(profile, "nvrar").of(operation, 1 << 16, *world)
    assert found == Profiled(profile, "nccl").of(operation, 1 << 16, *world)


def test_nothing_fused_was_fitted() -> None:
    plain, fused = (Profiled("nvlink", "nvrar").of(name, 1 << 16, 4, 1) for name in FUSED_AND_PLAIN)
    assert (plain.us, plain.basis, fused.basis) == (fused.us, "modelled", "assumed")


@pytest.mark.parametrize("backend", NVLINK)
def test_no_prediction_is_below_the_bound(backend: str) -> None:
    for ranks in (2, 4):
        for size, us in zip(SIZES, inside(backend).us(SIZES, ranks, 1)[0], strict=True):
            assert us >= 1e6 * bound_seconds("all_reduce", size, ranks, NVLINKS["H200"])
