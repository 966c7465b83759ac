"""Reports in Debian's chromium: drawn, used by mouse and keyboard, printed, and safe. `make test-report` also opens
pages of 10,000 and 100,000 rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import PROGRAM, Browser, browser
from nights import a_night, launches_of
from report.test_gates import a_check
from report.test_inference import a_replay, a_run
from report.test_page import PAYLOADS, hostile, rows_of
from samples import timed, untimed

from collbench.report.report import Request, write_report
from collbench.results.records import dump

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no chromium: apt-get install chromium")
LARGE = "COLLBENCH_LARGE_REPORTS" in os.environ
SECONDS_TO_OPEN = 2.0
DRAWN = "document.querySelectorAll('.pane svg').length > 0"


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(page: Browser) -> None:
    """A window of the usual size on light ground, and no trouble so far."""
    page.size(1200, 900)
    page.scheme("light")
    page.troubles.clear()


def written(folder: Path, *paths: Path) -> Path:
    """The report of these files."""
    output = folder / "report.html"
    write_report(Request(paths, (), output), lambda words: None)
    return output


def a_report(folder: Path, count: int = 1, launches: int = 3) -> Path:
    """A report of so many panels of 15 sizes and 5 backends."""
    (folder / "r.csv").write_text(dump(rows_of(count, launches)))
    return written(folder, folder / "r.csv")


def opened(page: Browser, path: Path) -> float:
    """Open a page and wait until its first chart is drawn; the seconds until it was loaded."""
    seconds = page.open(path)
    page.wait(DRAWN)
    return seconds


def centre(page: Browser, selector: str) -> tuple[float, float]:
    """The middle of the first element of these, which is brought into view."""
    page.run(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
    box = page.run(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def put(page: Browser, selector: str, value: str, event: str) -> None:
    """Give the first element of these a value, and say so to the page."""
    page.run(f"document.querySelector('{selector}').value = '{value}'")
    page.run(f"document.querySelector('{selector}').dispatchEvent(new Event('{event}'))")


def shown(page: Browser) -> str:
    """What is said of the point that is pointed at."""
    found: str = page.run("document.getElementById('hover').hidden ? '' : document.getElementById('hover').textContent")
    return found


def test_charts_are_drawn_say_what_they_show_and_nothing_complains(page: Browser, tmp_path: Path) -> None:
    opened(page, a_report(tmp_path))
    page.wait("document.querySelectorAll('.pane svg').length === 2")
    page.point(*centre(page, ".mark-symbol path"))
    page.wait("!document.getElementById('hover').hidden")
    said = shown(page).splitlines()
    assert said[1].startswith("median: ")
    assert said[-1] == "3 launches"
    assert any(line.startswith("95 % over launches: ") for line in said)
    page.point(1, 1)
    page.wait("document.getElementById('hover').hidden")
    assert page.troubles == []


def test_backends_are_switched_off_and_views_chosen(page: Browser, tmp_path: Path) -> None:
    opened(page, a_report(tmp_path))
    count = "document.querySelectorAll('.mark-line path').length"
    page.wait(f"{count} > 4")
    before = page.run(count)
    page.run("document.querySelector('.switches input[value=nccl]').click()")
    page.wait(f"{count} < {before}")
    put(page, "figure select", "1", "change")
    page.wait("document.querySelectorAll('.pane svg').length === 1")
    assert "bus bandwidth" in page.run("document.querySelector('.pane svg').textContent")
    assert page.troubles == []


def test_many_backends_are_switched_off_at_once_and_on_again(page: Browser, tmp_path: Path) -> None:
    opened(page, a_report(tmp_path))
    drawn, on = (f"document.querySelectorAll('{each}').length" for each in (".mark-line path", ".switches :checked"))
    page.wait(f"{drawn} > 4")
    before = page.run(f"[{drawn}, {on}]")
    for left in ([0, 0], before):
        page.run("document.querySelector('.switches button').click()")
        page.wait(f"{drawn} === {left[0]} && {on} === {left[1]}")
    page.run("document.querySelector('.switches input[value=nccl]').click()")
    page.run("document.querySelector('.switches button').click()")
    page.wait(f"{on} === 0")
    assert page.troubles == []


def test_the_keyboard_reaches_every_point_and_sorts_tables(page: Browser, tmp_path: Path) -> None:
    opened(page, a_report(tmp_path))
    page.wait("document.querySelector('.pane svg').ariaHidden === 'true'")
    named = page.run("['role', 'aria-label'].map((each) => document.querySelector('.pane').getAttribute(each))")
    assert named[0] == "application"
    assert named[1].startswith("all-reduce of ")
    assert "latency (µs). Arrow keys move" in named[1]
    page.run("document.querySelector('.pane[tabindex]').focus()")
    page.press("ArrowRight")
    page.wait("!document.getElementById('hover').hidden")
    assert shown(page).splitlines()[0] == "mpi, 8 KiB"
    page.press("ArrowDown")
    page.wait("document.getElementById('hover').textContent.startsWith('nccl')")
    page.run("document.querySelector('main table th:nth-child(2) button').focus()")
    assert not shown(page)
    for order, first in (("ascending", "4 KiB"), ("descending", "64 MiB")):
        page.press("Enter")
        page.wait(f"document.querySelector('main table [aria-sort={order}]') !== null")
        assert page.run("document.querySelector('main table tbody th').textContent") == first


def test_tables_are_filtered_and_numbers_listed(page: Browser, tmp_path: Path) -> None:
    opened(page, a_report(tmp_path))
    put(page, "input[type=search]", "mib", "input")
    rows = "[...document.querySelector('main table').tBodies[0].rows].filter((row) => !row.hidden).length"
    assert page.run(rows) == 7
    page.run("document.querySelector('.numbers').open = true")
    page.wait("document.querySelectorAll('.numbers table').length === 3")
    heads = page.run(
        "[...document.querySelector('.numbers table').tHead.rows[0].cells].map((cell) => cell.textContent)"
    )
    assert heads == [
        "name",
        "size of the message",
        "median, µs",
        "95 % over launches",
        "5 to 95 % of samples",
        "launches",
        "remark",
    ]
    cells = "[...document.querySelector('.numbers table').tBodies[0].rows[0].cells]"
    sides = page.run(f"{cells}.map((cell) => getComputedStyle(cell).textAlign)")
    assert sides == ["left", "right", "right", "right", "right", "right", "left"]


def test_panes_share_their_axis_whatever_each_has_on_it(page: Browser, tmp_path: Path) -> None:
    rows = [timed(2.0, backend=name, bytes=size) for name in ("mpi", "nccl") for size in (1 << 19, 1 << 24)]
    rows += [timed(1.0, backend="nccl", bytes=1 << 14), untimed("skipped", "too small", backend="nccl", bytes=1024)]
    (tmp_path / "r.csv").write_text(dump(rows))
    opened(page, written(tmp_path, tmp_path / "r.csv"))
    page.wait("document.querySelectorAll('.pane')[1]?.querySelectorAll('.mark-symbol path').length > 0")
    centres = "(each) => { const box = each.getBoundingClientRect(); return (box.left + box.right) / 2; }"
    upper, lower = (
        page.run(f"[...document.querySelectorAll('.pane')[{at}].querySelectorAll('.mark-symbol path')].map({centres})")
        for at in range(2)
    )
    assert min(lower) - min(upper) > 300
    assert all(min(abs(each - other) for other in upper) < 1.5 for each in lower)


def test_a_cross_stands_below_all_numbers(page: Browser, tmp_path: Path) -> None:
    bad = untimed("wrong", "rank 1", backend="nccl", bytes=8192)
    (tmp_path / "r.csv").write_text(dump([*(timed(2.0, backend=name) for name in ("mpi", "nccl")), bad]))
    check = a_check(tmp_path)
    rows = [row for row in check.read_text().splitlines(keepends=True) if ",old," not in row or ",4096," not in row]
    check.write_text("".join(rows))
    for path, chart in ((tmp_path / "r.csv", 1), (check, 2)):
        opened(page, written(tmp_path, path))
        chosen = f"DATA.charts.chart{chart}, DATA.charts.chart{chart}.views[0].panes[0]"
        rows_of_pane = page.run(f"((chart, pane) => rowsOf(chart, pane, DATA.axes[chart.axis]))({chosen})")
        crosses = [row["at"] for row in rows_of_pane if row["bad"]]
        assert len(crosses) == 1
        assert crosses[0] < min(row[end] for row in rows_of_pane for end in ("y", "low") if row[end] is not None)


def test_the_rows_are_unpacked_as_they_were(page: Browser, tmp_path: Path) -> None:
    opened(page, a_report(tmp_path))
    script = """(async () => {
      let found; URL.createObjectURL = (blob) => { found = blob; return 'blob:null/x'; };
      HTMLAnchorElement.prototype.click = function () {};
      document.querySelector('a[data-packed]').dispatchEvent(new MouseEvent('click', { cancelable: true }));
      while (!found) await new Promise((go) => setTimeout(go, 10));
      return await found.text();
    })()"""
    assert page.run(script) == (tmp_path / "r.csv").read_text()


def test_every_section_is_drawn_in_the_dark_and_in_a_narrow_window(page: Browser, tmp_path: Path) -> None:
    nights = [a_night(tmp_path, day, launches_of(10.0 + day / 100)) for day in range(8)]
    page.scheme("dark")
    page.size(380, 700)
    for paths in ([a_check(tmp_path)], nights, [a_run(tmp_path), a_replay(tmp_path)]):
        opened(page, written(tmp_path, *paths))
        for at in range(page.run("document.querySelectorAll('figure').length")):
            page.run(f"document.querySelectorAll('figure')[{at}].scrollIntoView()")
            page.wait(f"document.querySelectorAll('figure')[{at}].querySelectorAll('.mark-symbol path').length > 0")
        assert page.run("document.documentElement.scrollWidth") <= 380
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert page.troubles == []


def test_on_paper_all_charts_and_tables_are_there(page: Browser, tmp_path: Path) -> None:
    opened(page, a_report(tmp_path, count=2))
    page.scheme("dark")
    assert page.paper().startswith(b"%PDF")
    assert page.run("[...document.querySelectorAll('figure')].every((each) => each.querySelector('.pane svg'))")
    assert page.troubles == []


def test_no_hostile_text_runs_or_breaks_anything(page: Browser, tmp_path: Path) -> None:
    opened(page, written(tmp_path, *hostile(tmp_path)))
    for at in range(len(PAYLOADS)):
        page.run(f"document.querySelectorAll('figure')[{at}].scrollIntoView()")
        page.wait(f"document.querySelectorAll('figure')[{at}].querySelectorAll('.mark-symbol path').length > 0")
        page.run(f"document.querySelectorAll('.numbers')[{at}].open = true")
        page.point(*centre(page, f"figure[data-chart=chart{at + 1}] .mark-symbol path"))
    page.run("document.querySelectorAll('main button').forEach((each) => each.click())")
    assert page.run("typeof window.hurt") == "undefined"
    assert page.run("document.querySelectorAll('img, main script, [onerror], [onfocus]').length") == 0
    assert page.troubles == []


def test_the_policy_stops_what_would_run(page: Browser, tmp_path: Path) -> None:
    opened(page, a_report(tmp_path))
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hurt=1>')")
    page.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hurt=1'}))")
    page.wait("true")
    assert page.run("typeof window.hurt") == "undefined"
    assert any("Content Security Policy" in words for words in page.troubles)


@pytest.mark.skipif(not LARGE, reason="depends on time; make test-report")
@pytest.mark.parametrize("rows", [1_000, 10_000, 100_000])
def test_a_page_opens_at_once(page: Browser, tmp_path: Path, rows: int) -> None:
    path = a_report(tmp_path, count=rows // 225 + 1)
    assert opened(page, path) < SECONDS_TO_OPEN
    assert rows > 10_000 or path.stat().st_size < 5_000_000
    assert page.troubles == []
