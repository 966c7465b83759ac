"""The page as a whole: what it may do, what it refers to, and how large it is."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from nights import a_night, launches_of
from pages import Reader, read
from report.conftest import STAND_IN, Write
from samples import timed, untimed

from collbench.errors import UsageError
from collbench.plan.sizes import parse_sizes
from collbench.report.library import library
from collbench.report.report import Request, write_report
from collbench.results.records import Record, dump

PAYLOADS = ("<script>window.hurt=1</script>", "</script><script>window.hurt=1</script>",
            "<img src=x onerror=window.hurt=1>", "\" onfocus=window.hurt=1 autofocus x=\"", "<!--<script>",
            "' + alert(1) + '", "{{data}}", "${1}",
            "datum.x]; window.hurt=1; [", "javascript:window.hurt=1")  # fmt: skip
MOST = 5_000_000  # bytes of a page of 10,000 rows


def rows_of(count: int, launches: int = 1) -> list[Record]:
    """Rows of many panels with 15 sizes and 5 backends each."""

    def found() -> Iterator[Record]:
        for panel in range(count):
            for size in parse_sizes("4K:64M"):
                for place, name in enumerate(("mpi", "nccl", "nccl-symm", "nvrar", "nvshmem")):
                    for launch in range(launches):
                        us = (8 + size / 1e5) * (1 + place / 3) * (1 + 0.001234567 * ((launch * 7 + panel) % 5))
                        more = {"busbw_gb_s": size / us / 1e3, "bound_us": us / 3, "latency_us_p95": us * 1.01234}
                        yield timed(us, launch=launch, backend=name, bytes=size, ranks=panel + 2, gpus_per_node=1,
                                    nodes=panel + 2, latency_us_p05=us * 0.9912345, **more)  # fmt: skip

    return [row for row, _ in zip(found(), range(count * 75 * launches), strict=False)]


def hostile(folder: Path) -> list[Path]:
    """Files of a run and of a replay, with sidecars, of which every free field and name is hostile."""
    rows: list[Record] = []
    for place, words in enumerate(PAYLOADS):
        free = {"run_id": words, "reason": words, "params": f"calls=1;transport={words}", "slowest_host": words}
        rows += [timed(1.0 + place, backend=words, launch=launch, fabric=words, **free) for launch in range(3)]
        rows += [timed(2.0 + place, backend=f"{words}2", launch=launch, fabric=words, **free) for launch in range(3)]
        rows.append(untimed("failed", words, backend=words, bytes=8192, fabric=words))
        rows.append(untimed("failed", words, backend="(job)", bytes=0, fabric=words))
    path = folder / '<img src=x onerror=window.hurt=1>&".csv'
    path.write_text(dump(rows), encoding="utf-8")
    words = PAYLOADS[1]
    gpu = {"name": words, "nccl": words}
    entry = {"launch": 0, "git": words, "ranks": [{"host": words, "gpu": gpu}], "mpi": {"library": words},
             "argv": [words], "machine": {"cpu": words}, "variables": {words: words},
             "versions": {"nvidia-nvshmem-cu13": words}, "sweep": {}}  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps({"schema": 1, "launches": [entry]}))
    return [path]


def page_of(write: Write, *paths: Path, title: str = "") -> Reader:
    return read(write(*paths, title=title))


def test_no_field_of_any_file_becomes_markup(write: Write, tmp_path: Path) -> None:
    reader = page_of(write, *hostile(tmp_path), title=PAYLOADS[1])
    assert reader.of("title")[0].text == reader.of("h1")[0].text == PAYLOADS[1]
    assert not reader.of("img")
    assert reader.others == []
    assert [each.attributes for each in reader.of("script")] == [{"type": "application/json", "id": "charts"}, {}, {}]
    for each in reader.elements:
        assert not [name for name in each.attributes if name.startswith("on") or name in ("style", "autofocus", "src")]
        assert re.match(r"#|data:application/gzip;base64,|$", each.attributes.get("href", ""))


def test_every_hostile_field_is_shown_as_it_is(write: Write, tmp_path: Path) -> None:
    text = page_of(write, *hostile(tmp_path)).of("main")[0].text
    assert [words for words in PAYLOADS if words not in text] == []


def test_the_policy_allows_the_scripts_and_the_style_of_the_page_alone(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump(rows_of(1)))
    text = write(tmp_path / "r.csv")
    contents = re.findall(r"<script>(.*?)</script>|<style>(.*?)</style>", text, re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(''.join(each).encode()).digest()).decode()}'" for each in contents]
    policy = next(each.attributes["content"] for each in read(text).of("meta") if "http-equiv" in each.attributes)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'",
                     "style-src": hashes[0], "script-src": " ".join(hashes[1:])}  # fmt: skip
    assert STAND_IN in text


def test_the_page_refers_to_nothing_outside_and_has_landmarks(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump(rows_of(1)))
    reader = page_of(write, tmp_path / "r.csv")
    assert all(len(reader.of(name)) == 1 for name in ("main", "nav", "header", "footer", "h1", "title"))
    assert not {"link", "img", "iframe", "object", "base", "form"} & {each.name for each in reader.elements}
    anchors = {each.attributes["id"] for each in reader.elements if "id" in each.attributes}
    links = [each.attributes["href"][1:] for each in reader.of("a") if each.attributes["href"].startswith("#")]
    assert set(links) <= anchors
    assert {"summary", "results", "machine", "data"} < set(links)
    titles = {each.attributes["aria-labelledby"] for each in reader.of("section")}
    assert titles <= anchors
    assert len([each for each in reader.elements if "id" in each.attributes]) == len(anchors), "an id is there twice"


def test_ten_thousand_rows_of_one_launch_fit_into_five_megabytes(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump(rows_of(10)))
    (tmp_path / "s.csv").write_text(dump(rows_of(1)))
    large, small = (len(write(tmp_path / name).encode()) for name in ("r.csv", "s.csv"))
    assert small + (large - small) / (9 * 75) * 10_000 + 900_000 < MOST


def test_above_ten_thousand_rows_launches_and_rows_are_left_out(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sections", "report", "origins"):
        monkeypatch.setattr(f"collbench.report.{module}.MOST_ROWS", 224)
    (tmp_path / "r.csv").write_text(dump(rows_of(1, launches=3)))
    reader = page_of(write, tmp_path / "r.csv")
    points = [
        point
        for pane in reader.charts()["charts"]["chart1"]["views"][0]["panes"]
        for line in pane["lines"]
        for point in line["p"]
    ]
    assert max(map(len, points)) == 8
    assert [each.attributes["href"] for each in reader.of("a")][-1] == "./../r.csv"
    assert "Ratios with intervals" not in reader.of("main")[0].text
    assert "collbench compare" in reader.of("main")[0].text


def test_the_real_library_is_one_script_that_no_page_can_end() -> None:
    assert "vegaEmbed" in library()
    assert not re.search(r"</script|<!--", library(), re.IGNORECASE)
    assert 100_000 < len(library()) < 1_000_000


def test_two_pages_of_the_same_files_are_equal(write: Write, tmp_path: Path) -> None:
    paths = [a_night(tmp_path, day, launches_of(10.0 + day)) for day in range(3)]
    assert write(*paths) == write(*paths)


def test_no_other_file_is_replaced(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump(rows_of(1)))
    write(tmp_path / "r.csv")
    write(tmp_path / "r.csv")
    (tmp_path / "page" / "report.html").write_text("mine")
    with pytest.raises(UsageError, match="is not a report"):
        write(tmp_path / "r.csv")
    assert (tmp_path / "page" / "report.html").read_text() == "mine"


def test_what_was_left_out_is_said_once_at_the_head_of_the_page(tmp_path: Path, stand_in: None) -> None:
    paths = [a_night(tmp_path, day, launches_of(10.0)) for day in range(3)]
    (tmp_path / "n.csv").write_text(paths[0].read_text().replace("20260901T220000-vm", "<b>"))
    paths[1].with_suffix(".json").write_text("{")
    said: list[str] = []
    write_report(Request([*paths, tmp_path / "n.csv"], (), tmp_path / "r.html"), said.append)
    assert len(said) == len(set(said))
    shown = [
        each.text for each in read((tmp_path / "r.html").read_text()).of("p") if each.attributes.get("class") == "bad"
    ]
    assert any("n.csv has no time" in words for words in shown)
    assert [words for words in said if words not in shown] == []
