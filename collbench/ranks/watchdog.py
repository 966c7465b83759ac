"""A watchdog that ends a job without progress, and names the rank at fault and what it was doing."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from mpi4py import MPI

from collbench.errors import Exit, OutputError, UsageError
from collbench.ranks.heartbeats import Heartbeat, Heartbeats, open_heartbeats, silent
from collbench.ranks.world import World

POLL_SECONDS, GRACE_SECONDS = 0.5, 1.5
SILENT = 0.6  # of the timeout: a rank that is silent for longer did not only wait for a core
ERROR_TAG = 6
NO_PROGRESS = "no progress"  # the status of a message in which a host reports its ranks
AtEnd = Callable[[str, str], object]  # of the status of the row ("timeout" or "failed") and its reason


class Watchdog:
    """A thread that ends all ranks with exit code 5 when ``beat`` has not been called for ``timeout`` seconds, and with
    exit code 1 when a rank reports an error.

    Every rank runs one. Creating one is collective over the launch. ``how_to_continue`` is a line that rank 0 prints
    when the job ends.
    """

    def __init__(self, everyone: World, timeout: float, how_to_continue: str = "") -> None:
        self._me, self._name = everyone.launch.Get_rank(), everyone.name_of_rank()
        self._names = [f"rank {rank} on {host}" for rank, host in enumerate(everyone.hosts)]
        self._launch, self._timeout, self._how_to_continue = everyone.launch, timeout, how_to_continue
        self._beats: Heartbeats = open_heartbeats(everyone)
        self._last, self._doing = time.monotonic(), "starting"
        self._at_end: AtEnd | None = None
        self._paused, self._patience = False, 0.0
        self._main = threading.main_thread().ident
        self._over, self._ended = threading.Event(), False
        self._lock = threading.RLock()  # the steps and their rows are written by one thread at a time
        self._sent: Any = None  # a request, which keeps its message until it has been sent
        # Ranks of other hosts send what they know to rank 0; only where MPI allows calls from a thread.
        self._sends = 0 not in self._beats.ranks and MPI.Query_thread() == MPI.THREAD_MULTIPLE
        self._listens = self._me == 0 and len(set(everyone.hosts)) > 1 and MPI.Query_thread() == MPI.THREAD_MULTIPLE
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def beat(self, doing: str, at_end: AtEnd | None = None) -> None:
        """Restart the clock before the step ``doing``. If the step ends the job, ``at_end`` is called before with the
        status and the reason, for example to write the row of the case."""
        with self._lock:
            self._at_end = at_end
            self._last, self._doing = time.monotonic(), doing

    def done(self, record: Callable[[], object]) -> None:
        """Call ``record``, which writes the row of the current step: the end of the job no longer concerns that row."""
        with self._lock:
            if self._ended:
                return  # the row that names the end has been written
            self._at_end = None
            record()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock inside: for ranks that wait for others, which have watchdogs of their own."""
        self._paused = True
        try:
            yield
        finally:
            self.beat("resuming")
            self._paused = False

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Allow what is inside ``seconds`` instead of the timeout, if that is longer: for compilers, which have limits
        of their own. Call it on all ranks that wait for it."""
        self._patience = seconds
        try:
            yield
        finally:
            self._last = time.monotonic()
            self._patience = 0.0

    def close(self) -> None:
        """Stop the thread."""
        self._over.set()
        self._thread.join()

    def finish(self, status: str, reason: str) -> None:
        """Call ``at_end`` of the current step, if any, and say how to continue; once, whichever thread comes first."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            try:
                if self._at_end is not None:
                    self._at_end(status, reason)
            except (OutputError, UsageError) as error:  # the job must end all the same
                sys.stderr.write(f"collbench: {error}\n")
        self.say_how_to_continue()

    def say_how_to_continue(self) -> None:
        """Print ``how_to_continue`` on rank 0."""
        if self._me == 0 and self._how_to_continue:
            sys.stderr.write(f"collbench: {self._how_to_continue}\n")
            sys.stderr.flush()

    def fail(self, status: str, reason: str) -> None:
        """Let rank 0 call its ``at_end`` with the reason why this rank is about to end the job."""
        if self._me == 0:
            self.finish(status, reason)
            return
        if 0 in self._beats.ranks:
            with self._lock:
                self._beats.write(Heartbeat(self._me, time.monotonic(), self._doing, "", status, reason))
        else:
            self._send(status, reason)
        time.sleep(2 * POLL_SECONDS)  # until rank 0 has seen it

    def _send(self, status: str, reason: str) -> None:
        self._sent = self._launch.isend((status, reason), 0, ERROR_TAG)
        self._sent.Test()

    def raised(self, error: str) -> str:
        """The reason for a row whose case ends with ``error`` on this rank."""
        return f"{self._name} raised {error} while {self._doing}"

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._show()
            if self._me == 0 and (ended := self._ended_elsewhere()):
                self._follow(*ended)
                return
            if not self._paused and time.monotonic() - self._last > max(self._timeout, self._patience):
                self._time_out()
                return

    def _follow(self, status: str, reason: str) -> None:
        """End the job as another rank is about to."""
        if status == NO_PROGRESS:
            self._time_out(reason)
            return
        self.finish(status, reason)
        self._end(Exit.TIMEOUT if status == "timeout" else Exit.FAILED)

    def _show(self) -> None:
        """This rank's heartbeat, unless it is about to end the job."""
        place = self._place()
        with self._lock:
            if not any(beat.status for beat in self._beats.read() if beat.rank == self._me):
                self._beats.write(Heartbeat(self._me, time.monotonic(), self._doing, place))

    def _ended_elsewhere(self) -> tuple[str, str] | None:
        """The status and the reason that another rank gives before it ends the job; None if none does."""
        return self._received() or next(
            ((beat.status, beat.reason) for beat in self._beats.read() if beat.status), None
        )

    def _received(self) -> tuple[str, str] | None:
        """The status and the reason from a rank of another host; None if there is no message."""
        if not (self._listens and self._launch.iprobe(tag=ERROR_TAG)):
            return None
        status, reason = self._launch.recv(tag=ERROR_TAG)
        return status, reason

    def _place(self) -> str:
        """The function in which the main thread is, with its file and line."""
        frame = sys._current_frames().get(self._main or 0)
        return place_of(frame) if frame else ""

    def _time_out(self, elsewhere: str = "") -> None:
        """End the job without progress; ``elsewhere`` is what another host has reported of its ranks."""
        blame = self._blame(time.monotonic())
        known = f"{blame}; {elsewhere}" if elsewhere else blame
        limit = max(self._timeout, self._patience)
        words = f"no progress for {limit:g} s while {self._doing}; {known}"
        if self._me == min(self._beats.ranks, key=self._is_silent):
            sys.stderr.write(f"collbench: {words}\n")  # one write: ranks of other hosts write too
            sys.stderr.flush()
            if self._sends:  # rank 0, whose own time may not be up yet, follows
                self._send(NO_PROGRESS, blame)
        if self._me == 0:
            self._collect(words)
        else:
            time.sleep(2 * GRACE_SECONDS)  # rank 0 has recorded the case by then
        self._end(Exit.TIMEOUT)

    def _collect(self, words: str) -> None:
        """Record the case, after ``GRACE_SECONDS`` in which the other hosts report their ranks."""
        safeguard = threading.Timer(GRACE_SECONDS, self.finish, ("timeout", words))  # MPI may not return
        safeguard.start()
        end = time.monotonic() + GRACE_SECONDS / 2
        while time.monotonic() < end:
            if found := self._received():
                words = f"{words}; {found[1]}"
            time.sleep(POLL_SECONDS / 10)
        safeguard.cancel()
        self.finish("timeout", words)

    def _is_silent(self, rank: int) -> tuple[bool, int]:
        """A sort key: ranks that are alive first."""
        gone = {beat.rank for beat in self._silent(time.monotonic())}
        return rank in gone, rank

    def _silent(self, now: float) -> list[Heartbeat]:
        return silent(self._beats.read(), now, SILENT * self._timeout)

    def _blame(self, now: float) -> str:
        """The ranks of this host that show no sign of life; if all do, where each of them is."""
        gone = self._silent(now)
        if gone:
            return "; ".join(
                f"{self._names[beat.rank]} has shown no sign of life for {now - beat.seconds:.0f} s"
                + f", since {beat.doing}" * (beat.doing != self._doing)
                for beat in gone
            )
        places: dict[str, list[str]] = {}
        for beat in self._beats.read():
            other = f", {beat.doing}" if beat.doing not in ("", self._doing) else ""
            places.setdefault(f"{beat.place}{other}", []).append(self._names[beat.rank])
        return "; ".join(f"{', '.join(names)} in {place}" for place, names in places.items())

    def _end(self, code: Exit) -> None:
        threading.Timer(5, os._exit, (int(code),)).start()  # in case MPI_Abort hangs
        self._launch.Abort(int(code))


def place_of(frame: FrameType) -> str:
    """The function of a frame with its file and line."""
    return f"{frame.f_code.co_qualname} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
