"""One chart of how splits of a model differ in what they send: calls, message steps and bytes of a GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from collbench.llm.listing import Listing, show_volume
from collbench.llm.passes import DRAFT, Pass
from collbench.llm.steps import Step
from collbench.views.page import Frame, new_figure
from collbench.views.titles import NAMES

# Collectives in the order in which bars stack them, with colours of Okabe and Ito.
COLOURS: Mapping[str, str] = {
    "all_reduce": "#0072B2", "all_reduce_rms_norm": "#56B4E9", "reduce_scatter": "#CC79A7", "all_gather": "#E69F00",
    "gather": "#882255", "send": "#009E73", "broadcast": "#000000", "all_to_all": "#D55E00",
}  # fmt: skip
FOOT = (
    "Calls: collectives that follow one another, over all stages. Message steps: those of a ring for n ranks (all-"
    "reduce 2 (n - 1), all-gather and reduce-scatter n - 1), 1 for a send or a gather. Volume: bytes that the "
    "busiest GPU sends in a pass, in rings; each panel has a scale of its own."
)
CALLED = {"prefill": "prefill", "decode": "decode step", "verify": "verify step"}


def message_steps(step: Step) -> int:
    """Messages that follow one another in all calls of a collective on a ring; 1 a call where all go at once."""
    each = {"all_reduce": 2, "all_reduce_rms_norm": 2, "reduce_scatter": 1, "all_gather": 1, "broadcast": 1}
    return step.count * (each[step.operation] * (step.ranks - 1) if step.operation in each else 1)


def spreads_chart(frame: Frame, listings: Mapping[str, Listing]) -> Figure:
    """Panels for calls and message steps of a pass, and for volumes of prefill and decode; a bar for each split.
    ``listings`` are by the words for their split."""
    used = {step.operation for each in listings.values() for steps in each.steps.values() for step in steps}
    keys = [Patch(facecolor=colour, label=_named(name)) for name, colour in COLOURS.items() if name in used]
    figure = new_figure(frame, 1.2 + 0.6 * len(listings), keys)
    (upper, lower) = figure.subplots(2, 2, sharey=True)
    passes = list(dict.fromkeys(one.kind for one in next(iter(listings.values())).shown() if one.kind != DRAFT))
    _stacks(upper[0], f"calls in a {CALLED[passes[-1]]}", listings, lambda step: step.count)
    _stacks(upper[1], f"message steps in a {CALLED[passes[-1]]}", listings, message_steps)
    for axes, kind in zip(lower, passes, strict=False):
        _volumes(axes, kind, listings)
    for axes in lower[len(passes) :]:
        axes.set_visible(False)
    return figure


def _named(operation: str) -> str:
    return NAMES.get(operation, operation.replace("_", "-"))


def _last(listing: Listing) -> Pass:
    return listing.shown()[-1]


def _stacks(axes: Axes, title: str, listings: Mapping[str, Listing], count: Callable[[Step], int]) -> None:
    """A bar for each split, of the collectives of its decode step."""
    ends: list[float] = []
    for row, listing in enumerate(listings.values()):
        parts: Counter[str] = Counter()
        for step in listing.steps[_last(listing)]:
            parts[step.operation] += count(step)
        left = 0
        for name, colour in COLOURS.items():
            axes.barh(row, parts[name], 0.62, left=left, color=colour)
            left += parts[name]
        ends.append(left)
        _number(axes, row, left, f"{left:,}")
    _dress(axes, title, list(listings), max(ends))


def _volumes(axes: Axes, kind: str, listings: Mapping[str, Listing]) -> None:
    """A bar for each split: the bytes that its busiest GPU sends in a pass."""
    ends: list[float] = []
    for row, listing in enumerate(listings.values()):
        one = _of_kind(listing, kind)
        most = max((volume.busiest for volume in listing.volumes(one).values()), default=Fraction())
        axes.barh(row, float(most), 0.62, color="#8c8c8c")
        ends.append(float(most))
        _number(axes, row, float(most), show_volume(most))
    tokens = _of_kind(next(iter(listings.values())), kind).tokens
    title = f"sent by one GPU in a {CALLED[kind]} of {tokens:,} token{'s' * (tokens != 1)}"
    _dress(axes, title, list(listings), max(ends))


def _of_kind(listing: Listing, kind: str) -> Pass:
    return next(one for one in listing.shown() if one.kind == kind)


def _number(axes: Axes, row: int, end: float, words: str) -> None:
    axes.annotate(words, (end, row), (4, 0), textcoords="offset points", va="center")


def _dress(axes: Axes, title: str, splits: Sequence[str], end: float) -> None:
    axes.set_title(title, loc="left", fontsize=axes.yaxis.label.get_fontsize())
    axes.set_yticks(range(len(splits)), splits)
    axes.set_ylim(len(splits) - 0.5, -0.5)
    axes.set_xlim(0, 1.27 * end or 1)
    axes.set_xticks([])  # every bar bears its number
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
