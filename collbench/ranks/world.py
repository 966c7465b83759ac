"""The ranks of this launch and of its sub-worlds: their hosts, and the values that they exchange."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from collbench.host.environment import mapped_path, shown_path
from collbench.plan.layout import Groups, Layout, number_nodes

T = TypeVar("T")
REST_SECONDS = (0.0005, 0.02)  # polling interval of a waiting rank: the first and the longest


def _any_time(seconds: float) -> AbstractContextManager[None]:
    """Without a watchdog, everything may take any time."""
    return nullcontext()


@dataclass(frozen=True)
class World:
    """The ranks that work on one case: a part of the launch, or all of it. Where they are several groups that run the
    case side by side, ``group`` is the world of one of them, on which backends open.

    ``comm`` is null on other ranks; ``launch`` contains all ranks. ``teardown`` runs when the launch ends, on every
    rank, in reverse order. ``patience(seconds)`` allows what is inside so long without progress; all members call it.
    ``shared`` holds objects that several backends use on this world, by name. ``whole`` is the world that a group is
    part of.
    """

    launch: MPI.Intracomm
    comm: MPI.Intracomm
    layout: Layout
    hosts: tuple[str, ...]
    teardown: ExitStack = field(compare=False)
    patience: Callable[[float], AbstractContextManager[None]] = field(default=_any_time, compare=False)
    shared: dict[str, Any] = field(default_factory=dict, compare=False)
    own: World | None = field(default=None, compare=False)
    whole: Layout | None = None

    @property
    def group(self) -> World:
        """The group of this rank, on a rank outside of all the first one; the world itself where it is one group."""
        return self.own or self

    @property
    def groups(self) -> Groups:
        """The members of this group and of those beside it, the same on every rank."""
        return (self.whole or self.layout).groups

    @property
    def number(self) -> int:
        """The number of this group among those side by side."""
        return self.groups.index(self.layout.members)

    @property
    def member(self) -> bool:
        """Whether this rank belongs to the world."""
        return bool(self.comm != MPI.COMM_NULL)

    @property
    def rank(self) -> int:
        """This rank within the world; members only."""
        return self.comm.Get_rank()

    @property
    def size(self) -> int:
        """Number of ranks in the world."""
        return len(self.layout.everyone)

    @property
    def is_local(self) -> bool:
        """Whether all members share one host."""
        return len({self.hosts[rank] for rank in self.layout.everyone}) == 1

    @property
    def local_rank(self) -> int:
        """This rank's index among the launch's ranks on its host."""
        me = self.launch.Get_rank()
        return self.hosts[:me].count(self.hosts[me])

    def name_of_rank(self) -> str:
        """This rank of the launch and its host, for messages."""
        me = self.launch.Get_rank()
        return f"rank {me} on {self.hosts[me]}"

    def split(self, layout: Layout) -> World:
        """The sub-world of ``layout``; collective over the launch."""
        whole = self._of(layout, (layout.everyone,))
        return replace(whole, own=self._of(layout, layout.groups)) if layout.beside else whole

    def _of(self, layout: Layout, parts: Groups) -> World:
        """The part of ``layout`` that this rank is in, else the first; collective over the launch."""
        me = self.launch.Get_rank()
        number = next((index for index, part in enumerate(parts) if me in part), None)
        mine = parts[number or 0]
        place = (MPI.UNDEFINED, 0) if number is None else (number, mine.index(me))
        comm = cast(MPI.Intracomm, self.launch.Split(*place))
        found = World(self.launch, comm, layout, self.hosts, self.teardown, self.patience)
        return replace(found, layout=layout.alone(mine), whole=layout) if len(parts) > 1 else found

    def once(self, name: str, make: Callable[[], T]) -> T:
        """The object that backends share on this world as ``name``: made at the first call, closed with the world."""
        if name not in self.shared:
            self.shared[name] = make()
        return cast(T, self.shared[name])

    def free(self) -> None:
        """Free a sub-world's communicator and shared objects; collective over the launch."""
        if self.own:
            self.own.free()
        while self.shared:
            self.shared.popitem()[1].close()
        if self.member:
            self.comm.Free()

    def bcast(self, value: T) -> T:
        """Rank 0's value on every member."""
        return cast(T, self.comm.bcast(value, root=0))

    def led(self, action: Callable[[], T]) -> T:
        """The result of ``action`` on rank 0, on every member; its error is raised on every member, as a RuntimeError
        unless it is a ValueError."""
        result, error = None, None
        if self.rank == 0:
            try:
                result = action()
            except Exception as mistake:  # of any kind: the other ranks wait for the broadcast
                known = isinstance(mistake, (RuntimeError, ValueError))
                error = mistake if known else RuntimeError(f"{type(mistake).__name__}: {mistake}")
        result, error = self.bcast((result, error))
        if error is not None:
            raise error
        return cast(T, result)

    def highest(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Element-wise maximum over members of arrays of one shape."""
        out = np.empty_like(values)
        self.comm.Allreduce(values, out, op=MPI.MAX)
        return out

    def gathered(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """On rank 0 the arrays of all members, which have one shape, a row each; elsewhere no rows."""
        rows = np.empty((self.size if self.rank == 0 else 0, *values.shape))
        self.comm.Gather(values, rows, root=0)
        return rows

    def highest_int(self, value: int) -> int:
        """Maximum over members of one number."""
        return int(self.comm.allreduce(value, op=MPI.MAX))

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Element-wise mean over members of arrays of one shape."""
        out = np.empty_like(values)
        self.comm.Allreduce(values, out, op=MPI.SUM)
        return out / self.size

    def first(self, value: T | None) -> tuple[int, T] | None:
        """(rank, value) of the lowest member whose value is not None, on every member; None where all are."""
        values = self.comm.allgather(value)
        return next(((rank, each) for rank, each in enumerate(values) if each is not None), None)

    def first_words(self, words: str | None) -> str | None:
        """The message of the lowest member that has one, prefixed with its name; None where none has."""
        found = self.first(words)
        return f"{self.named(found[0])}: {found[1]}" if found else None

    def named(self, member: int) -> str:
        """A member for messages: its rank of the launch, its host where there are several and, where it is another, its
        rank in its group, in which proofs count the ranks."""
        rank, here = self.layout.everyone[member], member % self.layout.size
        host = f" on {self.hosts[rank]}" if len(set(self.hosts)) > 1 else ""
        return f"rank {rank}{host}" if rank == here else f"rank {rank}{host} (rank {here} of its group)"


def _nothing() -> None:
    """Do nothing."""


def rest_until_all(comm: MPI.Intracomm, meanwhile: Callable[[], object] = _nothing) -> None:
    """A barrier that sleeps instead of spinning, so that waiting ranks take no CPU time from measuring ones, and calls
    ``meanwhile`` now and then."""
    request = comm.Ibarrier()
    pause, longest = REST_SECONDS
    while not request.Test():
        meanwhile()
        time.sleep(pause)
        pause = min(pause * 2, longest)


def open_launch(teardown: ExitStack) -> World:
    """The world of all ranks of this launch; nodes are distinguished by host name."""
    comm = MPI.COMM_WORLD
    hosts = tuple(comm.allgather(platform.node()))
    layout = Layout(tuple(range(comm.Get_size())), number_nodes(hosts))
    return World(comm, comm, layout, hosts, teardown)


def mpi_facts() -> dict[str, Any]:
    """The MPI that mpi4py loaded: name and version, standard, and path of the library."""
    text = MPI.Get_library_version().strip().strip("\0")
    path = mapped_path()
    version = ".".join(map(str, MPI.Get_version()))
    return {"library": " ".join(text.splitlines()[0].split()), "standard": version, "path": path and shown_path(path)}
