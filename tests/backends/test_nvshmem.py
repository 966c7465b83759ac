"""NVSHMEM's calls, recorded: functions and counts, and the order of sends in every interleaving of two streams."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from samples import a_problem

from collbench.backends import nvshmem
from collbench.backends.nvshmem import NvshmemSession
from collbench.plan.layout import Layout

PES, BASES = (3, 5), (1000, 9000)  # of the two ranks; a symmetric object has another address on each
COUNTERS, SOURCE, TARGET = 500, 0, 64  # places in the symmetric heap
ADD, GREATER_EQUAL, STREAMS = 10, 5, (70, 71)
Step = tuple[Any, ...]  # what a stream does: its name, and places, values and PEs


class Recorded:
    """The bindings of NVSHMEM, which record what each stream is to do, in terms of places in the heap."""

    Signal_op = SimpleNamespace(SIGNAL_ADD=ADD)
    Cmp_type = SimpleNamespace(CMP_GE=GREATER_EQUAL)

    def __init__(self) -> None:
        self.steps: dict[int, list[Step]] = {stream: [] for stream in STREAMS}

    def _note(self, stream: int, name: str, address: int, *more: int) -> None:
        self.steps[stream].append((name, address - BASES[STREAMS.index(stream)], *more))

    def signal_wait_until_on_stream(self, address: int, comparison: int, value: int, stream: int) -> None:
        assert (comparison, value) == (GREATER_EQUAL, 1)
        self._note(stream, "wait", address)

    def signal_op_on_stream(self, address: int, value: int, operation: int, pe: int, stream: int) -> None:
        assert operation == ADD
        self._note(stream, "add", address, value, pe)

    def putmem_signal_on_stream(
        self, target: int, source: int, size: int, counter: int, value: int, operation: int, pe: int, stream: int
    ) -> None:
        place = source - BASES[STREAMS.index(stream)]
        for half in range(2):
            self._note(stream, "put", target + half, place + half, pe)
        assert size == 4096
        self.signal_op_on_stream(counter, value, operation, pe, stream)


def at(place: int, base: int) -> Any:
    """An array at a place of the heap."""
    return SimpleNamespace(data=SimpleNamespace(ptr=base + place), itemsize=8)


def use(monkeypatch: pytest.MonkeyPatch, lib: object) -> None:
    monkeypatch.setitem(sys.modules, "nvshmem", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "nvshmem.bindings", SimpleNamespace(nvshmem=lib))


def session(rank: int) -> NvshmemSession:
    """That of one of two ranks, whose receiver says where its output is."""
    comm = SimpleNamespace(bcast=lambda place, root: TARGET if root == 1 else pytest.fail("the receiver says it"))
    world: Any = SimpleNamespace(rank=rank, comm=comm)
    device: Any = SimpleNamespace(stream=SimpleNamespace(ptr=STREAMS[rank]))
    base = BASES[rank]
    return NvshmemSession(world, device, at(0, base), at(COUNTERS, base), PES, team=2, owned=True)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[list[Step]]:
    """The steps of one send, on the stream of the sender and on that of the receiver."""
    lib = Recorded()
    use(monkeypatch, lib)
    for rank, base in enumerate(BASES):  # the empty output of the sender may have any address
        session(rank).prepare(a_problem("send", ranks=2), at(SOURCE, base), at((7, TARGET)[rank], base))()
    return [lib.steps[stream] for stream in STREAMS]


Memory = Mapping[tuple[int, int], int]  # by PE and place
State = tuple[tuple[int, int], Memory]  # how far the two streams are, and what they left


def after(step: Step, pe: int, memory: Memory) -> Memory | None:
    """The memory once the stream of a PE has made a step; None while it waits. Raises ValueError for a wrong answer."""
    name, place, *more = step
    if name == "wait":
        return memory if memory.get((pe, place), 0) else None
    if name == "add":
        value, to = more
        return {**memory, (to, place): (memory.get((to, place), 0) + value) % (1 << 64)}
    if name == "put":
        source, to = more
        return {**memory, (to, place): memory[pe, source]}
    if name == "write":
        return {**memory, (pe, place): more[0]}
    if memory.get((pe, place)) != more[0]:
        raise ValueError("an answer is wrong")
    return memory


def moves(streams: Sequence[Sequence[Step]], places: Sequence[int], memory: Memory) -> Iterator[State]:
    """The states that one more step of either stream leads to."""
    for side, pe in enumerate(PES):
        if places[side] < len(streams[side]):
            now = after(streams[side][places[side]], pe, memory)
            if now is not None:
                yield (places[0] + (side == 0), places[1] + (side == 1)), now


def ends(streams: Sequence[Sequence[Step]]) -> set[str]:
    """How all interleavings of two streams end: "right", "wrong" or "stuck"."""
    found, seen = set(), set()
    todo: list[State] = [((0, 0), {})]
    while todo:
        places, memory = todo.pop()
        if (state := (places, frozenset(memory.items()))) in seen:
            continue
        seen.add(state)
        try:
            further = list(moves(streams, places, memory))
        except ValueError:
            found.add("wrong")
            continue
        if not further:
            found.add("right" if places == tuple(map(len, streams)) and at_rest(memory) else "stuck")
        todo += further
    return found


def at_rest(memory: Memory) -> bool:
    """Whether the counters are 0, as before the first call."""
    return not any(memory.get((pe, COUNTERS + 8 * side), 0) for side, pe in enumerate(PES))


def calls(sender: Sequence[Step], receiver: Sequence[Step]) -> tuple[list[Step], list[Step]]:
    """Three calls in the same buffers; the sender fills its own before each, the receiver reads its own behind each."""
    sends: list[Step] = []
    receives: list[Step] = []
    for number in (1, 2, 3):
        sends += [*(("write", SOURCE + half, number) for half in range(2)), *sender]
        receives += [*receiver, *(("read", TARGET + half, number) for half in range(2))]
    return sends, receives


def test_sends_in_the_same_buffers_are_right_in_every_interleaving(recorded: list[list[Step]]) -> None:
    sender, receiver = recorded
    assert ends(calls(sender, receiver)) == {"right"}


def test_every_step_of_the_handshake_is_needed(recorded: list[list[Step]]) -> None:
    sender, receiver = recorded
    assert [step[0] for step in sender] == ["wait", "add", "put", "put", "add"]
    assert [step[0] for step in receiver] == ["add", "wait", "add"]
    for left in range(len(sender)):
        assert ends(calls([*sender[:left], *sender[left + 1 :]], receiver)) != {"right"}, sender[left]
    for left in range(len(receiver)):
        assert ends(calls(sender, [*receiver[:left], *receiver[left + 1 :]])) != {"right"}, receiver[left]


@pytest.mark.parametrize(
    ("name", "function", "count"),
    [
        ("all_reduce", "float_sum_reduce", 1024), ("reduce_scatter", "float_sum_reducescatter", 512),
        ("all_gather", "float_fcollect", 512), ("all_to_all", "float_alltoall", 512),
    ],
)  # fmt: skip
def test_collectives_are_those_of_the_team(
    monkeypatch: pytest.MonkeyPatch, name: str, function: str, count: int
) -> None:
    made: list[tuple[int, ...]] = []
    use(monkeypatch, SimpleNamespace(**{f"{function}_on_stream": lambda *given: made.append(given)}))
    call: Callable[[], object] = session(1).prepare(a_problem(name, ranks=2), at(SOURCE, 9000), at(TARGET, 9000))
    call()
    assert made == [(2, 9064, 9000, count, STREAMS[1])]


def test_what_it_sends_is_known_where_a_message_is_put_once() -> None:
    assert nvshmem.wire_bytes(a_problem("send", ranks=2)) == 4096
    assert nvshmem.wire_bytes(a_problem("all_to_all")) is None


@pytest.mark.parametrize(
    ("groups", "refused"),
    [
        (((0,),), False), (((0, 1),), False), (((1, 5, 9),), False), (((0, 4), (1, 5)), False),
        (((0, 1, 3),), True), (((4, 0),), True), (((0, 2, 4), (1, 2, 5)), True),
    ],
)  # fmt: skip
def test_a_team_is_of_evenly_spaced_ascending_ranks(groups: tuple[tuple[int, ...], ...], refused: bool) -> None:
    first, *others = groups
    layout = Layout(first, (0,) * len(first), beside=tuple(others))
    reason = nvshmem.refuses(a_problem("all_gather", layout=layout))
    assert reason == (
        "an NVSHMEM team needs evenly spaced ranks in ascending order, and these are not" if refused else None
    )
