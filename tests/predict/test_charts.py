"""Charts of predictions, and the chart of splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from charts import collisions, foot, legend, numbers
from latencies import Flat
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from collbench.errors import UsageError
from collbench.llm.spec import Spec
from collbench.predict.amdahl_chart import Point, amdahl_chart
from collbench.predict.characterisation import draw_spreads
from collbench.predict.charts import charts
from collbench.predict.compute import Roofline
from collbench.predict.gpus import GPUS
from collbench.predict.outcome import Range
from collbench.predict.splits import Accepted, splits
from collbench.predict.study import Question, Study, study
from collbench.views.page import Frame, look
from collbench.views.palette import styles
from collbench.views.spreads import message_steps, spreads_chart

SPEC = Spec("llama-3.1-8b", gpus_per_node=4)
QUESTION = Question(
    SPEC, (1, 2), (1, 8), (Flat(name="nccl"), Flat(2.5, 10.0, name="nvrar")), Roofline(GPUS["h100"]), None, GPUS["h100"]
)


@pytest.fixture(scope="module")
def found() -> Study:
    return study(QUESTION)


@pytest.fixture(scope="module")
def drawn(found: Study) -> dict[str, Figure]:
    return {chart.name: chart.figure for chart in charts(found)}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def _lines(figure: Figure) -> Any:
    return figure.axes[0].lines


def test_there_is_a_chart_of_each_kind_and_batch(drawn: dict[str, Figure]) -> None:
    assert list(drawn) == [
        "tpot-b1", "parts-b1", "speedup-b1", "tpot-b8", "parts-b8", "speedup-b8", "best",
    ]  # fmt: skip


def test_tpot_has_a_line_for_the_fastest_split_of_each_source(found: Study, drawn: dict[str, Figure]) -> None:
    fastest = [found.best("nvrar", 8, nodes)[0].tpot for nodes in (1, 2)]
    solid = [each for each in drawn["tpot-b8"].axes[0].lines if each.get_linestyle() == "-"]
    assert numbers(solid[-1].get_ydata()) == [each.us / 1e3 for each in fastest if each]
    assert {"TP 4", "TP 4 × PP 2"} <= set(texts(drawn["tpot-b8"]))
    assert "tensor parallelism alone" in legend(drawn["tpot-b8"])


def test_ranges_are_bars_beside_each_other(found: Study, drawn: dict[str, Figure]) -> None:
    bars = [patch.get_bbox() for patch in drawn["tpot-b8"].axes[0].patches if isinstance(patch, Rectangle)]
    fastest = [found.best(name, 8, nodes)[0].tpot for name in ("nccl", "nvrar") for nodes in (1, 2)]
    assert [(bar.y0, bar.y1) for bar in bars] == [
        pytest.approx((each.low / 1e3, each.high / 1e3)) for each in fastest if each
    ]
    assert bars[0].x1 < 1 < bars[2].x0


def test_parts_add_up_and_bear_the_share(found: Study, drawn: dict[str, Figure]) -> None:
    step = found.best("nccl", 1, 2)[0].decode
    assert step
    assert f"{100 * step.share.value:.0f} %" in texts(drawn["parts-b1"])
    axes = drawn["parts-b1"].axes[0]
    tops = [patch.get_window_extent().transformed(axes.transData.inverted()).y1 for patch in axes.patches]
    assert any(top == pytest.approx(step.whole.us / 1e3, rel=1e-3) for top in tops)


def test_speedups_stand_over_the_share_of_the_baseline(found: Study, drawn: dict[str, Figure]) -> None:
    other = found.by_place[(8, 2, 8), "nvrar"]
    share, speedup = found.share(other), found.speedup(other)
    assert share
    assert speedup
    points = [numbers(each.get_xydata()[0]) for each in _lines(drawn["speedup-b8"])]
    assert pytest.approx([share.value, speedup.value]) in points
    assert {"f = 58 %", "f = 63 %", "f = 88 %", "1.72×", "2 nodes"} <= set(texts(drawn["speedup-b8"]))


def test_no_words_touch() -> None:
    many = study(replace(QUESTION, nodes=tuple(range(1, 9)), batches=(8,)))
    with look():
        for chart in charts(many):
            assert collisions(chart.figure) == [], chart.name


def test_numbers_of_nodes_at_close_shares_have_one_name() -> None:
    points = [Point("nvrar", nodes, Range(share, share, share), 2.0)
              for nodes, share in ((1, 0.5), (2, 0.9), (4, 0.91), (8, 0.94))]  # fmt: skip
    figure = amdahl_chart(Frame("title", "foot", styles(["nvrar"])), "nccl", points)
    assert {"1 node", "2, 4 and 8 nodes"} <= set(texts(figure))
    assert collisions(figure) == []


def test_speedups_below_one_are_shown() -> None:
    figure = amdahl_chart(
        Frame("title", "foot", styles(["nvrar"])), "nccl", [Point("nvrar", 2, Range(0.9, 0.8, 1), 0.4)]
    )
    assert figure.axes[0].get_ylim()[0] < 1 / (0.1 + 0.9 / 0.4)


def test_the_map_shows_the_fastest_split(drawn: dict[str, Figure]) -> None:
    assert [axes.get_title(loc="left") for axes in drawn["best"].axes] == ["nccl", "nvrar"]
    assert sum(text.startswith("TP 4 × PP 2\n") for text in texts(drawn["best"])) == 4


def test_the_map_of_one_batch_has_a_row_for_each_source_and_says_what_does_not_fit() -> None:
    big = study(replace(QUESTION, spec=replace(SPEC, model="llama-3.1-405b"), nodes=(1, 4), batches=(1,)))
    (figure,) = (chart.figure for chart in charts(big) if chart.name == "best")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["nccl", "nvrar"]
    assert texts(figure).count("does not fit") == 2


def test_every_chart_says_what_its_numbers_rest_on(drawn: dict[str, Figure]) -> None:
    for figure in drawn.values():
        assert "Collectives: nccl modelled; nvrar modelled." in foot(figure)
        assert "Compute: roofline of H100 SXM at 70 % of peak (assumed)." in foot(figure)


def test_one_source_has_no_speedups() -> None:
    few = study(replace(QUESTION, batches=(1,), sources=QUESTION.sources[:1]))
    assert [chart.name for chart in charts(few)] == ["tpot-b1", "parts-b1", "best"]


def test_one_chart_characterises_every_split() -> None:
    """Llama 3.1 8B over 8 GPUs: 65 all-reduces of 14 steps and one all-gather of 7; at last 7 boundaries of 2 sends."""
    accepted = [each for each in splits(SPEC, 2, None) if isinstance(each, Accepted)]
    found = {f"{each.spec.tp}x{each.spec.pp}": each.listing for each in accepted}
    figure = spreads_chart(Frame("title", "foot", {}), found)
    words = texts(figure)
    assert words[:4] == ["66", "70", "78", "14"]
    assert words[4:8] == [f"{65 * 14 + 7}", f"{65 * 6 + 3 * 3 + 2}", f"{65 * 2 + 7 + 6}", "14"]
    assert (words[11], words[15]) == ("2 MiB", "16 KiB")
    assert all(len(axes.get_xticks()) == 0 for axes in figure.axes)
    assert collisions(figure) == []
    assert list(legend(figure)) == ["all-reduce", "all-gather", "one-way send"]
    assert figure.axes[3].get_title(loc="left") == "sent by one GPU in a decode step of 1 token"


def test_without_a_decode_step_its_panel_is_empty() -> None:
    listing = replace(SPEC, tp=4, output=1).listing()
    figure = spreads_chart(Frame("title", "foot", {}), {"TP 4": listing})
    assert [axes.get_visible() for axes in figure.axes] == [True, True, True, False]


def test_passes_of_a_draft_model_have_no_panel() -> None:
    listing = replace(SPEC, tp=4, speculate=1, draft="llama-3.2-3b").listing()
    figure = spreads_chart(Frame("title", "foot", {}), {"TP 4": listing})
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == "calls in a verify step"
    assert titles[3] == "sent by one GPU in a verify step of 2 tokens"


def test_message_steps_of_other_collectives_are_their_calls() -> None:
    listing = replace(SPEC, engine="vllm-v0", tp=4).listing()
    gather = [step for step in listing.steps[listing.shown()[-1]] if step.operation == "gather"]
    assert [message_steps(step) for step in gather] == [1]


def test_a_chart_needs_a_known_ending_and_names_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not end in \.png, \.svg or \.pdf"):
        draw_spreads(SPEC, tmp_path / "x.gif")
    one = draw_spreads(replace(SPEC, tp=1, pp=1), tmp_path / "one.svg").read_text(encoding="utf-8")
    assert "over 1 GPU: " in one
    path = draw_spreads(replace(SPEC, model="llama-3.2-3b", tp=16), tmp_path / "x.1.svg")
    assert path == tmp_path / "x.1.svg"
    assert path.stat().st_size > 10_000
