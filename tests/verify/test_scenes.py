"""Scenes: what a seed draws, and mistakes that only some scenes show.

These have several kernels, PEs that are not places, many nodes, long messages, outputs off by one, the flags of an era
before, calls that read what others wrote, or a rank whose report is read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from emulated import KERNELS, Draws, a_layout, cast_for, kernel, needs_compiler, patched
from mutants import (
    Mutant,
    first_wrong,
    in_call,
    in_cells,
    in_epoch,
    in_lamport,
    in_ll,
    in_oneshot,
    in_puts,
    in_waiting,
    mutant,
    one_never_comes,
)  # fmt: skip

from collbench.kernels.abi import FIRST_EPOCH
from collbench.verify import emulator
from collbench.verify.casts import cast_of
from collbench.verify.emulated import LAYOUTS, SIZES
from collbench.verify.scenes import EmulatedScene, draw_scene

pytestmark = needs_compiler

SOME = (4, 1028, 4100)
LL = Draws("nvrar-ll", "2x2", "float32", SOME)
EIGHT = Draws("nvrar-ll", "8x1", "float32", (4, 1028))
SIX = Draws("nvrar-ll", "6x1", "bfloat16", (1028,))
MIXED = Draws("oneshot", "4x1", "float32", SOME, others=("nvrar-lamport",))
MIXED_TOO = Draws("nvrar-lamport", "2x2", "float32", SOME, others=("oneshot",))
HOP = Draws("oneshot", "1x3", "float32", SOME)
LARGEST = Draws("oneshot", "1x3", "float32", SOME, op="max")
PUTS = Draws("nvrar-put", "4x1", "float32", (1028,))
BATCHES = Draws("nvrar-lamport", "2x2", "float32", SOME, own=(("COLL_BATCH", 2),))
PARTS = Draws("nvrar-lamport", "1x6", "float32", (1028,), threads=512, own=(("COLL_BATCH", 2),))


def into_era(scene: EmulatedScene) -> EmulatedScene:
    """At least six calls, all but the first of a new era."""
    return replace(scene, first_epoch=(1 << 32) - 1, parts=scene.parts * 2)


def chained(scene: EmulatedScene) -> EmulatedScene:
    """Each call reads the output of the one before."""
    parts = (replace(part, problem=replace(part.problem, in_place=False)) for part in scene.parts)
    return replace(scene, chained=True, parts=tuple(parts))


BOTH = "const u64 both = u64(a.in) | u64(a.out);  // one alignment test for both"
BEGIN = "const Call call = begin_call(a);"
MINE = "blockIdx.x * blockDim.x + threadIdx.x"
EARLY = f"""const Input before(a.in, a.count);
  Words early{{}};
  if ({MINE} < before.cells()) early = before.load({MINE});
  {BEGIN}"""
OWN = "const Words own = input.load(shards.cell(me, c));"
EARLY_OWN = f"""const Input before(a.in, a.count);
  const Shards parts(a, before);
  Words early{{}};
  if (parts.exists(parts.me, {MINE})) early = before.load(parts.cell(parts.me, {MINE}));
  {BEGIN}"""
SENT = "UNROLL for (int r = 1; r < PLACES; r++) call.send((a.place + r) % PLACES, at(a.place, c), mine);"
GATHERED = "UNROLL for (int r = 1; r < LOCAL; r++) send(sum, round, place_of(node, (me + r) % LOCAL), GATHER + me);"
PARTNER = "place_of(node ^ (1 << k), me), DOUBLING + k, k);"
FENCE = "    __threadfence();  // with block 0's fence"

# fmt: off
MUTANTS = (
    # Several kernels on one communicator.
    mutant("cells sent to itself by one hop", MIXED, 10, in_oneshot(SENT, SENT.replace("r = 1", "r = 0"))),
    mutant("cells sent to itself by batches", MIXED_TOO, 10, in_lamport(GATHERED, GATHERED.replace("r = 1", "r = 0"))),
    # PEs and places.
    mutant("put to the place", PUTS, 10, in_puts("call.a.pe[place]", "place")),
    mutant("meeting with the place", PUTS, 10, in_epoch("a.pe[q]", "q"), twist=into_era),
    # Nodes.
    mutant("partner of the third step", EIGHT, 5, in_ll(PARTNER, PARTNER.replace("1 << k", "k < 2 ? 1 << k : 3"))),
    mutant("third step in the slot of the second", EIGHT, 20,
           in_ll(PARTNER, PARTNER.replace("DOUBLING + k", "DOUBLING + (k < 2 ? k : 1)"))),
    mutant("folded into the other", SIX, 20,
           in_ll("call.send(place_of(node - CORE, me), slot(FOLD",
                 "call.send(place_of((node + 1) % EXTRA, me), slot(FOLD")),
    # Tiles, batches and parts.
    mutant("stride of tiles", LL, 10, in_call("c / TILE * (SLOTS * TILE * CELL)", "c / TILE * (TILE * CELL)")),
    mutant("stride of a batch", BATCHES, 5, in_lamport("b * row; }", "b * (row - 1); }")),
    mutant("sum of the first part", PARTS, 5,
           in_lamport("sum[part + b] = round_sum(total);", "sum[b] = round_sum(total);")),
    # What a reduction begins with.
    mutant("sum from +0", HOP, 20, in_cells("s.v[i] = widen(x, i);", "s.v[i] = combine(Wide(0), widen(x, i));")),
    mutant("largest from 0", LARGEST, 5, in_cells("s.v[i] = widen(x, i);", "s.v[i] = combine(Wide(0), widen(x, i));")),
    mutant("largest from the least finite number", LARGEST, 20,
           in_cells("s.v[i] = widen(x, i);", "s.v[i] = combine(Wide(-3.4028234663852886e38f), widen(x, i));")),
    # Alignment.
    mutant("alignment of the output", HOP, 20, in_oneshot(BOTH, "const u64 both = u64(a.in);")),
    mutant("alignment of the input", HOP, 20, in_oneshot(BOTH, "const u64 both = u64(a.out);")),
    # Eras.
    mutant("not cleared", LL, 5, in_epoch("store_cell(flagged + i * CELL, {0, 0, 0, 0});", ";"), twist=into_era),
    mutant("half of it cleared", LL, 5,
           in_epoch("2 * COLL_FLAGGED_HALF / CELL", "COLL_FLAGGED_HALF / CELL"), twist=into_era),
    mutant("era from 0", LL, 5, in_call("add_word(ticks, 2 * TICKS)", ""), twist=into_era),
    mutant("cleared without a fence", LL, 20,
           in_epoch("    __threadfence_system();  // what the whole block", "    //"), twist=into_era),
    mutant("era read without a fence", LL, 20, in_epoch(FENCE, "  //"), twist=into_era),
    # Reports.
    mutant("blames itself", HOP, 3,
           in_oneshot("Where{EXCHANGE, 0, u32(first + k)}", "Where{EXCHANGE, 0, u32(a.place)}"), twist=one_never_comes),
    mutant("blames the next", LL, 3,
           in_ll("{STEP, step, u32(partner)}", "{STEP, step, u32((partner + 1) % PLACES)}"), twist=one_never_comes),
    mutant("reports for another", HOP, 3,
           in_waiting("s->place = place", "s->place = w.partner"), twist=one_never_comes),
    # Chains.
    mutant("first cell before the wait", HOP, 10, in_oneshot(BEGIN, EARLY),
           in_oneshot("mine = input.load(c);", f"mine = c == {MINE} ? early : input.load(c);"), twist=chained),
    mutant("own cell before the wait", LL, 10, in_ll(BEGIN, EARLY_OWN),
           in_ll(OWN, f"const Words own = c == {MINE} ? early : input.load(shards.cell(me, c));"), twist=chained),
)
# fmt: on


@pytest.fixture(autouse=True)
def _few_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "MOST_EVENTS", 3_000_000)


@pytest.mark.parametrize("one", MUTANTS, ids=[one.name.replace(" ", "-") for one in MUTANTS])
def test_a_mistake_is_caught(one: Mutant, tmp_path: Path) -> None:
    backend = patched(one.patches, one.draws.kernel, tmp_path)
    assert first_wrong(backend, one.draws, one.twist, one.seeds), f"{one.seeds} seeds did not find it"


KINDS = {(one.draws, one.twist): one for one in sorted(MUTANTS, key=lambda one: one.seeds)}


@pytest.mark.parametrize(
    "one", KINDS.values(), ids=[f"{draws.kernel}-{draws.layout}-{twist.__name__}" for draws, twist in KINDS]
)
def test_a_kernel_without_it_passes(one: Mutant) -> None:
    assert first_wrong(kernel(one.draws.kernel), one.draws, one.twist, one.seeds) == ""


def test_kernels_layouts_and_seeds_have_scenes_of_their_own() -> None:
    scenes = [
        draw_scene(cast_for(kernel(name), Draws(name, layout, "float32", SOME)), seed)
        for name in ("nvrar-ll", "oneshot") for layout in ("2x2", "4x1") for seed in range(3)
    ]  # fmt: skip
    assert len({(scene.schedule.seed, str(scene)) for scene in scenes}) == len(scenes)
    assert len({scene.schedule.seed for scene in scenes}) == len(scenes)


def test_no_row_is_longer_than_the_messages() -> None:
    cast = cast_of(kernel("oneshot-norm"), [], a_layout("1x2"), ("float16",), ("sum",), (16,), 0)
    assert [build.hidden for build in cast.leads] == [8]


def test_default_scenes_are_of_every_kind() -> None:
    ours = [kernel(name) for name in KERNELS]
    casts = [
        cast_of(one, ours, a_layout(layout), one.file.dtypes, one.file.ops, SIZES, 0)
        for one in ours for layout in LAYOUTS
    ]  # fmt: skip
    scenes = [draw_scene(cast, seed) for cast in casts for seed in range(1, 21)]
    parts = [part for scene in scenes for part in scene.parts]
    assert {part.problem.dtype.name for part in parts} >= {"float16", "bfloat16", "float32", "int32"}
    assert {part.problem.op for part in parts} == {"sum", "min", "max"}
    assert {part.shifts for part in parts} == {(0, 0), (1, 1), (1, 0), (0, 1)}
    assert {part.kernel.parameters["COLL_BATCH"] for part in parts if part.kernel.file.name == "nvrar-lamport"} == {
        1,
        2,
    }
    assert {part.shape[1] for part in parts} == {32, 64, 512}
    assert max(part.problem.bytes for part in parts) > 20_000
    assert any(len({part.kernel.file.name for part in scene.parts}) == 3 for scene in scenes)
    assert any(sorted(scene.layout.nodes) != list(scene.layout.nodes) for scene in scenes)
    assert {scene.joined for scene in scenes} == {scene.chained for scene in scenes} == {False, True}
    assert {scene.first_epoch >> 32 for scene in scenes if scene.first_epoch != FIRST_EPOCH} == {0, 1}
    assert all(scene.joined or all(part.kernel.file.nodes == "any" for part in scene.parts) for scene in scenes)
