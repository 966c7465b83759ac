"""What tests of mistakes in kernels share: mutants, the twists of their scenes, and whether a scene goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from emulated import Draws, Patch, cast_for

from collbench.kernels.kernel import Kernel
from collbench.verify.playing import SceneResult, run_scene
from collbench.verify.scenes import EmulatedScene, Part, draw_scene, with_silent_rank

in_ll, in_lamport, in_put, in_oneshot, in_machine = (
    partial(Patch, name)
    for name in ("nvrar_ll.cu", "nvrar_lamport.cu", "nvrar_put.cu", "oneshot.cu", "machine/emulated.h")
)
in_cells, in_buffers, in_call, in_epoch, in_waiting, in_puts, in_nodes = (
    partial(Patch, f"common/{name}.cuh") for name in ("cells", "buffers", "call", "epoch", "waiting", "put", "nodes")
)
Twist = Callable[[EmulatedScene], EmulatedScene]


def as_drawn(scene: EmulatedScene) -> EmulatedScene:
    """No twist."""
    return scene


def of_parts(scene: EmulatedScene, change: Callable[[Part], Part]) -> EmulatedScene:
    """The scene with all its parts changed."""
    return replace(scene, parts=tuple(map(change, scene.parts)))


def near_wrap(scene: EmulatedScene) -> EmulatedScene:
    """The third call is the first of a new era."""
    return replace(scene, first_epoch=(1 << 32) - 2)


def special(scene: EmulatedScene) -> EmulatedScene:
    """Inputs with NaN, some of nothing but ones."""
    return of_parts(scene, lambda part: replace(part, layer=-1))


def one_never_comes(scene: EmulatedScene) -> EmulatedScene:
    """All other ranks must give up."""
    return with_silent_rank(scene, scene.schedule.seed % scene.layout.size)


def in_place(scene: EmulatedScene) -> EmulatedScene:
    """Every output is written over its input."""
    return of_parts(replace(scene, chained=False), _in_place)


def _in_place(part: Part) -> Part:
    return replace(part, problem=replace(part.problem, in_place=True), shifts=(part.shifts[0],) * 2)


@dataclass(frozen=True)
class Mutant:
    """A mistake, and within how many seeds of which scenes, after a ``twist``, it is caught."""

    name: str
    draws: Draws
    seeds: int
    patches: tuple[Patch, ...]
    twist: Twist = as_drawn


def mutant(name: str, draws: Draws, seeds: int, *patches: Patch, twist: Twist = as_drawn) -> Mutant:
    """A line of the table."""
    return Mutant(name, draws, seeds, patches, twist)


def played(backend: Kernel, draws: Draws, twist: Twist, seed: int) -> SceneResult:
    """What becomes of the scene of a seed."""
    with np.errstate(all="ignore"):  # a wrong answer may be infinite
        return run_scene(twist(draw_scene(cast_for(backend, draws), seed)))


def first_wrong(backend: Kernel, draws: Draws, twist: Twist, seeds: int) -> str:
    """What the first scene that goes wrong says, or ""."""
    return next((reported for seed in range(seeds) if (reported := played(backend, draws, twist, seed).wrong)), "")
