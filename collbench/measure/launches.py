"""The launches of a sweep on ranks of this machine, one after another into one file.

Ranks that a backend ends by a hang, a crash or an error are started again for the other cases: its case has a row by
then, or gets one when it ends the ranks for the second time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import CANNOT_WRITE, INTERRUPTED, TERMINATED, Exit
from collbench.plan.sizes import format_size
from collbench.ranks.endings import cause, how
from collbench.ranks.start import launch_ranks
from collbench.results.files import AGAIN, doing_path, explain, in_progress
from collbench.results.records import Record, load
from collbench.tables import counted

_FINAL = (Exit.USAGE, CANNOT_WRITE, INTERRUPTED, TERMINATED)


@dataclass(frozen=True)
class Launches:
    """Launches by ``collbench ARGUMENTS`` on ``ranks`` ranks, which append to ``path``.

    ``missing`` returns the number of rows that the file lacks, given those that it has; ``watch`` is called about twice
    per second meanwhile, ``report`` with the rows after each launch.
    """

    path: Path
    ranks: int
    arguments: Sequence[str]
    missing: Callable[[Sequence[Record]], int]
    watch: Callable[[], object]
    report: Callable[[Sequence[Record]], None]

    def run(self) -> int:
        """Run launches until no row is missing; returns 0, or the exit code of the last one if its ranks ended early.

        A launch after which further ones are pointless is the last: it was interrupted, it could not write, or it added
        nothing.
        """
        before, code, missing = self._state(), 0, self._missing()
        while missing:
            code = launch_ranks(self.ranks, self.arguments, watch=self.watch)
            after = self._state()
            if code in (INTERRUPTED, TERMINATED, CANNOT_WRITE):
                doing_path(self.path).unlink(missing_ok=True)  # the case is not at fault and may be retried
            if code in _FINAL or after == before:
                return code or Exit.FAILED
            before, missing = after, self._missing()
            self.report(self._rows())
            if code or self.doing():
                again = "Starting the ranks again." if missing else "No case is left."
                print(f"collbench: {cause(code, self.doing())} {again}", file=sys.stderr)
                explain(self.path, how(code))
        doing_path(self.path).unlink(missing_ok=True)
        return code

    def _missing(self) -> int:
        return self.missing(self._rows())

    def _rows(self) -> list[Record]:
        return load(self.path, drop_cut_row=True)

    def doing(self) -> str:
        """The step in which the ranks ended, and its case or its backend; "" between cases."""
        cases = in_progress(self.path)
        if not cases:
            return ""
        one = cases[0]
        step = one.reason.removesuffix(AGAIN).partition(" while ")[2].partition(": ")[0]
        what = f": {one.backend} {one.collective} {one.dtype}, {format_size(one.bytes)} on {counted(one.ranks, 'rank')}"
        return step if step.startswith("opening") else f"{step}{what}"

    def _state(self) -> tuple[str, ...]:
        """What a launch that makes progress changes: the rows, or the note of the cases in progress."""
        files = (self.path, doing_path(self.path))
        return tuple(path.read_text(encoding="utf-8") if path.exists() else "" for path in files)
