"""What commands print of records and comparisons, as text."""

from __future__ import annotations

from collections.abc import Sequence

from collbench.printer.forms import Form, printed
from collbench.results.records import Record
from collbench.results.series import Series
from collbench.views import history, ratios, summary
from collbench.views.comparison import Comparisons


def show(found: Comparisons, form: Form = Form.PLAIN) -> str:
    """What ``compare`` prints."""
    return printed(ratios.page(found), ratios.plain(found), form)


def results(records: Sequence[Record], form: Form = Form.PLAIN) -> str:
    """What ``sweep`` prints, without the closing words."""
    return printed(summary.page(records), summary.plain(records), form)


def nights(series: Sequence[Series], form: Form = Form.PLAIN) -> str:
    """What ``history`` prints."""
    return printed(history.page(series), [history.plain(each) for each in series], form)
