"""NVRAR: for each message the kernel and launch shape in the tuned table, else a default.

The kernels are the files in ``kernels/``; ``collbench tune`` fills the table. A problem in no table gets the default:
one hop while its additional bytes cost less than a second hop would, else the three phases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from collbench.backends import ExactOrder, Opening, Session, UsageError, _kernels
from collbench.backends._specs import labelled
from collbench.backends._trips import promising, quickest
from collbench.kernels.revisions import own_revision
from collbench.kernels.session import open_communicator
from collbench.kernels.session import open_near_wrap as _open_near_wrap
from collbench.tune import table as tuned
from collbench.tune.table import Table

if TYPE_CHECKING:
    from collbench.devices.device import Array, Call, Device
    from collbench.kernels.session import Communicator
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World


@dataclass(frozen=True)
class Family:
    """The kernels of one collective by default: in one hop, with fewer bytes (``frugal``), and where only puts reach
    other nodes (None where there is none), with ``others`` for some networks, sizes and numbers of nodes."""

    one_hop: str
    frugal: str
    by_puts: str | None
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that every revision has."""
        return tuple(filter(None, (self.one_hop, self.frugal, self.by_puts)))


FAMILIES = {
    "all_reduce": Family(
        "oneshot",
        "nvrar-lamport",
        "nvrar-put",
        ("nvrar-put-lamport", "nvrar-put-oneshot", "nvrar-put-oneshot-lamport", "nvrar-put-halving"),
    ),
    "reduce_scatter": Family("oneshot-reduce-scatter", "oneshot-reduce-scatter", "nvrar-reduce-scatter"),
    "all_gather": Family("oneshot-all-gather", "oneshot-all-gather", "nvrar-all-gather"),
    "all_reduce_rms_norm": Family("oneshot-norm", "nvrar-norm", None),
}
ANY_KERNEL = "oneshot"  # all kernels share one communicator
# Bytes that can be sent in the time of one hop: 1.2 us at 370 GB/s, both measured on 4 x H200. Beyond HOPELESS times as
# many, one hop is not a candidate.
BYTES_OF_A_HOP, HOPELESS = 444_000, 8


def missing() -> str | None:
    """What this machine lacks to run kernels, or None."""
    return _kernels.missing()


def family_of(problem: Problem) -> Family | None:
    """The kernels of the problem's collective, or None."""
    return FAMILIES.get(problem.collective.name)


def default(problem: Problem) -> str:
    """The kernel for a problem without an entry in the tuned table, whose collective must have kernels."""
    family = FAMILIES[problem.collective.name]
    if problem.layout.node_count > 1:
        return family.frugal if problem.layout.virtual else family.by_puts or family.frugal
    return family.one_hop if _more_in_one_hop(problem) <= BYTES_OF_A_HOP else family.frugal


def _more_in_one_hop(problem: Problem) -> float:
    """Bytes that one hop sends, (P-1) S, in excess of those of two hops, 2 (P-1)/P S; none where parts are sent."""
    ranks = 2 if problem.collective.splits else problem.layout.size
    return (ranks - 1) * (1 - 2 / ranks) * problem.bytes


@dataclass(frozen=True)
class Nvrar:
    """``nvrar`` with the kernels and the table of one git revision, ``label``; "" for the present ones."""

    label: str = ""
    DEVICE: str = _kernels.device()
    EXACT_NORM: bool = True
    SUMMARY: str = "NVRAR: our kernels over NVSHMEM, the one that fits each size (see collbench tune)"

    @property
    def WAYS(self) -> Mapping[str, Opening]:  # noqa: N802 (the protocol's name)
        """A communicator whose epoch is about to wrap."""
        return {_kernels.NEAR_WRAP: self.open_near_wrap}

    def kernel(self, spec: str) -> _kernels.KernelBackend:
        """The kernel of this revision that ``spec``, without a label, names. Raises UsageError."""
        return _kernels.find(labelled(spec, self.label))

    def missing(self) -> str | None:
        """What this machine lacks to run kernels, or None."""
        return missing()

    def refuses(self, problem: Problem) -> str | None:
        """Why the default kernel cannot run ``problem``, or None."""
        if not family_of(problem):
            return f"nvrar implements {', '.join(FAMILIES)}, not {problem.collective.name}"
        try:
            return self.kernel(default(problem)).refuses(problem)
        except UsageError as error:  # a revision without this kernel
            return str(error)

    def candidates(self, problem: Problem) -> tuple[str, ...]:
        """All launch shapes of all kernels of collbench that can run the problem, the default first.

        One hop is omitted on several nodes where another kernel knows of them: it would be another algorithm. Puts are
        for nodes that loads and stores do not reach; of their kernels, those that the rule of trips and bytes may ever
        choose.
        """
        layout, family = problem.layout, FAMILIES[problem.collective.name]
        reached = layout.node_count == 1 or layout.virtual
        too_many = layout.node_count > 1 or _more_in_one_hop(problem) > HOPELESS * BYTES_OF_A_HOP
        able = {}
        for name in _kernels.own_names(self.label):
            backend = self.kernel(name)
            fits = (backend.kernel.file.nodes == "any") is not reached
            if fits and not backend.refuses(problem) and not (too_many and name == family.one_hop != family.frugal):
                able[name] = backend.kernel
        chosen = able.values() if reached else promising(able, problem)
        specs = [spec for kernel in chosen for spec in kernel.candidates(problem)]
        return tuple(dict.fromkeys([labelled(default(problem), self.label), *specs]))

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """The order of all kernels that it may choose, or None where they differ: between virtual nodes, parts are
        added in one hop or, on several hosts, node by node."""
        family = family_of(problem)
        several = problem.layout.node_count > 1 and problem.layout.virtual
        if not family or (several and family.one_hop == family.frugal):
            return None
        return self.kernel(default(problem)).exact_order(problem)

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that the default kernel sends; a call reports those of its own kernel."""
        if not family_of(problem):
            return None
        return self.kernel(default(problem)).wire_bytes(problem)

    def open(self, world: World, device: Device, arena_bytes: int) -> NvrarSession:
        """A session on the communicator of the world, which all kernels share: opening one kernel creates it."""
        arena = self.kernel(ANY_KERNEL).open(world, device, arena_bytes).arena
        return NvrarSession(world, device, arena_bytes, arena, self)

    def open_near_wrap(self, world: World, device: Device, arena_bytes: int) -> NvrarSession:
        """A session on a communicator whose epoch is about to wrap."""
        _open_near_wrap(world, device)
        return self.open(world, device, arena_bytes)

    def tables(self) -> tuple[Table, ...]:
        """The tuned tables, the first before the next. A revision has its own alone: a user's table is of no revision.
        Raises UsageError."""
        if not self.label:
            return tuned.read_tables()
        return (tuned.load(own_revision(self.label).folder() / tuned.NAME),)


@cache
def broken(label: str) -> str | None:
    """Why this host cannot use the kernels and the table of a revision, or None; found once, since every row asks. A
    revision may lack the kernels of other collectives than all-reduce."""
    nvrar = Nvrar(label)
    try:
        for name in (*_kernels.own_names(label), *FAMILIES["all_reduce"].names):
            nvrar.kernel(name)
        nvrar.tables()
    except UsageError as error:
        return str(error)
    return None


PRESENT = Nvrar()
DEVICE, SUMMARY, WAYS, EXACT_NORM = PRESENT.DEVICE, PRESENT.SUMMARY, PRESENT.WAYS, PRESENT.EXACT_NORM
refuses, candidates, exact_order, wire_bytes = (
    PRESENT.refuses, PRESENT.candidates, PRESENT.exact_order, PRESENT.wire_bytes
)  # fmt: skip
open = PRESENT.open


@dataclass(frozen=True)
class NvrarSession:
    """The kernels chosen on one world; implements ``Session``."""

    world: World
    device: Device
    arena_bytes: int
    arena: Array
    nvrar: Nvrar = PRESENT
    picked: dict[Problem, Session] = field(default_factory=dict)

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """The call of the kernel that rank 0 chooses."""
        if problem not in self.picked:
            spec = self.world.led(lambda: self._tuned(problem)) or self._default(problem)
            self.picked[problem] = self.nvrar.kernel(spec).open(self.world, self.device, self.arena_bytes)
        return self.picked[problem].prepare(problem, send, recv)

    def _default(self, problem: Problem) -> str:
        """The default, or puts where loads and stores do not reach all ranks, which a layout cannot say."""
        by_puts = FAMILIES[problem.collective.name].by_puts or default(problem)
        if self.device.kind == "cpu":  # few long phases: the fewest context switches between ranks that share a core
            return by_puts
        comm = open_communicator(self.world, self.device)
        return default(problem) if comm.reaches(range(problem.layout.size)) else self._over(comm, by_puts, problem)

    def _over(self, comm: Communicator, by_puts: str, problem: Problem) -> str:
        """``by_puts``, or what the rule prefers of the others that this revision has and the network allows."""
        there = set(FAMILIES[problem.collective.name].others) & set(_kernels.own_names(self.nvrar.label))
        kernels = {name: self.nvrar.kernel(name).kernel for name in (by_puts, *sorted(there))}
        able = {name: one for name, one in kernels.items() if name == by_puts or not comm.refuses(one)}
        return quickest(able, problem, self.world.led(comm.transport))

    def _tuned(self, problem: Problem) -> str | None:
        from collbench.host import environment, fabric

        layout = problem.layout
        link = fabric.fabric_name(self.device.kind, self.world.is_local, layout.virtual)
        key = tuned.key_of(
            "nvrar", problem.collective.name, problem.dtype.name, problem.op, layout.node_count, layout.per_node, link,
            self.device.facts(), environment.versions(), problem.hidden,
        )  # fmt: skip
        return tuned.choose(self.nvrar.tables(), key, problem.bytes)

    def transport(self) -> str:
        """The transports of kernels from this rank."""
        return open_communicator(self.world, self.device).transport()

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Does nothing: the world closes the communicator."""
