"""The calls of one backend in a replay: for each collective its calls, proven, each with an output of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from collbench import registry
from collbench.backends import DescribedCall, Session
from collbench.devices.device import Array, Call, Device
from collbench.errors import CannotRunError
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.proof.buffers import FEWEST_SLOTS, Buffers, Rounds, aligned, arena_bytes, kept, kept_bytes, lay_out
from collbench.proof.patterns import first_iteration
from collbench.proof.prepared import Prepared
from collbench.replay.opened import Opened
from collbench.replay.plan import Kind, Plan


@dataclass(frozen=True)
class Space:
    """Where the buffers of a collective are in every arena: those of the pass, in ``slots`` slots at most, and of its
    chain."""

    of_pass: int
    slots: int
    of_chain: int


@dataclass(frozen=True)
class Spaces:
    """The places of all collectives, the same on every rank, and the bytes that they take."""

    by_kind: Mapping[Kind, Space]
    bytes: int


@dataclass(frozen=True)
class Voice:
    """One collective on one backend: ``ran_by`` is its spec, ``why`` the reason where it is not the one that was asked
    for. ``prepared`` is None on a rank that takes no part in it; ``sends`` are the inputs of its calls."""

    kind: Kind
    ran_by: str
    why: str
    problem: Problem
    space: Space
    session: Session
    prepared: Prepared | None
    sends: tuple[Array, ...]
    params: str


def spaces_of(plan: Plan, opened: Opened, room: int) -> Spaces:
    """Places for the outputs of all calls of a pass, or where ``room`` bytes do not hold them, of some that take turns;
    calls that overwrite what they read never do."""
    problems = {kind: _problem_of(kind, opened) for kind in plan.kinds}
    share = room / sum(kept_bytes(problems[kind], plan.most(kind)) for kind in plan.kinds)
    found, end = {}, 0
    for kind, problem in problems.items():
        slots = plan.most(kind) if problem.overwrites else slots_of(plan.most(kind), share)
        of_chain = end + kept_bytes(problem, slots)
        found[kind] = Space(end, slots, of_chain)
        end = aligned(of_chain + arena_bytes(problem, opened.device))
    return Spaces(found, end)


def slots_of(calls: int, share: float) -> int:
    """Slots of so many calls where memory holds ``share`` of them: at least as many as make consecutive calls differ,
    and where they take turns an odd number, so that each meets both halves of a kernel's scratch."""
    if share >= 1 or calls <= FEWEST_SLOTS:
        return calls
    slots = max(FEWEST_SLOTS, int(share * calls))
    return slots - (slots % 2 == 0)


def _problem_of(kind: Kind, opened: Opened) -> Problem:
    """The problem in the first group; those of other groups have buffers of the same size."""
    layout = opened.layouts(kind.groups)[0]
    return kind.problem(layout.alone(layout.members))


def voice_of(plan: Plan, kind: Kind, space: Space, opened: Opened, specs: tuple[str, ...]) -> Voice:
    """The collective on the first of ``specs`` that has it; collective over the launch. Raises CannotRunError where
    none has, and AgreedError where a library fails."""
    reasons: list[str] = []
    for spec in specs:
        try:
            return _on(spec, plan, kind, space, opened, "; ".join(reasons))
        except CannotRunError as error:
            reasons.append(str(error))
    raise CannotRunError("; ".join(dict.fromkeys(reasons)))


def _on(spec: str, plan: Plan, kind: Kind, space: Space, opened: Opened, why: str) -> Voice:
    layouts = opened.layouts(kind.groups)
    for layout in layouts:
        problem = kind.problem(layout.alone(layout.members))
        if reason := problem.refusal() or registry.refusals()(problem, spec):
            raise CannotRunError(reason)
    sessions = {layout: opened.session(spec, layout) for layout in layouts}
    mine = _mine(layouts, opened)
    problem, prepared, sends = opened.agreed(partial(_prepared, spec, plan, kind, space, opened, mine, sessions[mine]))
    params = opened.everyone.first(_params(opened.device, prepared.calls[0]) if prepared else None)
    return Voice(kind, spec, why, problem, space, sessions[mine], prepared, sends, params[1] if params else "")


def _mine(layouts: tuple[Layout, ...], opened: Opened) -> Layout:
    """The layout of this rank's group, the first where it is in none."""
    me = opened.everyone.launch.Get_rank()
    return next((layout for layout in layouts if me in layout.everyone), layouts[0])


def _prepared(
    spec: str, plan: Plan, kind: Kind, space: Space, opened: Opened, layout: Layout, session: Session
) -> tuple[Problem, Prepared | None, tuple[Array, ...]]:
    group = opened.world(layout).group
    problem = kind.problem(group.layout)
    count = plan.count(kind, opened.everyone.rank)
    if not count:
        return problem, None, ()
    buffers = kept(problem, group.rank, min(count, space.slots))
    arena = session.arena[space.of_pass :]
    sends = tuple(opened.device.view(arena, buffers.send, slot) for slot in range(buffers.send.slots))
    return problem, prepared_at(spec, problem, opened, layout, session, space.of_pass, buffers), sends


def prepared_at(
    spec: str, problem: Problem, opened: Opened, layout: Layout, session: Session, at: int, buffers: Buffers
) -> Prepared:
    """Calls of a problem in buffers that begin ``at`` bytes into the arena; collective over the group."""
    group = opened.world(layout).group
    backend, arena = registry.find(spec), session.arena[at:]
    first = first_iteration(group.number)
    return Prepared(opened.device, backend, session, problem, group.rank, arena, buffers, first=first)


def chain_of(voice: Voice, opened: Opened, rounds: Rounds) -> Prepared | None:
    """The same collective in the buffers in which a sweep times a chain of it, on every rank of its groups; collective
    over the launch. None on other ranks."""
    layouts = opened.layouts(voice.kind.groups)
    mine = _mine(layouts, opened)
    if opened.everyone.rank not in mine.everyone:
        return None
    group = opened.world(mine).group
    buffers = lay_out(voice.problem, group.rank, rounds)
    return prepared_at(voice.ran_by, voice.problem, opened, mine, voice.session, voice.space.of_chain, buffers)


def _params(device: Device, call: Call) -> str:
    """How a call runs: its kernels, and what its backend says of it."""
    names = device.kernels(call)
    params = {
        **({"kernel": "+".join(names)} if names else {}),
        **(call.params if isinstance(call, DescribedCall) else {}),
    }
    return ";".join(f"{name}={text}" for name, text in params.items())
