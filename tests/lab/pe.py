"""A PE that plays NVSHMEM's part towards the transport: ``pe.py PE PES FOLDER LIBRARY``, for test_tcp_transport.py.

It makes the calls of NVSHMEM through the plugin ABI, which is written here a second time, after the header of NVSHMEM
3.4.5. Device memory is this process's own (driver.c). PEs meet through files in FOLDER, and print what they have seen.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, POINTER, Structure, c_bool, c_int, c_size_t, c_ssize_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

PUT, P, GET = 1, 2, 4
SET, ADD, SIGNAL, SIGNAL_SET, SIGNAL_ADD, FETCH_ADD = 3, 4, 8, 9, 10, 14
ABI_3, ABI_7 = 30000, 70000
LONGEST_SECONDS = 120
AREA = 9 << 20  # two areas are more than the transport can stage at once, and one is twice what it can receive
# Bytes of a round and of a put in it: less and more than a chunk, and more puts than there are events.
ROUNDS = ((1, 1), (8, 8), (60_000, 100), (8192, 8192), ((128 << 10) + 16, AREA), (700_001, 65_536))


def structure(name: str, **members: Any) -> Any:
    """A structure of C with these members."""
    return type(name, (Structure,), {"_fields_": list(members.items())})


Verb = structure("Verb", desc=c_int, is_nbi=c_int, is_stream=c_int, stream=c_void_p)
Memory = structure("Memory", ptr=c_void_p, offset=c_uint64, handle=c_void_p)
Bytes = structure("Bytes", count=c_size_t, size=c_int, source=c_ssize_t, target=c_ssize_t)
AtomicVerb = structure("AtomicVerb", desc=c_int, is_fetch=c_int, is_value=c_int, is_compare=c_int)
AtomicMemory = structure(
    "AtomicMemory", remote=Memory, flag=c_uint64, result=c_void_p, value_at=c_void_p, compare_at=c_void_p,
    value=c_uint64, compare=c_uint64, handle=c_void_p,
)  # fmt: skip
AtomicBytes = structure("AtomicBytes", type=c_int, size=c_int)
Gather = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_void_p)
Bootstrap = structure(
    "Bootstrap", version=c_int, pe=c_int, pes=c_int, pe_of_node=c_int, pes_of_node=c_int, allgather=Gather
)
Itself = c_void_p
Operations = structure(
    "Operations",
    reach=CFUNCTYPE(c_int, POINTER(c_int), c_void_p, Itself),
    connect=CFUNCTYPE(c_int, Itself, POINTER(c_int), c_int),
    get_handle=CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, Itself, c_bool),
    release_handle=CFUNCTYPE(c_int, c_void_p, Itself),
    finalize=CFUNCTYPE(c_int, Itself),
    show_info=CFUNCTYPE(c_int, Itself, c_int),
    progress=CFUNCTYPE(c_int, Itself),
    rma=CFUNCTYPE(c_int, Itself, c_int, Verb, POINTER(Memory), POINTER(Memory), Bytes, c_int),
    amo=CFUNCTYPE(c_int, Itself, c_int, c_void_p, AtomicVerb, POINTER(AtomicMemory), AtomicBytes, c_int),
    fence=CFUNCTYPE(c_int, Itself, c_int, c_int),
    quiet=CFUNCTYPE(c_int, Itself, c_int, c_int),
    others=c_void_p * 3,
)
Transport = structure(
    "Transport", api=c_int, type=c_int, cap=c_void_p, operations=Operations, bootstrap=c_void_p, state=c_void_p,
    shared=c_void_p, cache=c_void_p, pci_paths=c_void_p, attributes=c_int, devices=c_int,
    atomics_complete_on_quiet=c_bool, is_initialized=c_bool, no_proxy=c_bool, heap=c_void_p, granularity=c_size_t,
    longest=c_uint64, endian=c_uint32, index=c_int, pe=c_int, pes=c_int, aliases=c_void_p, egm=c_void_p,
)  # fmt: skip


class Pe:
    """A PE with a source, an area for each other PE's puts, and words for their signals."""

    def __init__(self, pe: int, pes: int, folder: Path, library: ctypes.CDLL) -> None:
        self.pe, self.pes, self.folder, self.meetings = pe, pes, folder, 0
        self.others = [other for other in range(pes) if other != pe]
        self.source: Any = ctypes.create_string_buffer(AREA)
        self.areas: list[Any] = [ctypes.create_string_buffer(AREA) for _ in range(pes)]
        self.flags, self.sums = (c_uint64 * pes)(), (c_uint64 * 2)()
        self.places = self.gathered([ctypes.addressof(each) for each in (*self.areas, self.flags, self.sums)])
        made = POINTER(Transport)()
        assert library.nvshmemt_init(ctypes.byref(made), None, ABI_3) == 0
        self.transport = made
        self.calls: Any = made.contents.operations
        self.gather = Gather(self._allgather)
        self.bootstrap = Bootstrap(1, pe, pes, 0, 1, self.gather)
        made.contents.pe, made.contents.pes, made.contents.bootstrap = pe, pes, ctypes.addressof(self.bootstrap)
        assert self.calls.connect(made, None, 0) == 0

    def gathered(self, mine: Any) -> list[Any]:
        """What every PE brings to this meeting."""
        self.meetings += 1
        names = [self.folder / f"{self.meetings}-{pe}" for pe in range(self.pes)]
        unfinished = self.folder / f"unfinished-{self.pe}"
        unfinished.write_text(json.dumps(mine))
        unfinished.rename(names[self.pe])
        while not all(name.exists() for name in names):
            time.sleep(0.001)
        return [json.loads(name.read_text()) for name in names]

    def _allgather(self, mine: int, everything: int, size: int, _: Any) -> int:
        brought = self.gathered(ctypes.string_at(mine, size).hex())
        ctypes.memmove(everything, b"".join(map(bytes.fromhex, brought)), size * self.pes)
        return 0

    def put(self, other: int, at: int, size: int, operation: int = PUT, nbi: int = 1) -> int:
        """From the own source to the own area at the other, both ``at`` bytes behind their begin."""
        local, remote = Memory(ctypes.addressof(self.source) + at), Memory(self.places[other][self.pe] + at)
        verb, size_of = Verb(operation, nbi, 0, None), Bytes(size, 1, 1, 1)
        return int(self.calls.rma(self.transport, other, verb, remote, local, size_of, 1))

    def atomic(self, other: int, operation: int, place: int, value: int, size: int = 8) -> int:
        """Towards a word at the other."""
        memory, verb = AtomicMemory(remote=Memory(place), value=value), AtomicVerb(operation)
        return int(self.calls.amo(self.transport, other, None, verb, memory, AtomicBytes(0, size), 1))

    def signal(self, other: int, value: int, operation: int = SIGNAL_SET) -> None:
        """To this PE's flag at the other."""
        assert self.atomic(other, operation, self.places[other][self.pes] + 8 * self.pe, value) == 0

    def quiet(self, *others: int) -> list[int]:
        """The result of quiet towards each."""
        return [self.calls.quiet(self.transport, other, 1) for other in others or self.others]

    def wait_for(self, value: int, *others: int) -> None:
        """Until the flags of others, else of all, are there, while the transport progresses, as in NVSHMEM's proxy."""
        while any(self.flags[other] != value for other in others or self.others):
            assert self.calls.progress(self.transport) == 0
            time.sleep(1e-4)


def contents(pe: int, number: int, size: int) -> bytes:
    """What a PE puts in a round."""
    return random.Random(pe * 1000 + number).randbytes(size)


def right(me: Pe, number: int, size: int) -> bool:
    """Whether the areas hold what the others have put in a round."""
    return all(me.areas[other][:size] == contents(other, number, size) for other in me.others)


def signals_follow_their_data(me: Pe) -> Iterator[bool]:
    for number, (size, piece) in enumerate(ROUNDS, 1):
        me.source[:size] = contents(me.pe, number, size)
        for other in me.others:
            for at in range(0, size, piece):
                assert me.put(other, at, min(piece, size - at)) == 0
            me.signal(other, number, (SIGNAL_SET, SIGNAL, SET)[number % 3])
        me.wait_for(number)
        yield right(me, number, size)
        assert set(me.quiet()) == {0}  # the source is free, and all have read what came before
        me.gathered(None)


def quiet_means_there(me: Pe) -> Iterator[bool]:
    for number, size in enumerate((131_073, AREA, 700_001), 100):
        me.source[:size] = contents(me.pe, number, size)
        for other in me.others:
            assert me.put(other, 0, size) == 0
        assert set(me.quiet()) == {0}
        me.gathered(None)  # nobody progresses any more
        yield right(me, number, size)
        me.gathered(None)


def a_blocking_put_frees_its_source(me: Pe) -> Iterator[bool]:
    size = 300_000
    for other in me.others:
        me.source[:size] = contents(me.pe, 200, size)
        assert me.put(other, 0, size, nbi=0) == 0
        me.source[:size] = bytes(size)
    me.source[:8] = contents(me.pe, 200, 8)
    for other in me.others:  # p: the value is taken at once
        assert me.put(other, 0, 8, P, nbi=0) == 0
    me.source[:8] = bytes(8)
    me.quiet()
    me.gathered(None)
    yield right(me, 200, size)


def additions_add_up(me: Pe) -> Iterator[bool]:
    for place, size, operation, sign in ((0, 8, SIGNAL_ADD, 1), (1, 4, ADD, -1)):  # 4 bytes carry nothing beyond
        for other in me.others:
            word, value = me.places[other][me.pes + 1] + 8 * place, sign * (me.pe + 1) % (1 << 8 * size)
            for _ in range(10):
                assert me.atomic(other, operation, word, value, size) == 0
    me.quiet()
    me.gathered(None)
    total = 10 * sum(other + 1 for other in me.others)
    yield list(me.sums) == [total, -total % (1 << 32)]


def what_is_not_there_is_refused(me: Pe) -> Iterator[bool]:
    yield me.put(me.others[0], 0, 8, GET) != 0 != me.atomic(me.others[0], FETCH_ADD, me.places[0][0], 1)


def a_peer_that_ends_is_named_and_the_others_go_on(me: Pe) -> Iterator[bool]:
    """The last PE ends without a word."""
    last = me.pes - 1
    me.gathered(None)
    if me.pe == last:
        os._exit(0)
    while me.quiet(last) == [0]:  # also where nothing was sent since the last quiet
        time.sleep(0.001)
    assert me.put(last, 0, 8) == 0  # discarded
    (other,) = (pe for pe in me.others if pe != last)
    me.signal(other, 300)
    yield (me.quiet(last) != [0]) and me.quiet(other) == [0]
    me.signal(other, 301)  # only now the other may end
    me.wait_for(301, other)


PLAYS: tuple[Callable[[Pe], Iterator[bool]], ...] = (
    signals_follow_their_data, quiet_means_there, a_blocking_put_frees_its_source, additions_add_up,
    what_is_not_there_is_refused, a_peer_that_ends_is_named_and_the_others_go_on,
)  # fmt: skip


def main() -> None:
    """Play all and print what came out."""
    faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True)  # another PE has failed
    pe, pes, folder, library = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), ctypes.CDLL(sys.argv[4])
    if pe == 0:
        assert library.nvshmemt_init(None, None, ABI_7) != 0
    me = Pe(pe, pes, folder, library)
    for play in PLAYS:
        print(play.__name__, *play(me), flush=True)
    assert me.calls.finalize(me.transport) == 0
    print("finalized")


if __name__ == "__main__":
    main()
