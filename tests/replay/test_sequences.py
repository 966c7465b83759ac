"""The calls of a rank: their order, their slots, and what stands between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from collbench.devices.device import Array, Call
from collbench.llm.order import Work
from collbench.llm.spec import parse_spec
from collbench.replay.plan import Kind, plan_of
from collbench.replay.sequences import Sequences, Voices


@dataclass(frozen=True)
class Named:
    """A call that is its name."""

    name: str

    def __call__(self) -> None: ...


class Written:
    """Work that hands every input on; implements ``Compute``."""

    words = "as a name"

    def calls(self, work: Work) -> Sequence[Call]:
        return (Named(f"{work.part} {work.layer}"),)

    def handed_on(self, array: Array) -> Sequence[Call]:
        return (Named(f"read {array}"),)


def sequences(slots: int) -> tuple[Sequences, Voices]:
    """Those of a rank of two whose sums take turns in so many slots."""
    listing = parse_spec("llama-3.2-3b:tp=2").listing()
    plan, compute = plan_of(listing.deployment, listing.shown()[-1]), Written()
    voices: dict[Kind, Any] = {}
    for kind in plan.kinds:
        names = [f"{kind.operation} {slot}" for slot in range(min(slots, plan.counts[kind]))]
        voices[kind] = SimpleNamespace(prepared=SimpleNamespace(calls=list(map(Named, names))), sends=names)
    work = {event: compute.calls(event) for event in plan.stages[0] if isinstance(event, Work)}
    return Sequences(plan, 0, compute, work), voices


def names(calls: Sequence[Call]) -> list[str]:
    return [cast(Named, call).name for call in calls]


def test_collectives_come_one_after_another_each_in_its_slot() -> None:
    mine, voices = sequences(slots=100)
    assert names(mine.of_pass(voices, with_work=False)) == [
        *(f"all_reduce {slot}" for slot in range(57)),
        "all_gather 0",
    ]


def test_where_slots_are_few_they_take_turns() -> None:
    mine, voices = sequences(slots=3)
    found = names(mine.of_pass(voices, with_work=False))
    assert found[:5] == ["all_reduce 0", "all_reduce 1", "all_reduce 2", "all_reduce 0", "all_reduce 1"]


def test_work_comes_before_the_read_of_what_it_writes() -> None:
    mine, voices = sequences(slots=100)
    found = names(mine.of_pass(voices, with_work=True))
    assert found[:5] == ["read all_reduce 0", "all_reduce 0", "attention 0", "read all_reduce 1", "all_reduce 1"]
    assert found[-3:] == ["head 27", "read all_gather 0", "all_gather 0"]


def test_work_alone_is_the_pass_without_its_collectives() -> None:
    mine, voices = sequences(slots=100)
    whole = names(mine.of_pass(voices, with_work=True))
    alone = names(mine.of_work(voices, in_head=False)), names(mine.of_work(voices, in_head=True))
    assert alone[1] == ["head 27", "read all_gather 0"]
    assert [*alone[0], *alone[1]] == [name for name in whole if not name.startswith("all_")]


def test_a_kind_is_left_out_and_delays_come_before_work() -> None:
    mine, voices = sequences(slots=100)
    sums = next(iter(voices))
    assert names(mine.of_pass(voices, with_work=False, without=sums)) == ["all_gather 0"]
    late = [Named(f"late {gap}") for gap in range(57)]
    found = names(mine.of_pass(voices, with_work=False, late=late))
    assert found[:3] == ["all_reduce 0", "late 0", "all_reduce 1"]
    assert found[-2:] == ["late 56", "all_gather 0"]
    assert [name for name in found if name.startswith("late")] == [each.name for each in late]
