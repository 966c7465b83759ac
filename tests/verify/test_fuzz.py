"""Hypothesis makes up scenes for the emulator: sizes, launch shapes, communicators, epochs, all fields of a schedule.

``make test`` tries a few, always the same, with kernels compiled for few types and layouts. With the number of
examples for each kernel in COLLBENCH_FUZZ (``make fuzz``) they are of every kind and new each time. A failure is made
smaller, printed with the line that plays it again (``@reproduce_failure``), and tried first in the next run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from emulated import KERNELS, a_layout, kernel, needs_compiler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collbench.kernels.kernel import Kernel
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.verify import emulator, schedules
from collbench.verify.casts import scratch_for
from collbench.verify.playing import run_scene
from collbench.verify.scenes import EmulatedScene, Part, with_silent_rank
from collbench.verify.schedules import ALWAYS, Schedule

pytestmark = needs_compiler

EXAMPLES = int(os.environ.get("COLLBENCH_FUZZ") or 0)
SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much)  # compiling counts as drawing where it is done there
settings.register_profile(
    "few", max_examples=20, derandomize=True, database=None, deadline=None, print_blob=True, suppress_health_check=SLOW
)
settings.register_profile(
    "many", max_examples=max(1, EXAMPLES), deadline=None, print_blob=True, suppress_health_check=SLOW
)
MOST_THREADS = 2048  # of all ranks and communicators
MOST_ELEMENTS = 3000
# Before a thread gives up, it looks 2048 times at a cell of every rank, each time at up to four pieces. All of that is
# no progress: the emulator must not take it for a livelock, nor may it take minutes.
FEW_LOOKS, PATIENT_EVENTS = 1500, (20_000_000, 8192)


@dataclass(frozen=True)
class Build:
    """What a kernel is compiled for."""

    layout: str
    dtype: str
    op: str
    threads: int
    batch: int = 1


BUILDS = {
    "nvrar-ll": (
        Build("3x2", "bfloat16", "sum", 64), Build("7x1", "int32", "min", 32), Build("1x5", "float16", "max", 33),
    ),
    "nvrar-lamport": (
        Build("2x3", "float16", "sum", 32), Build("6x1", "float32", "sum", 64, 2), Build("3x2", "int32", "sum", 48),
    ),
    "nvrar-put": (
        Build("5x2", "bfloat16", "sum", 32), Build("4x1", "float32", "max", 64), Build("1x3", "int32", "sum", 16),
    ),
    "oneshot": (
        Build("2x3", "float16", "sum", 64), Build("1x4", "int32", "min", 33), Build("7x1", "float32", "max", 32),
    ),
}  # fmt: skip


@st.composite
def any_build(draw: st.DrawFn, name: str) -> Build:
    """Any layout, type, operation and number of threads that a kernel takes."""
    file = kernel(name).file
    nodes, each = draw(st.tuples(st.integers(1, 8), st.integers(1, 6)).filter(lambda shape: shape != (1, 1)))
    powers = st.sampled_from((1, 2, 16, 32, 64, 128))  # a chunk of nvrar-put is a part of a tile
    return Build(
        f"{nodes}x{each}",
        draw(st.sampled_from(file.dtypes)),
        draw(st.sampled_from(file.ops)),
        draw(powers if name == "nvrar-put" else powers | st.integers(1, 130)),
        draw(st.sampled_from(file.defines.get("COLL_BATCH", (1,)))),
    )


@st.composite
def any_schedule(draw: st.DrawFn, ranks: int, blocks: int, threads: int) -> Schedule:
    """Every field for itself."""
    chance = st.sampled_from((0, 128, ALWAYS)) | st.integers(0, ALWAYS)
    victim = draw(st.integers(0, len(schedules.VICTIMS) - 1))
    numbers = {schedules.WARP: blocks * -(-threads // 32), schedules.BLOCK: blocks, schedules.LINK: ranks}
    order = st.integers(0, len(schedules.ORDERS) - 1)
    return Schedule(
        seed=draw(st.integers(0, (1 << 63) - 1)),
        run_order=draw(order), arrival_order=draw(order),
        prompt=draw(chance), run=draw(chance), tear=draw(chance),
        stay=draw(st.integers(0, ALWAYS - 1)),  # ALWAYS would keep others from ever going on
        stale=draw(st.just(0) | st.integers(0, 224)),  # ALWAYS would keep a spin from ever seeing a store
        copies=draw(st.booleans()),
        victim=victim,
        pe=draw(st.integers(0, ranks - 1)),
        number=draw(st.integers(0, numbers.get(victim, 1) - 1)),
    )  # fmt: skip


@st.composite
def any_work(draw: st.DrawFn, layout: Layout, build: Build) -> Problem:
    """A few elements, or many."""
    dtype = DTYPES[build.dtype]
    count = draw(st.integers(1, 40) | st.integers(1, MOST_ELEMENTS))
    in_place = draw(st.booleans())
    return Problem(layout, COLLECTIVES["all_reduce"], dtype, build.op, count * dtype.itemsize, "chain", "hot", in_place)


@st.composite
def any_part(draw: st.DrawFn, played: Kernel, layout: Layout, build: Build, most: int) -> Part:
    """Calls on any message in up to ``most`` blocks, aligned or not."""
    problem = draw(any_work(layout, build))
    send = draw(st.just(0) | st.integers(0, 9))
    return Part(
        kernel=played,
        problem=problem,
        shape=(draw(st.integers(1, most)), build.threads),
        shifts=(send, send if problem.in_place else draw(st.just(0) | st.integers(0, 9))),
        layer=draw(st.integers(-1 if DTYPES[build.dtype].is_float else 0, 3)),
    )


@st.composite
def any_scene(draw: st.DrawFn, played: Kernel, build: Build) -> EmulatedScene:
    """Any calls of a kernel that is compiled so; sometimes one rank never makes them."""
    layout = a_layout(build.layout)
    comms = draw(st.integers(1, 3))
    most = max(1, min(6, MOST_THREADS // (layout.size * comms * build.threads)))
    parts = draw(st.lists(any_part(played, layout, build, most), min_size=1, max_size=3))
    blocks = max(part.shape[0] for part in parts)
    eras = st.sampled_from((2, 3)) | st.integers((1 << 32) - 9, (1 << 32) - 1) | st.just((1 << 33) - 2)
    scene = EmulatedScene(
        parts=tuple(parts),
        comms=comms,
        first_epoch=draw(eras),
        scratch=scratch_for([played], layout, MOST_ELEMENTS * DTYPES[build.dtype].itemsize),
        schedule=draw(any_schedule(layout.size, blocks, build.threads)),
        pes=tuple(draw(st.permutations(range(layout.size)))),
        joined=played.file.nodes == "one" or draw(st.booleans()),
        chained=not any(part.problem.in_place for part in parts) and draw(st.booleans()),
    )
    few = layout.size**2 * blocks * build.threads <= FEW_LOOKS
    silent = draw(st.none() | st.none() | st.none() | st.integers(0, layout.size - 1)) if few else None
    return scene if silent is None else with_silent_rank(scene, silent)


@pytest.fixture(scope="module", autouse=True)
def _patient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulator, "PATIENT_EVENTS", PATIENT_EVENTS)
        yield


@pytest.mark.parametrize("name", KERNELS)
@settings(settings.get_profile("many" if EXAMPLES else "few"))
@given(data=st.data())
def test_every_answer_is_right_in_any_order(name: str, data: st.DataObject) -> None:
    build = data.draw(any_build(name) if EXAMPLES else st.sampled_from(BUILDS[name]), "build")
    defines = {"COLL_BATCH": build.batch} if kernel(name).file.defines else {}
    scene = data.draw(any_scene(Kernel(kernel(name).file, defines), build), "scene")
    with np.errstate(all="ignore"):
        verdict = run_scene(scene)
    assert verdict.wrong == "", (verdict.waits, str(scene))
