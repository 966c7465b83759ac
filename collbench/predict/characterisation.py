"""The chart of ``llm steps``: every split of the same GPUs, as arXiv 2507.14392 characterises them."""

from __future__ import annotations

from pathlib import Path

from collbench.errors import UsageError
from collbench.llm.spec import Spec
from collbench.predict.report import split_of, title_of
from collbench.predict.splits import Accepted, Refused, split, ways
from collbench.tables import counted
from collbench.views.page import FORMATS, Frame, look, save
from collbench.views.spreads import FOOT, spreads_chart


def draw_spreads(spec: Spec, path: Path) -> Path:
    """Draw what a pass sends with every split of the GPUs of ``spec`` into tensor and pipeline parallelism, into a file
    of the format that its ending names. Raises UsageError for another ending, and where it cannot be written."""
    kind = path.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(f"{path} does not end in .png, .svg or .pdf, which say what is drawn.")
    gpus = spec.tp * spec.pp * spec.dp
    found = [split(each, -(-gpus // spec.gpus_per_node)) for each in ways(spec, gpus)]
    listings = {split_of(each.spec): each.listing for each in found if isinstance(each, Accepted)}
    refused = [f"Without {split_of(each.spec)}: {each.why}" for each in found if isinstance(each, Refused)]
    with look():
        what = f"What a pass sends over {counted(gpus, 'GPU')}:\n{title_of(spec)}"
        frame = Frame(what, "\n".join([FOOT, *refused]), {})
        (drawn,) = save(spreads_chart(frame, listings), path.with_suffix(""), (kind,))
    return drawn
