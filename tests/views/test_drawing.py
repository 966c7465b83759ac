"""Colours and markers: fixed for known backends, and no two alike."""

from __future__ import annotations

from collbench.views import drawing


def test_colours_are_fixed_for_known_backends_and_orderly_for_others() -> None:
    alone, crowd = drawing.styles(["nccl"]), drawing.styles(["nccl", "zeta", "alpha", "nvrar"])
    assert alone["nccl"] == crowd["nccl"]
    assert crowd == drawing.styles(["alpha", "nvrar", "zeta", "nccl"])
    assert crowd["alpha"] == drawing.styles(["alpha"])["alpha"]


def test_no_two_backends_look_alike() -> None:
    looks = list(drawing.styles([f"kernel{index}" for index in range(20)]).values())
    assert len(set(looks)) == len(looks)
    assert len({colour for colour, _ in drawing.KNOWN.values()}) == len(drawing.KNOWN)
