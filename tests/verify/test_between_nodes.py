"""All-reduces between nodes that only puts reach: proven in the emulator on any number of nodes, with chunks that cut a
shard, and what each relies on is needed: without it, a scene soon goes wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from emulated import Draws, Patch, kernel, needs_compiler, patched
from mutants import (
    Mutant,
    Twist,
    as_drawn,
    first_wrong,
    in_call,
    in_machine,
    in_nodes,
    in_put,
    in_puts,
    mutant,
    near_wrap,
    one_never_comes,
)

from collbench.verify import emulator
from collbench.verify.scenes import EmulatedScene

pytestmark = needs_compiler
SIZES = (4, 1028, 9000)  # of 9000 bytes, chunks of 4 KiB make three
CUT = (("COLL_CHUNK", 4),)


def draws(name: str, layout: str, sizes: tuple[int, ...] = SIZES) -> Draws:
    """Sums of float32, in chunks of 4 KiB, of which a thread has 8 cells: two batches."""
    return Draws(name, layout, "float32", sizes, threads=32, own=CUT)


def by_proxy(scene: EmulatedScene) -> EmulatedScene:
    """Only puts leave a node, and they are a proxy's."""
    return replace(scene, joined=False, schedule=replace(scene.schedule, copies=False))


PAIR, SQUARE, ODD, BOTH = (draws("nvrar-put-lamport", layout) for layout in ("2x1", "4x1", "3x1", "2x2"))
SHOT = draws("nvrar-put-oneshot", "4x1")
HALVES, ODD_HALVES, UNEVEN = (draws("nvrar-put-halving", layout) for layout in ("4x1", "3x1", "2x2"))
in_shot, in_halving = (partial(Patch, f"nvrar_put_{name}.cu") for name in ("oneshot", "halving"))
CLEARED = "store_cell(own + at(k), {EMPTY, EMPTY, EMPTY, EMPTY});"
PUT = "coll_emu_put_in(to, from, bytes, pe, now, NETWORK_PIECE);"
PUT_PART = "put_cells(call, to, slot(index, part.begin), box(from, part.begin), part.end - part.begin);"
# After its put, a block repeats that of two calls ago, which it has noted behind the gates.
AGAIN = f"""u64* const noted = reinterpret_cast<u64*>(call.a.scratch[call.a.place] + GATES_BYTES / 2) +
        (blockIdx.x % 32 * 2 + (call.epoch & 1)) * 4;
    const u64 at = load_word(noted), box_at = load_word(noted + 1);
    const u64 many = load_word(noted + 2), who = load_word(noted + 3);
    {PUT_PART}
    __syncthreads();
    if (threadIdx.x == 0) {{
      store_word(noted, slot(index, part.begin)), store_word(noted + 1, slot(from, part.begin));
      store_word(noted + 2, part.end - part.begin), store_word(noted + 3, to);
    }}
    put_cells(call, int(who), u32(at), outbox + box_at, u32(many));"""
TURNED = """{ const u32 last = (size - 1) / CHUNK, at = me % 2 ? last - chunk : chunk;
      work(span.within({at * CHUNK, at * CHUNK + CHUNK})); }"""
TWICE = f"coll_emu_put_in(to, from, bytes, pe, now, NETWORK_PIECE), {PUT}"

# fmt: off
MUTANTS = (
    # What cells ask of a network.
    mutant("a network that tears words", PAIR, 10,
           in_machine("NETWORK_PIECE = COLL_FLAGGED ? 8 : 4", "NETWORK_PIECE = 2"), twist=by_proxy),
    mutant("a network that writes twice", PAIR, 10, in_machine(PUT, TWICE), twist=by_proxy),
    mutant("a network that writes again two calls later", PAIR, 5, in_nodes(PUT_PART, AGAIN), twist=by_proxy),
    mutant("a network that writes flags again two calls later", draws("nvrar-put", "2x1", (7000, 9000)), 5,
           in_nodes(PUT_PART, AGAIN), twist=by_proxy),
    mutant("cells not cleared", PAIR, 10, in_call(CLEARED, ";"), twist=by_proxy),
    # Chunks and the outbox.
    mutant("one outbox", PAIR, 40, in_nodes("OUTBOX_AT + (c.epoch & 1) * COLL_OUTBOX_HALF", "OUTBOX_AT"),
           twist=by_proxy),
    mutant("outbox among the cells", PAIR, 10,
           in_nodes("OUTBOX_AT + (c.epoch & 1) * COLL_OUTBOX_HALF", "c.half"), twist=by_proxy),
    mutant("one box for all steps", SQUARE, 20,
           in_put("keep_each<BATCH>(DOUBLED + k,", "keep_each<BATCH>(DOUBLED,"),
           in_put("DOUBLING + k, DOUBLED + k)", "DOUBLING + k, DOUBLED)"),
           in_put("kept(sum, DOUBLED + k,", "kept(sum, DOUBLED,"), twist=by_proxy),
    mutant("the result in the box of the sum", ODD, 20, in_put("UNFOLDED = STEPS", "UNFOLDED = 0"), twist=by_proxy),
    mutant("put before all is packed", PAIR, 10, in_puts("__syncthreads();  // the whole", "// the whole")),
    mutant("last cell of a chunk not put", PAIR, 5,
           in_nodes("part.begin), part.end - part.begin)", "part.begin), part.end - part.begin - 1)")),
    mutant("chunks that begin anew", PAIR, 5,
           in_nodes("put_cells(call, to, slot(index, part.begin)", "put_cells(call, to, slot(index, 0)")),
    mutant("one batch of a chunk", PAIR, 5, in_nodes("c < part.end; c += K", "c < chunk + K * COLL_THREADS; c += K")),
    mutant("a batch that passes the end of its part", PAIR, 10, in_nodes("return part.has(at(b));", "return true;")),
    mutant("chunks in another order on every other rank", BOTH, 10,
           in_nodes("work(span.within({chunk * CHUNK, chunk * CHUNK + CHUNK}));", TURNED)),
    # One shot.
    mutant("a sum of two that waits in the place of one", SHOT, 5,
           in_shot("add_pair(pending[k][b], sum[b])", "add_pair(pending[0][b], sum[b])")),
    mutant("sums of nodes added in order of node", SHOT, 5,
           in_shot("paired = m >> k & 1;", "paired = m > k && k == 0;"),
           in_shot("else pending[k][b] = sum[b];", "pending[0][b] = sum[b];")),
    mutant("the sum of another node", SHOT, 5, in_shot("BETWEEN + node, SUM", "BETWEEN + (node ^ 1), SUM")),
    # Halving and doubling.
    mutant("halves of different length", HALVES, 5,
           in_halving("(all.end - all.begin + 1) / 2", "(all.end - all.begin + upper) / 2")),
    mutant("one slot for all halving steps", HALVES, 10,
           in_halving("partner(k), HALVING + k, SHARD", "partner(k), HALVING, SHARD"),
           in_halving("receive(theirs, HALVING + k,", "receive(theirs, HALVING,"), twist=by_proxy),
    mutant("what came is not passed on", HALVES, 5,
           in_halving("part.within(come)", "part.within({come.begin + 1, come.end})")),
    mutant("ranks of a node that halve at different cells", UNEVEN, 10,
           in_halving("Span all = whole();", "Span all = owned(whole());")),
    mutant("pairs in another order", HALVES, 5,
           in_halving("place_of(node ^ (1 << k), me)", "place_of(node ^ (1 << (STEPS - 1 - k)), me)"),
           in_halving("all = half(all, node >> k & 1)", "all = half(all, node >> (STEPS - 1 - k) & 1)"),
           in_halving("half(left(k), !(node >> k & 1))", "half(left(k), !(node >> (STEPS - 1 - k) & 1))")),
    mutant("the result not sent to the node beyond", ODD_HALVES, 5,
           in_halving("if (node < EXTRA) put(owned(part),", "if (NODES == 0) put(owned(part),")),
)
WAYS = ("", "-lamport", "-oneshot", "-oneshot-lamport", "-halving")
PROVEN = tuple(
    (draws(f"nvrar-put{way}", layout), twist)
    for way in WAYS
    for layout, twist in (("2x1", near_wrap), ("3x2", as_drawn), ("6x1", by_proxy), ("5x1", one_never_comes))
)
# fmt: on


@pytest.fixture(autouse=True)
def _few_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes of good kernels take a tenth of it."""
    monkeypatch.setattr(emulator, "MOST_EVENTS", 5_000_000)


@pytest.mark.parametrize(("one", "twist"), PROVEN, ids=[f"{one.kernel}-{one.layout}" for one, _ in PROVEN])
def test_a_kernel_passes(one: Draws, twist: Twist) -> None:
    assert first_wrong(kernel(one.kernel), one, twist, 3) == ""


@pytest.mark.parametrize("one", MUTANTS, ids=[one.name.replace(" ", "-") for one in MUTANTS])
def test_a_mistake_is_caught(one: Mutant, tmp_path: Path) -> None:
    backend = patched(one.patches, one.draws.kernel, tmp_path)
    assert first_wrong(backend, one.draws, one.twist, one.seeds), f"{one.seeds} seeds did not find it"
