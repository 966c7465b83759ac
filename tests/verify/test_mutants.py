"""The emulator finds what it is for: kernels with one mistake each are caught within a few seeds, and good ones never.

Schedules are drawn from seeds, so a run is the same every time. ``seeds`` states how many a mistake may take, some
four times what it takes on average, since any change of a kernel or of the emulator shifts all draws.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from emulated import Draws, Patch, kernel, needs_compiler, patched
from mutants import (
    Mutant,
    Twist,
    as_drawn,
    first_wrong,
    in_buffers,
    in_call,
    in_cells,
    in_epoch,
    in_lamport,
    in_ll,
    in_machine,
    in_nodes,
    in_oneshot,
    in_place,
    in_puts,
    in_waiting,
    mutant,
    near_wrap,
    one_never_comes,
    special,
)

from collbench.verify import emulator

pytestmark = needs_compiler

# Few types, threads and layouts: a kernel is compiled for each. Three sizes, so that calls of different ones alternate.
SIZES = (4, 1028, 4100)
FLAGS = Draws("nvrar-ll", "2x2", "float32", SIZES)
STEPS = Draws("nvrar-ll", "4x1", "float32", SIZES)
ROUNDING = Draws("nvrar-ll", "2x3", "bfloat16", (1030,))
PAIRS = Draws("nvrar-ll", "2x1", "float32", SIZES)
FOLDING = Draws("nvrar-ll", "3x1", "float32", (1028,))
HOP = Draws("oneshot", "1x3", "float32", SIZES)
BATCHES = Draws("nvrar-lamport", "2x2", "bfloat16", SIZES)
PUTS = Draws("nvrar-put", "2x1", "float32", SIZES)
PARTS_OF_4 = Draws("nvrar-reduce-scatter", "4x1", "float32", (4096,))  # packs what it puts among flagged cells

FLAGS_CHECKED = "return (c.y == flag) & (c.w == flag);"
WORDS_CHECKED = "return (c.x != EMPTY) & (c.y != EMPTY) & (c.z != EMPTY) & (c.w != EMPTY);"
LOOK = "if (at(k) != NONE) c[k] = load_cell(own + at(k));"
TWO_LOOKS = """if (at(k) == NONE) continue;
        const Cell data = load_cell(own + at(k)), flags = load_cell(own + at(k));
        c[k] = {data.x, flags.y, data.z, flags.w};"""
CLEARED = "store_cell(own + at(k), {EMPTY, EMPTY, EMPTY, EMPTY});"
HALF = "const u64 half = (FLAGGED ? FLAGGED_AT : LAMPORT_AT) + (epoch & 1) * HALF;"
ONE_HALF = in_call(HALF, "const u64 half = FLAGGED ? FLAGGED_AT : LAMPORT_AT;")
# The second half begins where the slots of this message end, so a short call writes into the half of a long one.
OWN_HALF = """Call call = begin_call(a);
  const u64 tiles = (Shards(a, Input(a.in, a.count)).size + TILE - 1) / TILE;
  call.half = FLAGGED_AT + (call.epoch & 1) * tiles * (SLOTS * TILE * CELL);
  call.own = a.scratch[a.place] + call.half;"""
ONE_OUTBOX = in_nodes("OUTBOX_AT + (c.epoch & 1) * COLL_OUTBOX_HALF", "OUTBOX_AT")
CROSSED = (
    in_oneshot("mine = input.load(c);", "const u32 d = (c ^ 1) < cells ? c ^ 1 : c;\n    mine = input.load(d);"),
    in_oneshot("at(a.place, c), mine);", "at(a.place, d), mine);"),
    in_oneshot("p == a.place ? mine : got[k]", "p == a.place ? input.load(c) : got[k]"),
)
SHARE = "const u64 share = blockIdx.x ? 1 : TICKS - gridDim.x + 1;"
PAIR = "sum = exchange(sum, place_of(node ^ (1 << k), me), DOUBLING + k, k);"
UNROUNDED = """const int other = place_of(node ^ (1 << k), me);
          call.send(other, slot(DOUBLING + k, c), sum);
          const Words theirs = call.receive_one(slot(DOUBLING + k, c), {STEP, u32(k), u32(other)});
          if (k == 0) add(total, theirs), sum = round_sum(total);
          else sum = add_pair(sum, theirs);"""
FOLDED = "call.receive_one(slot(FOLD, c), {FOLDING_IN, 0, u32(place_of(node + CORE, me))})"
NO_TRAP = in_waiting("  __trap();\n", "")
GIVE_UP = "give_up(a.state, a.stuck, a.place, missing("

# fmt: off
MUTANTS = (
    # Arrival.
    mutant("any flag", FLAGS, 5, in_cells(FLAGS_CHECKED, "return (c.y != 0) & (c.w != 0);")),
    mutant("flag of two calls ago", FLAGS, 5, in_cells(FLAGS_CHECKED, "return c.y && c.w && !((c.y ^ flag) & 1);")),
    mutant("first flag only", FLAGS, 10, in_cells(FLAGS_CHECKED, "return c.y == flag;")),
    mutant("second flag only", FLAGS, 10, in_cells(FLAGS_CHECKED, "return c.w == flag;")),
    mutant("data before flags", FLAGS, 10, in_call(LOOK, TWO_LOOKS)),
    mutant("machine that keeps 4 bytes whole", FLAGS, 10, in_machine(" PIECE = COLL_FLAGGED ? 8 : 4", " PIECE = 4")),
    mutant("three words of four", HOP, 10, in_cells(WORDS_CHECKED, WORDS_CHECKED.replace(" & (c.w != EMPTY)", ""))),
    mutant("NaN of all ones sent", HOP, 5, in_cells("word == EMPTY ? OTHER_NAN : word", "word"), twist=special),
    # Slots and their reuse.
    mutant("one parity, flags", PAIRS, 20, ONE_HALF),
    mutant("one parity, Lamport", HOP, 10, ONE_HALF),
    mutant("one parity, batches", BATCHES, 20, ONE_HALF),
    mutant("half where the slots end", STEPS, 40, in_ll("const Call call = begin_call(a);", OWN_HALF)),
    mutant("not cleared", HOP, 5, in_call(CLEARED, ";")),
    mutant("not cleared, batches", BATCHES, 5, in_call(CLEARED, ";")),
    mutant("three words cleared", HOP, 10, in_call(CLEARED, CLEARED.replace("EMPTY}", "c[k].w}"))),
    mutant("cleared too early", HOP, 5,
           in_call(LOOK, f"{LOOK} if (at(k) != NONE && arrived(c[k], flag())) {CLEARED}")),
    mutant("one outbox", PUTS, 40, ONE_OUTBOX),
    mutant("put before all packed", PUTS, 10, in_puts("__syncthreads();  // the whole chunk is packed", "//")),
    mutant("put cut short", PUTS, 5, in_puts("cells * CELL, call", "cells * CELL - 8, call")),
    # Epochs.
    mutant("epoch of the first block", PAIRS, 40, in_call(SHARE, "const u64 share = blockIdx.x ? 0 : TICKS;")),
    mutant("epoch before all have read it", PAIRS, 20,
           in_call("if (!last_of_block()) return;", "if (threadIdx.x != 0) return;")),
    mutant("wrap without second meeting", PAIRS, 10, in_epoch("meet(a, epoch, 2 * epoch + 1);", ""), twist=near_wrap),
    mutant("wrap without first meeting", PARTS_OF_4, 20, in_epoch("meet(a, epoch, 2 * epoch);", ""), twist=near_wrap),
    mutant("wrap before all is cleared", PAIRS, 20,
           in_epoch("    __syncthreads();\n    __threadfence_system();  // what", "    // what"), twist=near_wrap),
    mutant("wrap to an odd epoch", PAIRS, 40, in_call("add_word(ticks, 2 * TICKS)", "add_word(ticks, TICKS)"),
           twist=near_wrap),
    # The message.
    mutant("tail dropped", FLAGS, 5, in_buffers("(bytes - 1) / PAYLOAD + 1", "bytes / PAYLOAD")),
    mutant("tail overrun", FLAGS, 10, in_buffers("aligned && (c + 1) * PAYLOAD <= bytes", "aligned")),
    mutant("last round not collected", BATCHES, 5, in_lamport("r < rounds + 2; r++", "r < rounds + 1; r++")),
    mutant("given by another thread", HOP, 10, *CROSSED, twist=in_place),
    # The sum.
    mutant("one partner in all steps", STEPS, 5, in_ll(PAIR, PAIR.replace("(1 << k)", "1"))),
    mutant("next rank for partner", STEPS, 20,
           in_ll("send(partner, slot(index, c), mine)",
                 "send(place_of((node + (1 << step)) % NODES, me), slot(index, c), mine)")),
    mutant("rounded at every addition", ROUNDING, 20,
           in_ll("else add(total, x);", "else total = begin_sum(add_pair(round_sum(total), x));")),
    mutant("own sum not rounded", ROUNDING, 20, in_ll(PAIR, UNROUNDED)),
    mutant("not folded in", FOLDING, 5, in_ll(f"sum = add_pair(sum, {FOLDED});", f"{FOLDED};")),
    mutant("result not unfolded", FOLDING, 5,
           in_ll("sum = call.receive_one(slot(UNFOLD", "call.receive_one(slot(UNFOLD")),
    mutant("result not sent out", FOLDING, 5,
           in_ll("if (node < EXTRA) call.send(place_of(node + CORE, me), slot(UNFOLD, c), sum);", "")),
    # Giving up.
    mutant("no trap", PAIRS, 5, NO_TRAP, twist=one_never_comes),
    mutant("stale data after a time-out", PAIRS, 5, NO_TRAP, in_call(GIVE_UP, f"return {GIVE_UP}"),
           twist=one_never_comes),
    mutant("endless patience", HOP, 5, in_waiting("now - begin > a.patience", "false"), twist=one_never_comes),
)

# Where the slots of a half lie does not matter as long as all ranks agree on it in a call: every cell that is sent is
# received, and cleared, in the same call. So these change nothing. Where the other half begins does: see above.
EQUIVALENT = (
    (FLAGS, in_ll("[](int index, u32 c) { return Call::offset<SLOTS>(index, c); }",
                  "[=](int index, u32 c) { return u32(index * shards.size + c) * CELL; }")),
    (HOP, in_oneshot("[](int place, u32 c) { return Call::offset<PLACES>(place, c); }",
                     "[=](int place, u32 c) { return u32(place * cells + c) * CELL; }")),
)
# fmt: on


@pytest.fixture(autouse=True)
def _few_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes of good kernels take a tenth of it; mutants that would go on for ever are not worth waiting for."""
    monkeypatch.setattr(emulator, "MOST_EVENTS", 3_000_000)


@pytest.mark.parametrize("one", MUTANTS, ids=[one.name.replace(",", "").replace(" ", "-") for one in MUTANTS])
def test_a_mistake_is_caught(one: Mutant, tmp_path: Path) -> None:
    backend = patched(one.patches, one.draws.kernel, tmp_path)
    assert first_wrong(backend, one.draws, one.twist, one.seeds), f"{one.seeds} seeds did not find it"


def _scenes() -> dict[tuple[Draws, Twist], int]:
    """All scenes of the mutants: the largest number of seeds of each kind."""
    most: dict[tuple[Draws, Twist], int] = {}
    for one in MUTANTS:
        kind = (one.draws, one.twist)
        most[kind] = max(one.seeds, most.get(kind, 0))
    return most


@pytest.mark.parametrize(
    ("draws", "twist", "seeds"),
    [
        pytest.param(*kind, n, id=f"{kind[0].kernel}-{kind[0].layout}-{kind[1].__name__}")
        for kind, n in _scenes().items()
    ],
)
def test_a_kernel_without_it_passes(draws: Draws, twist: Twist, seeds: int) -> None:
    assert first_wrong(kernel(draws.kernel), draws, twist, seeds) == ""


@pytest.mark.parametrize(("draws", "patch"), EQUIVALENT, ids=[draws.kernel for draws, _ in EQUIVALENT])
def test_slots_of_the_message_s_size_are_as_good(draws: Draws, patch: Patch, tmp_path: Path) -> None:
    assert first_wrong(patched((patch,), draws.kernel, tmp_path), draws, as_drawn, 40) == ""


def test_what_is_patched_must_be_there_once(tmp_path: Path) -> None:
    for old in ("no such line", "epoch"):
        with pytest.raises(AssertionError, match=f"'{old}' is .* times in common/call.cuh"):
            patched((in_call(old, ""),), "oneshot", tmp_path)
