"""Exit codes of a check, in the order of what is gravest."""

from __future__ import annotations

import pytest

from collbench.check.exits import exit_of
from collbench.check.rule import Verdict
from collbench.errors import Exit

SAME, FASTER, SLOWER, UNCLEAR, MISSING = (Verdict(word) for word in ("same", "faster", "slower", "unclear", "missing"))


@pytest.mark.parametrize(
    ("verdicts", "statuses", "refusals", "code"),
    [
        ([SAME, FASTER], ["ok", "skipped"], [], Exit.FINE),
        ([SAME, UNCLEAR], ["ok"], [], Exit.NO_VERDICT),
        ([SAME, MISSING], ["ok", "failed"], [], Exit.NO_VERDICT),
        ([], ["ok"], [], Exit.NO_VERDICT),
        ([SLOWER, UNCLEAR, MISSING], ["ok"], [], Exit.REGRESSION),
        ([SLOWER, MISSING], ["ok", "wrong"], [], Exit.WRONG),
        ([SLOWER], ["ok", "wrong", "timeout"], [], Exit.TIMEOUT),
        ([SLOWER], ["wrong", "timeout"], ["the clocks were throttled"], Exit.USAGE),
    ],
)
def test_the_gravest_decides(verdicts: list[Verdict], statuses: list[str], refusals: list[str], code: Exit) -> None:
    assert exit_of(verdicts, statuses, refusals) is code
