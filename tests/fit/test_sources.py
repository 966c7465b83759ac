"""Sources of latencies by their text."""

from __future__ import annotations

import pytest
from readmes import ROOT

from collbench.errors import UsageError
from collbench.fit.sources import parse_source

NVRAR = ROOT / "results/h200x4-nvrar.csv"
LAYOUTS = ROOT / "results/h200x4-nvrar-layouts.csv"


def test_rows_of_a_file_are_a_source() -> None:
    found = parse_source(f"csv:{NVRAR}#nvrar")
    estimate = found.of("all_reduce", 4096, 4, 1)
    assert (found.name, round(estimate.us, 2), estimate.basis) == ("nvrar", 2.25, "measured")


def test_virtual_nodes_are_left_out_unless_asked_for() -> None:
    with pytest.raises(UsageError, match="none with a latency"):
        parse_source(f"csv:{LAYOUTS}#nvrar").of("all_reduce", 65536, 4, 2)
    asked = parse_source(f"csv:{LAYOUTS}?fabric=nvlink-virtual#nvrar")
    assert asked.of("all_reduce", 65536, 4, 2).basis == "assumed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a source"),
        ("csv:", "is not a source"),
        ("cvs:x.csv#nccl", "did you mean 'csv'"),
        (f"csv:{NVRAR}", "names no backend"),
        (f"csv:{NVRAR}#", "names no backend"),
        (f"csv:{NVRAR}#nvrra", "did you mean 'nvrar'"),
        (f"csv:{NVRAR}?mode#nccl", "is not a condition"),
        (f"csv:{NVRAR}?mode=isolated#nccl", "no row has mode=isolated"),
        (f"csv:{ROOT}/none.csv#nccl", "does not exist"),
    ],
)
def test_other_text_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_source(text)
