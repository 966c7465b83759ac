"""Lamport cells hold any bits: words that escape, and the notes on them, in the emulator."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from emulated import Draws, Patch, cast_for, kernel, needs_compiler, patched

from collbench.kernels.kernel import Kernel
from collbench.proof import patterns
from collbench.verify.playing import run_scene
from collbench.verify.scenes import draw_scene

pytestmark = needs_compiler

SIZES = (16640,)  # more than 2048 elements of any type hold a run of words that escape
in_call, in_cells = (partial(Patch, f"common/{name}.cuh") for name in ("call", "cells"))


def first_wrong(backend: Kernel, dtype: str, seeds: int) -> str:
    """What the first scene that goes wrong says, or "": calls on data with words that escape."""
    cast = cast_for(backend, Draws(backend.file.name, "1x3", dtype, SIZES))
    exact = patterns.LAYERS.index("exact")
    for seed in range(seeds):
        scene = replace(draw_scene(cast, seed), chained=False)
        scene = replace(scene, parts=tuple(replace(part, layer=exact) for part in scene.parts))
        if wrong := run_scene(scene).wrong:
            return wrong
    return ""


@pytest.mark.parametrize(("name", "dtype"), [("oneshot", "int32"), ("oneshot", "float64"), ("nvrar-lamport", "int64")])
def test_every_word_arrives(name: str, dtype: str) -> None:
    assert first_wrong(kernel(name), dtype, 4) == ""


MISTAKES = (
    ("sent as it is", (in_cells("return ((word ^ KEY) | 1) == EMPTY ? ESCAPED : word ^ KEY;", "return word ^ KEY;"),)),
    ("no note", (in_call("read_notes(c, at, from);", ";"),)),
    ("any note", (in_call("found >> 32 == u32(epoch)", "true"),)),
    ("one note for two cells", (in_call("COLL_FLAGGED_HALF + offset / 2", "COLL_FLAGGED_HALF + offset / 32 * 8"),)),
    ("all words empty", (in_cells("(x.w[i] ^ KEY) == EMPTY", "((x.w[i] ^ KEY) | 1) == EMPTY"),)),
    (
        "cleared to the wrong word",
        (in_call("{EMPTY, EMPTY, EMPTY, EMPTY});\n        }", "{EMPTY, EMPTY, EMPTY, KEY});\n        }"),),
    ),
)


@pytest.mark.parametrize("patches", [each for _, each in MISTAKES], ids=[name for name, _ in MISTAKES])
def test_a_mistake_is_caught(patches: tuple[Patch, ...], tmp_path: Path) -> None:
    with np.errstate(all="ignore"):
        assert first_wrong(patched(patches, "oneshot", tmp_path), "int32", 5)
