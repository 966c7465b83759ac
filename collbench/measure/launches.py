"""The launches of a sweep on ranks of this machine, one after another into one file.

Ranks that a backend ends by a hang, a crash or an error are started again for the other cases: its case has a row by
then, or gets one when it ends the ranks for the second time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from collbench.errors import CANNOT_WRITE, INTERRUPTED, TERMINATED, Exit
from collbench.measure.next_launch import is_whole, missing_rows, next_leg
from collbench.measure.request import SweepRequest
from collbench.plan.layout import Layout
from collbench.plan.rms_norm import rows_words
from collbench.plan.sizes import format_size
from collbench.plan.skew import skew_words
from collbench.ranks.endings import cause, how
from collbench.ranks.start import launch_ranks
from collbench.results.files import AGAIN, doing_path, explain, in_progress
from collbench.results.records import Record, load
from collbench.tables import counted

_FINAL = (Exit.USAGE, CANNOT_WRITE, INTERRUPTED, TERMINATED)


@dataclass(frozen=True)
class Launches:
    """Launches of ``request`` in the worlds ``layouts`` by ``collbench ARGUMENTS`` on ``ranks`` ranks.

    ``watch`` is called about twice per second meanwhile, ``report`` with the rows after each launch.
    """

    request: SweepRequest
    ranks: int
    arguments: Sequence[str]
    layouts: tuple[Layout, ...]
    watch: Callable[[], object]
    report: Callable[[Sequence[Record]], None]

    def run(self) -> int:
        """Run launches, leg by leg, until no row is missing; returns 0, or the exit code of the last ranks that ended
        early.

        Ranks after which further ones are pointless are the last: they were interrupted, or they could not write. Those
        that added nothing are the last of their leg.
        """
        before, code, given_up = self._state(), 0, dict[str, int]()
        while (leg := self._next_leg(given_up)) is not None:
            code = launch_ranks(self.ranks, self.arguments, watch=self.watch, variant=self.request.sweep.variant(leg))
            after = self._state()
            if code in (INTERRUPTED, TERMINATED, CANNOT_WRITE):
                doing_path(self.request.path).unlink(missing_ok=True)  # the case is not at fault and may be retried
            if code in _FINAL:
                return code
            if after == before:
                given_up[leg] = code or Exit.FAILED
                self._say_of_leg(leg, code)
                continue
            before = after
            self._report_of_launch(self._rows())
            if code or self.doing():
                again = "Starting the ranks again." if self.missing(self._rows()) else "No case is left."
                print(f"collbench: {cause(code, self.doing())} {again}", file=sys.stderr)
                explain(self.request.path, how(code))
        if given_up:
            return next(iter(given_up.values()))
        doing_path(self.request.path).unlink(missing_ok=True)
        return code

    def missing(self, records: Sequence[Record]) -> int:
        """The number of rows that the file lacks, given those that it has."""
        return missing_rows(self.request.sweep, self.layouts, records, self.request.goal)

    def _next_leg(self, given_up: Collection[str]) -> str | None:
        return next_leg(self.request.sweep, self.layouts, self._rows(), self.request.goal, given_up)

    def _report_of_launch(self, records: Sequence[Record]) -> None:
        """Report where the last launch has the rows of all of its legs."""
        if is_whole(self.request.sweep, self.layouts, records, self.request.goal):
            self.report(records)

    def _say_of_leg(self, leg: str, code: int) -> None:
        """Say that the ranks of one of several legs added nothing, since the others go on."""
        if self.request.sweep.variants:
            whose = f"variant {leg}" if leg else "the plain backends"
            print(f"collbench: {cause(code, self.doing())} These were the last ranks of {whose}.", file=sys.stderr)

    def _rows(self) -> list[Record]:
        return load(self.request.path, drop_cut_row=True)

    def doing(self) -> str:
        """The step in which the ranks ended, and its case or its backend; "" between cases."""
        cases = in_progress(self.request.path)
        if not cases:
            return ""
        one = cases[0]
        step = one.reason.removesuffix(AGAIN).partition(" while ")[2].partition(": ")[0]
        kind = " ".join(filter(None, (one.backend, one.collective, rows_words(one.hidden), one.dtype)))
        size = " ".join(filter(None, (format_size(one.bytes), skew_words(one.skew))))
        what = f"{kind}, {size} on {counted(one.ranks, 'rank')}"
        return step if step.startswith("opening") else f"{step}: {what}"

    def _state(self) -> tuple[str, ...]:
        """What a launch that makes progress changes: the rows, or the note of the cases in progress."""
        files = (self.request.path, doing_path(self.request.path))
        return tuple(path.read_text(encoding="utf-8") if path.exists() else "" for path in files)
