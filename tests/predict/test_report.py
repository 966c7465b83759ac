"""Tables, JSON and CSV of predictions."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from latencies import Flat

from collbench.fit.estimate import ASSUMED, MEASURED, MODELLED
from collbench.llm.spec import Spec
from collbench.predict import published, records, regimes
from collbench.predict.compute import Given, Roofline
from collbench.predict.gpus import GPUS
from collbench.predict.report import milliseconds, page, split_of
from collbench.predict.study import Question, Study, study
from collbench.tables import Table

SPEC = Spec("llama-3.1-8b", gpus_per_node=4)
SLOW, FAST = Flat(name="slow"), Flat(2.5, 10.0, name="fast", basis=MEASURED)
QUESTION = Question(SPEC, (1, 2), (1, 8), (SLOW, FAST), Roofline(GPUS["h100"]), None, GPUS["h100"])


@pytest.fixture(scope="module")
def found() -> Study:
    return study(QUESTION)


def column(table: Table, head: str) -> list[str]:
    at = [each.head for each in table.columns].index(head)
    return [row[at] for row in table.rows]


def test_a_table_has_the_fastest_of_each_kind_with_f_beside_every_speedup(found: Study) -> None:
    first = page(found).tables[0]
    assert first.title == "llama-3.1-8b on vLLM V1 · 1 request, 128 tokens in, 128 out · 4 GPUs a node"
    of_two = [row for row in first.rows if row[0] == "2"]
    assert [(row[1], row[2], row[-1]) for row in of_two] == [
        ("TP 8", "slow", ""), ("TP 4 × PP 2", "slow", "fastest"), ("PP 8", "slow", ""),
        ("TP 8", "fast", ""), ("TP 4 × PP 2", "fast", "fastest"), ("PP 8", "fast", ""),
    ]  # fmt: skip
    beside = list(zip(column(first, "speed-up"), column(first, "at f %"), strict=True))
    assert all(bool(speedup) is bool(share) for speedup, share in beside)
    assert {bool(speedup) for speedup, _ in beside} == {True, False}
    assert set(column(first, "collectives")) == {MODELLED, MEASURED}
    assert set(column(first, "all")) == {ASSUMED}


def test_the_best_split_of_several_batches(found: Study) -> None:
    best = next(table for table in page(found).tables if table.title.startswith("Fastest split"))
    assert column(best, "batch") == ["1", "1", "8", "8"]
    assert all(cell.startswith("TP 4 × PP 2: ") for cell in column(best, "2 nodes"))


def test_what_a_faster_all_reduce_gives(found: Study) -> None:
    gain = next(table for table in page(found).tables if "slow ÷ fast" in table.title)
    assert column(gain, "128 KiB") == ["2.00", "2.00"]
    assert column(gain, "basis") == [MODELLED, MODELLED]


def test_what_sends_nothing_is_not_called_measured() -> None:
    alone = page(study(replace(QUESTION, spec=replace(SPEC, gpus_per_node=1), batches=(1,), nodes=(1,)))).tables[0]
    assert column(alone, "collectives") == ["-", "-"]


def test_reasons_are_listed_once_each() -> None:
    asked = replace(QUESTION, spec=replace(SPEC, model="llama-3.1-405b"), batches=(1,), nodes=(1, 4))
    *_, why = page(study(asked)).notes
    reason = "weights and cache take 203 GB of a GPU's 80."
    assert why[0] == f"- without a prediction: TP 4 on 1 node, TP 2 × PP 2 on 1 node: {reason}"
    assert sum("weights and cache take 203 GB" in line for line in why) == 1


def test_every_row_of_the_file_has_its_numbers_or_its_reason() -> None:
    lacking = replace(FAST, lacks=frozenset({"send"}))
    whole = study(replace(QUESTION, batches=(1,), sources=(SLOW, lacking)))
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(records.table(whole))))
    assert list(rows[0]) == list(records.COLUMNS)
    assert len(rows) == 2 * (3 + 4)
    assert all(bool(row["tpot_us"]) is not bool(row["refused"]) for row in rows)
    first = rows[0]
    tpot, sent, done = (float(first[f"{name}_us"]) for name in ("tpot", "decode_communication", "decode_compute"))
    assert [tpot, float(first["share"])] == pytest.approx([sent + done, sent / tpot])
    assert sum(row["fastest"] == "True" for row in rows) == 4


def test_json_has_everything(found: Study) -> None:
    data = records.data(found)
    assert (data["baseline"], data["spec"]) == ("slow", "llama-3.1-8b:gpus-per-node=4")
    assert len(data["predictions"]) == 2 * 2 * (3 + 4)
    assert {each["dtype"] for each in data["predictions"]} == {"bfloat16"}
    assert data["share_needed"]["by_speedup_of_collectives"]["3.6×"] == pytest.approx(0.58, abs=0.005)
    assert next(each["speedup"] for each in data["predictions"] if each["source"] == "slow") == 1.0


def test_claims_are_printed_where_asked_for(found: Study) -> None:
    assert len(page(found, claims=True).tables) == len(page(found).tables) + 3


def test_what_is_predicted_for_the_published_times() -> None:
    """Llama 3.1 8B at TP 4 reads 4 GB of weights, which takes 1.2 ms of an H100: not what 0.86 ms were measured of."""
    beside = published.beside(replace(QUESTION, sources=(SLOW,)))
    points = [(each.tp, each.nodes, each.calls) for each in beside if isinstance(each, published.Beside)]
    assert points == [(2, 1, 66), (4, 1, 66), (8, 2, 66)]
    table = published.table(QUESTION, beside)
    assert any("not this model: at the peaks of the GPU" in note for lines in table.notes for note in lines)
    *_, last = beside
    assert isinstance(last, published.Beside)
    assert last.left_us == pytest.approx((11560 - (1e3 * last.predicted_ms - 66 * 40)) / 66)
    small = published.beside(replace(QUESTION, spec=replace(SPEC, model="llama-3.2-3b"), sources=(SLOW,)))
    assert not any("not this model" in note for lines in published.table(QUESTION, small).notes for note in lines)


def test_a_published_point_without_a_latency_has_its_reason() -> None:
    assert {each.least_ms for each in published.beside(replace(QUESTION, compute=Given({2: 5.0, 4: 5.0, 8: 5.0})))
            if isinstance(each, published.Beside)} == {None}  # fmt: skip
    lacking = replace(SLOW, lacks=frozenset({"all_gather"}))
    beside = published.beside(replace(QUESTION, compute=Given({4: 5.0}), sources=(lacking,)))
    assert all(not isinstance(each, published.Beside) for each in beside)
    notes = [note for lines in published.table(QUESTION, beside).notes for note in lines]
    assert notes.count("slow: slow has no all_gather.") == 1


def test_a_missing_ttft_has_its_reason() -> None:
    whole = study(replace(QUESTION, compute=Given({4: 5.0}), batches=(1,), gpu=None))
    shown = page(whole)
    assert set(column(shown.tables[0], "TTFT ms")) == {""}
    assert any(line.startswith("- without TTFT: slow TP 4 on 1 node") for lines in shown.notes for line in lines)
    rows = list(csv.DictReader(io.StringIO(records.table(whole))))
    assert all(bool(row["lacks"]) is not bool(row["refused"]) for row in rows)
    assert {row["ttft_us"] for row in rows} == {""}


def test_steps_and_bytes_alone_do_not_give_3_6() -> None:
    """Two nodes of four: tree 2 + 0.1 x 6 steps, NVRAR 1 + 0.1 x 6 by the paper, 1 + 0.1 x 2 by its code."""
    paper, code = (regimes.regime(volume, 8, 2, 1.0) for volume in regimes.VOLUMES)
    assert (paper.short, code.short) == pytest.approx((2.6 / 1.6, 2.6 / 1.2))
    assert paper.reach is None
    assert code.reach is not None
    assert regimes.speedup(code.volume, 8, 2, code.reach, 1.0) == pytest.approx(1.9, rel=0.05)
    worlds = [(volume, nodes) for volume in regimes.VOLUMES for nodes in (2, 4, 8, 16)]
    shorts = [regimes.regime(volume, 4 * nodes, nodes, 1.0).short for volume, nodes in worlds]
    assert max(shorts) < 2.2
    assert regimes.regime(regimes.VOLUMES[1], 8, 2, 2.0).short > 3.6


def test_words() -> None:
    assert [milliseconds(us) for us in (123456.0, 12345.0, 1234.0, 123.4)] == ["123", "12.3", "1.23", "0.123"]
    assert split_of(replace(SPEC, tp=4, dp=2)) == "TP 4 × DP 2"
    assert split_of(SPEC) == "one GPU"
