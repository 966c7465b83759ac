"""Colours and markers: fixed for known backends, alike in every chart, no two alike, and apart for the colour-blind."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from collbench.views.palette import KNOWN, LOOKS, OTHERS, styles

# Full deficiency of one kind of cone, on linear RGB: G. M. Machado et al., IEEE TVCG 15, 2009.
VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, vision: str) -> np.ndarray:
    """A colour as it is seen, in CIELAB."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / (0.9505, 1, 1.089)
    fx, fy, fz = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_are_far_apart_for_every_vision(vision: str) -> None:
    colours = [*(colour for colour, _ in KNOWN.values()), *OTHERS]
    seen = [lab(colour, vision) for colour in colours]
    near = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(zip(colours, seen, strict=True), 2)
        if np.linalg.norm(a - b) < 12
    ]
    assert near == []


def test_a_backend_looks_alike_in_every_company() -> None:
    alone = styles(["theirs"])
    crowd = styles(["nccl", "theirs", "nvrar", "nccl@tree-ll"])
    assert (crowd["theirs"], crowd["nccl"]) == (alone["theirs"], KNOWN["nccl"])
    assert styles(["nccl@tree-ll"])["nccl@tree-ll"] == crowd["nccl@tree-ll"]


def test_no_two_backends_look_alike_and_colours_repeat_last() -> None:
    names = [f"kernel{index}" for index in range(28)]
    looks = list(styles(names).values())
    assert len(set(looks)) == len(looks) == len(KNOWN) + len(names)
    assert len({colour for colour, _ in KNOWN.values()}) == len(KNOWN)
    few = styles(names[: len(OTHERS)])
    assert {few[name][0] for name in names[: len(OTHERS)]} == set(OTHERS)


def test_more_backends_than_looks_are_drawn() -> None:
    names = [f"kernel{index}" for index in range(40)]
    assert {styles(names)[name] for name in names} == set(LOOKS)
