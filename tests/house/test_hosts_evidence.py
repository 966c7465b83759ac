"""What READMEs say of GPUs on several hosts is what the committed file and its sidecar hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from statistics import median

import pytest
from lab.gpu_hosts import IN_FULL
from lab.slopes import delay_us
from lab.slopes import middles as medians_of
from readmes import LINES, PROSE, ROOT, line_that_begins

from collbench.backends._between_nodes import SCHEDULES
from collbench.fit.files import fit_file, predictions
from collbench.plan.sizes import parse_size
from collbench.results.records import load

NAME = "h200x2-hosts-200us-10g"
FOUR = "h200x4-4hosts-200us-10g"
WIRE = re.compile(r"^(\S+) +(\d+ [KM]iB) +(\d+) +[\d.]+ +(\d+) ", re.MULTILINE)
HEADERS, SEGMENT = 66, 1448  # bytes of a packet: Ethernet, IPv4 and TCP, and what it carries


@cache
def middles(file: str = NAME, launches: tuple[int, ...] = (3,)) -> dict[tuple[str, int], float]:
    """Medians over launches, in microseconds."""
    found: dict[tuple[str, int], list[float]] = {}
    for row in load(ROOT / "results" / f"{file}.csv"):
        assert row.status == "ok"
        assert row.latency_us_median
        found.setdefault((row.backend, row.bytes), []).append(row.latency_us_median)
    assert {len(each) for each in found.values()} == set(launches)
    return {case: median(each) for case, each in found.items()}


def ahead(size: int, us: Mapping[tuple[str, int], float] | None = None) -> float:
    """The best NCCL over nvrar."""
    us = us or middles()
    return min(us[name, at] for name, at in us if at == size and name.startswith("nccl")) / us["nvrar", size]


def table(begin: str, count: int) -> tuple[list[int], list[list[str]]]:
    """The sizes in the head of the only table whose head begins so, and the cells of its rows."""
    (at,) = [number for number, line in enumerate(LINES) if line.startswith(begin)]
    head, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in LINES[at : at + 2 + count]]
    return [parse_size(cell) for cell in head[1:]], rows[1:]


def test_the_table() -> None:
    sizes, rows = table(f"| 2 × H200 as two hosts, bf16, `results/{NAME}.csv` |", 5)
    assert [row[0].strip("`") for row in rows[:-1]] == ["nvrar", "nvrar-put", "nvrar-put-halving", "nccl"]
    for name, *shown in rows[:-1]:
        assert shown == [f"{middles()[name.strip('`'), size]:.0f}" for size in sizes]
    assert rows[-1] == ["best of five NCCL ÷ `nvrar`", *(f"{ahead(size):.2f}" for size in sizes)]


def test_four_links_in_full() -> None:
    sizes, rows = table("| best of five NCCL ÷ `nvrar`, one way and rate |", 4)
    assert {row[0].split("`")[1] for row in rows} == set(IN_FULL)
    for name, *shown in rows:
        us = middles("h200x2-hosts-" + name.split("`")[1])
        assert shown == [f"{ahead(size, us):.2f}" for size in sizes]
        assert min(us["nccl", size] / us["nvrar", size] for size in sizes if size <= 2 << 20) > 1


def test_eight_other_links() -> None:
    names = {"no delay": "0us", "50 µs": "50us", "200 µs": "200us", "1 ms": "1ms"}
    for words, delay in names.items():
        cells = [cell.strip() for cell in line_that_begins(f"  | {words} | ").split("|")[2:-1]]
        for rate, cell in zip(("-1g", "-10g", ""), cells, strict=True):
            if delay + rate in IN_FULL:
                assert cell == "above"
                continue
            us = middles(f"h200x2-hosts-{delay}{rate}", (1,))
            assert cell == ", ".join(f"{ahead(size, us):.2f}" for size in (4 << 10, 128 << 10, 1 << 20))


def test_more_gpus() -> None:
    sizes, rows = table("| bf16, µs | 4 KiB |", 11)
    for begin, end, file in ((1, 7, FOUR), (8, 11, "h200x4-2x2-200us-10g")):
        assert f"`results/{file}.csv`" in rows[begin - 1][0]
        us = middles(file, (1, 2))
        for name, *shown in rows[begin : end - 1]:
            assert shown == [f"{us[name.strip('`'), size]:.0f}" for size in sizes]
        assert rows[end - 1] == ["`nccl` ÷ `nvrar`", *(f"{ahead(size, us):.2f}" for size in sizes)]
    chosen = {
        row.bytes: row.param["kernel"] for row in load(ROOT / "results" / f"{FOUR}.csv") if row.backend == "nvrar"
    }
    doubling = [size for size, kernel in chosen.items() if kernel == "nvrar_put_lamport"]
    assert "selected one-shot up to 32 KiB, doubling without flags up to 512 KiB and halving above" in PROSE
    assert (min(doubling), max(doubling), chosen[32 << 10]) == (64 << 10, 512 << 10, "nvrar_put_oneshot")


def test_sentences() -> None:
    four, large, wide = ahead(4096), ahead(1 << 20), ahead(2 << 20)
    words = f"the best NCCL takes {four:.2f} times as long as `nvrar` at 4 KiB, {wide:.2f} times at 2 MiB"
    assert words in line_that_begins("| [Does it hold between hosts?]")
    more = middles(FOUR, (1, 2))
    words = f"between four, NCCL with default settings takes {ahead(4096, more):.2f} times"
    assert words in line_that_begins("| [Does it hold between hosts?]")
    assert f"takes {four:.2f} times as long as `nvrar` at 4 KiB and {wide:.2f} at 2 MiB on two hosts" in PROSE
    default = [f"{ahead(size, more):.2f}" for size in (4 << 10, 2 << 20, 16 << 20)]
    assert "takes {} and {} times as long, {} at 16 MiB".format(*default) in PROSE
    bound = 200 + (1 << 20) * (1 + HEADERS / SEGMENT) * 8 / 10_000
    assert f"4.6 %, are {bound:.0f} µs at 1 MiB" in PROSE
    assert f"more than {large * middles()['nvrar', 1 << 20] / bound:.2f} times as fast as the best NCCL there" in PROSE


def test_the_kernel_and_the_link_are_those_of_the_file() -> None:
    chosen = {row.param["kernel"] for row in load(ROOT / "results" / f"{NAME}.csv") if row.backend == "nvrar"}
    assert chosen == {"nvrar_put_lamport"}
    launches = json.loads((ROOT / "results" / f"{NAME}.json").read_text())["launches"]
    notes = {launch["variables"]["COLLBENCH_NOTE"] for launch in launches}
    assert len(launches) == 15
    assert notes == {
        "hosts are network namespaces of one machine; link: 200 us one way, 10000 Mbit/s out of and into each host"
    }


def test_what_is_predicted_for_more_hosts() -> None:
    sizes = (4 << 10, 64 << 10, 1 << 20)
    for file, nodes in ((NAME, 4), (FOUR, 8)):
        rows = [row for row in load(ROOT / "results" / f"{file}.csv") if row.backend in ("nccl", "nvrar")]
        shown: dict[str, list[str]] = {}
        for each in predictions(
            fit_file(ROOT / "results" / f"{file}.csv", rows), [(size, nodes, nodes) for size in sizes]
        ):
            assert each.estimate
            assert each.estimate.basis == "assumed"
            us, low, high = (f"{value:.0f}" for value in (each.estimate.us, each.estimate.low, each.estimate.high))
            shown.setdefault(each.fit.curve.backend, []).append(f"{us} ({low} to {high})")
        assert list(shown) == ["nccl", "nvrar"], "in the order of the fits"
        for name, cells in shown.items():
            begin = f"| {nodes} hosts, `{name}` |"
            assert line_that_begins(begin) == f"{begin} {' | '.join(cells)} |"
    measured = middles(FOUR, (1, 2))
    for name in ("nccl", "nvrar"):
        begin = f"| 4 hosts, `{name}`, measured |"
        assert line_that_begins(begin) == f"{begin} {' | '.join(f'{measured[name, size]:.0f}' for size in sizes)} |"


@pytest.mark.parametrize("name", ["h200x2-2hosts", "h200x4-4hosts"])
def test_bytes_of_kernels_that_put(name: str) -> None:
    counted = WIRE.findall((ROOT / "results" / f"{name}-wire.txt").read_text(encoding="utf-8"))
    assert len(counted) == (16 if name == "h200x2-2hosts" else 12)
    assert {f"{float(sent) / float(stated):.2f}" for _, _, sent, stated in counted} == {"1.05"}
    assert "send 1.05 times what they state at every size from 64 KiB on" in PROSE


@pytest.mark.parametrize("hosts", [4, 8])
def test_bytes_that_the_switch_counted(hosts: int) -> None:
    text = (ROOT / "results" / f"cpu-{hosts}hosts-wire.txt").read_text(encoding="utf-8")
    counted = {(name, size): (float(sent), float(stated)) for name, size, sent, stated in WIRE.findall(text)}
    assert len(counted) == 10
    assert all(sent < 1.06 * stated for sent, stated in counted.values())
    for (name, size), (sent, stated) in counted.items():
        way = {"mpi-nvrar": "doubling", "mpi-ring": "two-shot"}.get(name, name.split("=")[-1])  # a ring has these bytes
        assert stated == SCHEDULES[way].cost(hosts).shards * parse_size(size.replace(" ", ""))
        if size == "1 MiB":
            rest = "".join(line for line in LINES if line.startswith((f"| `{name}` | ", f"| `{name}`: ")))
            assert f" {sent:,.0f} ÷ {stated:,.0f} = {sent / stated:.3f} |" in rest


def test_slopes() -> None:
    near, far = (ROOT / "results" / f"{name}.csv" for name in ("h200x2-hosts-50us-10g", NAME))
    before, after, further = medians_of(load(near)), medians_of(load(far)), delay_us(far) - delay_us(near)
    heads = [number for number, line in enumerate(LINES) if line.strip().startswith("| slope, trips |")]
    sizes = [parse_size(cell) for cell in LINES[heads[0]].split("|")[2:-1]]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in LINES[heads[0] + 2 : heads[0] + 5]]
    for name, *shown in rows:
        cases = [(2, size, name.strip("`")) for size in sizes]
        assert shown == [f"{(after[case] - before[case]) / further:.2f}" for case in cases]


def test_slopes_between_cpu_hosts() -> None:
    near, far = (ROOT / "results" / f"cpu-nodes-{delay}us.csv" for delay in (1000, 2000))
    before, after, further = medians_of(load(near)), medians_of(load(far)), delay_us(far) - delay_us(near)
    (at,) = [number for number, line in enumerate(LINES) if line.startswith("| slope, delays |")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in LINES[at + 2 : at + 8]]
    for name, trips, *shown in rows:
        cases = [(hosts, size << 10, name.strip("`")) for hosts in (4, 8) for size in (4, 16, 64)]
        assert shown == [f"{(after[case] - before[case]) / further:.2f}" for case in cases]
        way = {"`mpi-nvrar`": "doubling", "`mpi-ring`": None, "`mpi`": None}.get(name, name.strip("`").split("=")[-1])
        assert not way or trips == ", ".join(str(SCHEDULES[way].cost(hosts).trips) for hosts in (4, 8))


def test_latency_of_each_way_between_cpu_hosts() -> None:
    found = medians_of(load(ROOT / "results" / "cpu-nodes-1000us.csv"))
    assert {row.launch for row in load(ROOT / "results" / "cpu-nodes-1000us.csv")} == {0, 1, 2}
    (at,) = [number for number, line in enumerate(LINES) if "`results/cpu-nodes-1000us.csv` |" in line]
    sizes = [parse_size(cell) for cell in LINES[at].split("|")[3:-1]]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in LINES[at + 2 : at + 18]]
    assert len(rows) == 2 * 8
    for hosts, name, *shown in rows:
        us = {(each, size): found[int(hosts), size, each] for nodes, size, each in found if nodes == int(hosts)}
        if name == "`mpi` ÷ best of ours":
            ours = {size: min(us[each, size] for each, at in us if at == size and "nvrar" in each) for size in sizes}
            ahead = [us["mpi", size] / ours[size] for size in sizes]
            assert shown == [f"{each:.2f}" for each in ahead]
            assert min(ahead[:3]) > 1, "up to 64 KiB"
        else:
            assert shown == [f"{us[name.strip('`'), size]:.0f}" for size in sizes]
