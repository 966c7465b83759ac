"""A judgement in words, tables, JSON and JUnit."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from gates import GATE, SIZES, launches
from samples import timed, untimed

from collbench.check.judgement import Judgement
from collbench.check.junit import junit
from collbench.check.report import headline, page, plain
from collbench.printer.forms import Form, printed
from collbench.results.records import Record


def judged(records: list[Record]) -> Judgement:
    found = GATE.judge(records)
    assert found
    return found


SLOWER = launches(7, (1.0, 1.06, 1.05))
WRONG = [*launches(1)[:-1], untimed("wrong", "3 of 9 <&>", launch=0, backend="new", bytes=SIZES[-1])]
THROTTLED = [*launches(5)[:-1], timed(10, launch=4, backend="new", bytes=16384, reason="clocks throttled: heat")]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (launches(5), "new against old: same at 3 of 3 sizes (margin 2 %)"),
        (SLOWER, "new against old: slower at 2 of 3 sizes (8 KiB, 16 KiB), by 5.0 to 6.0 %; "
                 "same at 1 of 3 sizes (4 KiB) (margin 2 %)"),
        (WRONG, "new against old: wrong results at 1 of 3 sizes (16 KiB)"),
        (THROTTLED, "new against old: refused, since clocks throttled: heat (1 row); let the machine cool down"),
    ],
)  # fmt: skip
def test_the_result_is_one_line(records: list[Record], words: str) -> None:
    assert headline(judged(records)) == words


def test_the_table_has_a_line_a_size_and_says_why_there_is_no_verdict() -> None:
    text = printed(page(judged(launches(5, (1.0, 1.02, 1.05)))), None, Form.PLAIN)
    assert "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain · new against old" in text
    (size,) = (line.split() for line in text.splitlines() if line.strip().startswith("8 KiB") and "unclear" in line)
    assert size[-2:] == ["unclear", "5"]
    assert "- 8 KiB unclear: " in text
    assert "looks at 5, 7, 10, 14, 20 launches" in text
    assert text.splitlines()[-1].startswith("new against old: slower at 1 of 3 sizes")


def test_markdown_shows_the_result_and_folds_the_table() -> None:
    first, _, second, *_ = printed(page(judged(SLOWER)), None, Form.MARKDOWN).splitlines()
    assert first.startswith("**new against old: slower at 2 of 3 sizes")
    assert second == "<details><summary>Details</summary>"


def test_json_has_numbers_and_the_exit_code() -> None:
    found = json.loads(printed(page(judged(SLOWER)), plain(judged(SLOWER)), Form.JSON))
    assert (found["exit"], found["margin_percent"], found["looks"]) == (4, 2.0, [5, 7, 10, 14, 20])
    assert [case["verdict"] for case in found["cases"]] == ["same", "slower", "slower"]
    assert found["cases"][1]["low_percent"] == pytest.approx(6, abs=0.5)


def test_junit_has_a_test_case_a_size_and_is_red_where_the_exit_code_is_not_0() -> None:
    suite = ElementTree.fromstring(junit(judged(SLOWER)))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    assert [case.get("name") for case in suite.iter("testcase")] == ["4 KiB", "8 KiB", "16 KiB"]
    wrong = ElementTree.fromstring(junit(judged(WRONG)))
    assert int(wrong.get("errors", 0)) == 3, "undecided cases are no success"
    assert "3 of 9 <&>" in {error.get("message", "").partition("wrong: ")[2] for error in wrong.iter("error")}
    assert ElementTree.fromstring(junit(judged(launches(5)))).get("errors") == "0"
    assert ElementTree.fromstring(junit(judged(THROTTLED))).get("errors") == "1"
