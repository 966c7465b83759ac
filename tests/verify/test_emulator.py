"""The emulator: replays are exact, what ends a run is reported, CUDA threads work, good kernels pass on any layout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from emulated import KERNELS, Draws, Patch, cast_for, kernel, needs_compiler, patched
from programs import NOTHING, Words, run, small

from collbench.kernels.abi import FIRST_EPOCH
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.verify import schedules
from collbench.verify.emulator import Ending
from collbench.verify.playing import run_scene
from collbench.verify.scenes import EmulatedScene, draw_scene, with_silent_rank

pytestmark = needs_compiler
SIZES = (4, 30, 1026, 2052, 4100)
TESTS = Path(__file__).parent.parent


def scenes(name: str, layout: str, dtype: str, op: str, seeds: int) -> Iterator[EmulatedScene]:
    """The scenes of one of our kernels with the first seeds."""
    for seed in range(seeds):
        yield draw_scene(cast_for(kernel(name), Draws(name, layout, dtype, SIZES, op)), seed)


# ---- What ends a run ----

WAITS = """KERNEL(a) {
  const Call call = begin_call(a);
  if (a.place == 1 && threadIdx.x == 3) call.receive_one(64, {STEP, 2, 0});
  end_call(call);
}
"""


def test_a_deadlock_says_who_waits_for_whom(tmp_path: Path) -> None:
    ran = run(tmp_path, WAITS, NOTHING, 1, layout="1x2", shape=(1, 32))
    assert ran.ending is Ending.DEADLOCK
    assert ran.story == [
        "rank 1 waited in doubling step 2 of call 2 for rank 0 (block 0, thread 3, communicator 0: the cell at 0x1040 "
        "of its scratch holds 0000000000000000 0000000000000000)"
    ]


def test_a_story_has_ranks_and_not_places(tmp_path: Path) -> None:
    layout = Layout((0, 1, 2, 3), (0, 1, 0, 1))
    cast = replace(cast_for(small(tmp_path, WAITS), Draws("hop", "2x2", "float32", (4096,))), layout=layout)
    drawn = (draw_scene(cast, seed) for seed in count())
    verdict = run_scene(next(one for one in drawn if (one.layout, one.first_epoch) == (layout, FIRST_EPOCH)))
    assert verdict.wrong == "deadlock"
    assert verdict.waits[0].startswith("rank 2 waited in doubling step 2 of call 2 for rank 0 (block ")


PUTS_ON = """KERNEL(a) {
  const Call call = begin_call(a);
  const int next = (a.place + 1) %% PLACES, before = (a.place + PLACES - 1) %% PLACES;
  call.send(a.place, 64, Words{u32(a.place), 7});
  nvshmemx_putmem_nbi_block(call.own + 128, call.own + 64, CELL, %s);
  const Words got = call.receive_one(128, {EXCHANGE, 0, u32(before)});
  *reinterpret_cast<u32*>(a.out) = got.w[0];
  end_call(call);
}
"""


@pytest.mark.parametrize(
    ("pe", "pes", "senders"),
    [
        ("a.pe[next]", (0, 1, 2), [2, 0, 1]), ("a.pe[next]", (1, 2, 0), [2, 0, 1]), ("next", (1, 2, 0), [0, 1, 2]),
    ],
)  # fmt: skip
def test_puts_go_to_pes_and_not_to_places(tmp_path: Path, pe: str, pes: tuple[int, ...], senders: list[int]) -> None:
    ran = run(tmp_path, PUTS_ON % pe, NOTHING, 1, layout="3x1", pes=pes)
    assert (ran.ending, [out[0] for out in ran.out]) == (Ending.DONE, senders)


def test_waits_and_reports_have_places_and_not_pes(tmp_path: Path) -> None:
    body = WAITS.replace("a.place == 1", "a.place != 0").replace("{STEP, 2, 0}", "{STEP, 2, u32(a.place - 1)}")
    ran = run(tmp_path, body, NOTHING, 1, layout="3x1", shape=(1, 32), pes=(1, 2, 0))
    assert sorted((each.place, each.partner, each.step, each.offset) for each in ran.waits) == [
        (1, 0, 2, 0x1040), (2, 1, 2, 0x1040),
    ]  # fmt: skip
    assert ran.reports == [0, 1]


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ("while (load_word(&a.state->era) == 0) {}", Ending.LIVELOCK),
        ("__trap();", Ending.TRAPPED),
        ("store_cell(a.out, Cell{1, 2, 3, 4});", Ending.OUTSIDE),
        ("store_cell(a.scratch[0] - 8192, Cell{1, 2, 3, 4});", Ending.OUTSIDE),
        ("volatile char deep[70000]; for (int i = 0; i < 70000; i++) deep[i] = 1;", Ending.OVERFLOW),
    ],
    ids=["livelock", "trap", "outside", "before", "stack"],
)
def test_what_goes_wrong_ends_the_run(tmp_path: Path, body: str, ending: Ending) -> None:
    # Thread 1, since the stack of thread 0, which is over by then, lies where a stack that is too small goes on.
    ran = run(tmp_path, f"KERNEL(a) {{ if (threadIdx.x == 1) {{ {body} }} }}", NOTHING, 8, shape=(1, 2))
    assert ran.ending is ending
    assert not ran.out[0].any()


# ---- A seed is a run ----


@pytest.mark.parametrize("name", KERNELS)
def test_a_seed_replays_exactly(name: str) -> None:
    one, two = scenes(name, "3x2", "int32", "max", 2)
    first, other, again = (run_scene(scene) for scene in (one, two, one))
    assert first == again
    assert (first.wrong, first.calls > 0) == ("", True)
    assert first.events != other.events


def test_a_failure_replays_exactly(tmp_path: Path) -> None:
    scene = draw_scene(cast_for(small(tmp_path, WAITS), Draws("hop", "1x2", "float32", (1028,))), 5)
    one, two = (run_scene(scene) for _ in range(2))
    assert one == two
    assert one.wrong == "deadlock"


def test_a_seed_replays_in_another_process() -> None:
    program = """
from emulated import Draws, cast_for, kernel
from collbench.verify.playing import run_scene
from collbench.verify.scenes import draw_scene
print(run_scene(draw_scene(cast_for(kernel("nvrar-ll"), Draws("nvrar-ll", "2x2", "float32", (4100, 30))), 3)).events)
"""
    events = [
        int(
            subprocess.run(
                [sys.executable, "-c", program], cwd=TESTS, capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(2)
    ]
    here = run_scene(draw_scene(cast_for(kernel("nvrar-ll"), Draws("nvrar-ll", "2x2", "float32", (4100, 30))), 3))
    assert events == [here.events] * 2


# ---- CUDA's threads ----

THREADS = """
#define ROW(number, value) out[(number) * COLL_THREADS + t] = u32(value)
KERNEL(a) {
  constexpr u32 ALL = 0xffffffffu;
  const u32 t = threadIdx.x, mine = 1000 * blockIdx.x + 3 * t + 1;
  u32* out = reinterpret_cast<u32*>(a.out) + 16 + blockIdx.x * 16 * COLL_THREADS;
  __shared__ u32 board[COLL_THREADS];
  ROW(0, __shfl_sync(ALL, mine, 5));
  ROW(1, __shfl_sync(ALL, mine, t + 9, 8));
  ROW(2, __shfl_xor_sync(ALL, mine, 17));
  ROW(3, __shfl_up_sync(ALL, mine, 3, 16));
  ROW(4, __shfl_down_sync(ALL, mine, 3));
  ROW(5, __shfl_sync(ALL, u64(mine) << 32, 31) >> 32);
  ROW(6, __ballot_sync(ALL, t % 3 == 0));
  ROW(7, __any_sync(ALL, t == 40) * 2 + __all_sync(ALL, t != 40));
  ROW(8, t % 2 ? __ballot_sync(0xaaaaaaaau, t % 4 == 1) : __ballot_sync(0x55555555u, t < 8));
  board[t] = mine;
  __syncthreads();
  ROW(9, board[COLL_THREADS - 1 - t]);
  __syncthreads();
  board[t] = 2 * mine;
  __syncwarp();
  ROW(10, board[t ^ 1]);
  u32* all = reinterpret_cast<u32*>(a.out);
  ROW(11, atomicAdd(all, 1));
  atomicAdd(all + 1, atomicExch(all + 2, mine));
  for (u32 old = 0, was; (was = atomicCAS(all + 3, old, old + t)) != old; old = was) {}
}
"""


@pytest.mark.parametrize("seed", range(6))
def test_cuda_s_threads(tmp_path: Path, seed: int) -> None:
    blocks, threads = 3, 64
    order = schedules.draw(seed, 1, blocks, threads)
    ran = run(tmp_path, THREADS, NOTHING, 16 * (1 + blocks * threads), shape=(blocks, threads), schedule=order)
    assert ran.ending is Ending.DONE
    rows = ran.out[0][16:].reshape(blocks, 16, threads)
    t = np.arange(threads)
    lane, warp = t % 32, t // 32 * 32
    mine = 1000 * np.arange(blocks)[:, None] + 3 * t + 1
    ballot = {odd: sum(1 << i for i in range(32) if i % 2 == odd and (i % 4 == 1 if odd else i < 8)) for odd in (0, 1)}
    second = [ballot[1] if i % 2 else 0 for i in lane]  # of the second warp, no even thread is below 8
    thirds = [sum(1 << i for i in range(32) if (at + i) % 3 == 0) for at in (0, 32)]
    wanted = {
        0: mine[:, warp + 5], 1: mine[:, t // 8 * 8 + (t + 9) % 8], 2: mine[:, t ^ 17],
        3: mine[:, np.where(t % 16 < 3, t, t - 3)], 4: mine[:, np.where(lane > 28, t, t + 3)], 5: mine[:, warp + 31],
        6: np.repeat(thirds, 32), 7: np.where(warp == 32, 2, 1),
        8: np.where(warp == 0, np.where(t % 2, ballot[1], ballot[0]), second),
        9: mine[:, ::-1], 10: 2 * mine[:, t ^ 1],
    }  # fmt: skip
    for number, row in wanted.items():
        assert np.array_equal(rows[:, number], np.broadcast_to(row, (blocks, threads))), number
    assert sorted(rows[:, 11].ravel()) == list(range(blocks * threads))
    counted, exchanged, last, summed = (int(word) for word in ran.out[0][:4])
    assert (counted, exchanged + last, summed) == (blocks * threads, mine.sum(), blocks * t.sum())


# ---- 16-bit floats, and what is said of NaN and zeros ----

CONVERSIONS = """KERNEL(a) {
  const u32* in = reinterpret_cast<const u32*>(a.in);
  u32* out = reinterpret_cast<u32*>(a.out);
  for (u64 i = 0; i < a.count; i++) {
    const float f = __uint_as_float(in[i]), next = __uint_as_float(in[(i + 1) % a.count]);
    out[5 * i] = __float_as_uint(half_to_float(u16(in[i])));
    out[5 * i + 1] = to_halves(f, next);
    out[5 * i + 2] = to_bfloats(f, next);
    out[5 * i + 3] = __float_as_uint(least_of(f, next));
    out[5 * i + 4] = __float_as_uint(largest_of(f, next));
  }
}
"""
NAN = 0x7FFFFFFF


def interesting_floats() -> Words:
    """All halves and bfloat16s, the midpoints between neighbours, values beside these, and random bits."""
    bits = np.arange(1 << 16, dtype=np.uint32)
    halves = bits.astype(np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    denormals = ((np.arange(2050) + 0.5) * 2.0**-24).astype(np.float32).view(np.uint32)
    middles = np.concatenate([halves + 0x1000, (bits << 16) + 0x8000, denormals, denormals | 0x80000000])
    random = np.random.default_rng(16).integers(0, 1 << 32, 100_000, np.uint32)
    found = [bits, halves, bits << 16, middles, middles + 1, middles - 1, random]
    return np.concatenate(found).astype(np.uint32)


def test_conversions_and_order_are_those_of_a_gpu(tmp_path: Path) -> None:
    given = interesting_floats()
    ran = run(tmp_path, CONVERSIONS, given, 5 * given.size)
    wide, halves, bfloats, least, largest = ran.out[0].reshape(-1, 5).T
    floats = given.view(np.float32)
    with np.errstate(all="ignore"):
        expected = given.astype(np.uint16).view(np.float16).astype(np.float32)
    numbers = ~np.isnan(expected)
    assert np.array_equal(wide[numbers], expected.view(np.uint32)[numbers])
    assert np.isnan(wide.view(np.float32)[~numbers]).all()
    for got, dtype in ((halves, DTYPES["float16"]), (bfloats, DTYPES["bfloat16"])):
        with np.errstate(all="ignore"):
            rounded = np.where(np.isnan(floats), 0x7FFF, floats.astype(dtype.numpy).view(np.uint16))
        assert np.array_equal(got & 0xFFFF, rounded), dtype.name
        assert np.array_equal(got >> 16, np.roll(rounded, -1)), dtype.name
    ordered = np.stack([floats, np.roll(floats, -1)])
    key = np.where(given >> 31, ~given, given | 0x80000000)  # of the same order as the numbers, -0 below +0
    pairs = np.stack([key, np.roll(key, -1)])
    for got, pick in ((least, pairs.argmin(0)), (largest, pairs.argmax(0))):
        chosen = ordered[pick, np.arange(given.size)].view(np.uint32)
        assert np.array_equal(got, np.where(np.isnan(ordered).any(0), NAN, chosen))


# ---- Good kernels pass ----


@pytest.mark.parametrize(
    ("gates", "endings"),
    [("value % 2 * PLACES", {Ending.DONE}), ("0", {Ending.DONE, Ending.DEADLOCK})],
    ids=["two", "one"],
)
def test_puts_of_two_meetings_may_overtake_each_other(tmp_path: Path, gates: str, endings: set[Ending]) -> None:
    patched((Patch("common/epoch.cuh", "first = value % 2 * PLACES;", f"first = {gates};"),), "oneshot", tmp_path)
    begins = "KERNEL(a) { end_call(begin_call(a)); }"
    found = set()
    for seed in range(60):
        order = replace(schedules.draw(seed, 8, 1, 32), arrival_order=1, prompt=0, victim=schedules.NO_VICTIM)
        ran = run(tmp_path, begins, NOTHING, 1, layout="2x4", shape=(1, 32), schedule=order, epoch=(1 << 32) + 2)
        found.add(ran.ending)
    assert found == endings


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    ("layout", "dtype", "op"), [("5x4", "float16", "sum"), ("3x2", "int32", "max"), ("7x1", "bfloat16", "min")]
)
def test_good_kernels_pass_on_any_layout(name: str, layout: str, dtype: str, op: str) -> None:
    for scene in scenes(name, layout, dtype, op, 3):
        verdict = run_scene(scene)
        assert verdict.wrong == "", (verdict.waits, str(scene))


@pytest.mark.parametrize("name", KERNELS)
def test_all_others_give_up_where_one_never_comes(name: str) -> None:
    for number, scene in enumerate(scenes(name, "3x2", "int32", "max", 3)):
        assert run_scene(with_silent_rank(scene, number * 2)).wrong == ""


@pytest.mark.parametrize("name", KERNELS)
def test_ranks_that_are_not_in_the_order_of_nodes(name: str) -> None:
    cast = cast_for(kernel(name), Draws(name, "2x2", "float32", SIZES))
    orders = set()
    for seed in range(8):
        scene = draw_scene(cast, seed)
        orders.add((scene.layout.nodes, scene.pes))
        assert run_scene(scene).wrong == ""
    assert len({nodes for nodes, _ in orders}) > 1 < len({pes for _, pes in orders})


@pytest.mark.parametrize("name", KERNELS)
def test_many_ranks(name: str) -> None:
    size = 516 if name == "oneshot" else 16 << 10  # what it sends grows with the square of the ranks
    scene = draw_scene(cast_for(kernel(name), Draws(name, "8x8", "bfloat16", (size,), threads=32)), 1)
    few = replace(scene, parts=scene.parts[:1], comms=1, first_epoch=FIRST_EPOCH)
    assert run_scene(few).wrong == ""
