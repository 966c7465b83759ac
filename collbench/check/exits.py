"""The exit code of a check."""

from __future__ import annotations

from collections.abc import Collection

from collbench.check.rule import Verdict
from collbench.errors import Exit


def exit_of(verdicts: Collection[Verdict], statuses: Collection[str] = (), refusals: Collection[str] = ()) -> Exit:
    """The gravest of: refused, a row that timed out, a wrong row, a size that is slower, one without a verdict.

    A verdict on rows that should not have been compared is none, and a wrong answer has no speed. A row that failed or
    was skipped shows as a size that is missing. Without any verdict there is none.
    """
    if refusals:
        return Exit.USAGE
    if "timeout" in statuses:
        return Exit.TIMEOUT
    if "wrong" in statuses:
        return Exit.WRONG
    if Verdict.SLOWER in verdicts:
        return Exit.REGRESSION
    decided = verdicts and not {Verdict.UNCLEAR, Verdict.MISSING} & set(verdicts)
    return Exit.FINE if decided else Exit.NO_VERDICT
