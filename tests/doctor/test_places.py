"""Where ranks run: far from their GPUs or near them, on nodes that are alike or not."""

from __future__ import annotations

from collbench.doctor.findings import FINE, NOTE
from collbench.doctor.places import Seat, far_cores, spans, unlike_gpus
from collbench.host.probes import GpuState, Node

NEAR = frozenset(range(48, 64))


def seat(rank: int = 0, cores: frozenset[int] = NEAR, near: frozenset[int] = NEAR) -> Seat:
    """A rank on those cores."""
    return Seat(rank, "nid1", cores, "0000:c1:00.0", near, ("cxi3",))


def node(host: str, *gpus: str) -> Node:
    """A host with these GPUs."""
    states = tuple(GpuState(index, name, "", None, None, None, None, None) for index, name in enumerate(gpus))
    return Node(host, 64, states, (), (), None, None)


def test_a_rank_far_from_its_gpu_is_named_with_what_is_near() -> None:
    found = far_cores([seat(), seat(1, frozenset(range(16)))])
    assert found is not None
    assert found.grade == NOTE
    assert found.found == (
        "1 of 2 ranks run far from their GPU: rank 1 of nid1 on cores 0-15, its GPU 0000:c1:00.0 and cxi3 near 48-63"
    )
    assert "CUDA_VISIBLE_DEVICES=3,2,1,0" in found.cure


def test_ranks_near_their_gpus_and_ranks_of_which_nothing_is_known() -> None:
    near = far_cores([seat(), seat(1, frozenset(range(128)))])  # not bound
    assert near is not None
    assert near.grade == FINE
    assert far_cores([seat(near=frozenset())]) is None
    assert far_cores([]) is None


def test_spans() -> None:
    assert spans(frozenset({0, 1, 2, 5, 8, 9})) == "0-2,5,8-9"


def test_nodes_with_unlike_gpus() -> None:
    small, large = "NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB"
    found = unlike_gpus([node("a", small, small), node("b", large, large), node("c", small, small), node("login")])
    assert found is not None
    assert found.grade == NOTE
    assert found.found == f"2 of 3 nodes have 2 × {small}; b: 2 × {large}"
    assert unlike_gpus([node("a", small), node("b", small)]) is None
    assert unlike_gpus([node("a"), node("b")]) is None
    fewer = unlike_gpus([node("a", small, small), node("b", small)])
    assert fewer is not None
