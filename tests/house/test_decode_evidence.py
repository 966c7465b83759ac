"""Numbers of decode steps and of predictions in READMEs are those of the committed files, and of the commands."""

from __future__ import annotations

import re
from functools import cache
from statistics import median

from predictions import predicted, table
from readmes import LINES, PROSE, ROOT

from collbench.results.records import load as load_rows
from collbench.results.replays import load
from collbench.views.replay_sums import Summary, summaries

COLUMNS = ("8B, TP 2", "8B, TP 4", "70B, TP 2", "70B, TP 4")
FILES = dict(
    zip(COLUMNS, ("h100x2-replay-8b", "h100x4-replay-8b", "h100x2-replay-70b", "h100x4-replay-70b"), strict=True)
)


@cache
def replay(name: str) -> dict[str, Summary]:
    """The summaries of a committed replay by backend."""
    return {each.backend: each for each in summaries(load(ROOT / "results" / f"{name}.csv"))}


def number(value: float | None) -> float:
    """A value that is there."""
    assert value is not None
    return value


def cells(start: str) -> list[str]:
    """The numbers of the only row that begins so."""
    (line,) = [line for line in LINES if line.startswith(start)]
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_steps_of_the_readme() -> None:
    both = [(replay(FILES[each])["nccl"], replay(FILES[each])["nvrar"]) for each in COLUMNS]
    assert cells("| H100, vLLM V1, bf16, `results/h100x*-replay-*.csv` |") == list(COLUMNS)
    for backend, place in (("nccl", 0), ("nvrar", 1)):
        alone = [f"{number(each[place].communication_us):.0f}" for each in both]
        steps = [f"{number(each[place].step_us) / 1000:.2f}" for each in both]
        assert cells(f"| communication alone, µs a step: `{backend}` |") == alone
        assert cells(f"| step with matrix products, ms: `{backend}` |") == steps
    shares = [1 - number(nccl.compute_us) / number(nccl.step_us) for nccl, _ in both]
    ratios = [number(nccl.step_us) / number(nvrar.step_us) for nccl, nvrar in both]
    assert cells("| f, what `nccl` adds") == [f"{100 * each:.0f} %" for each in shares]
    assert cells("| speed-up of the step by `nvrar` |") == [f"{each:.2f}" for each in ratios]


def test_every_row_of_the_table_of_steps() -> None:
    name, seen = "", 0
    for line in LINES:
        found = re.fullmatch(r"\| (?:`(h100x\d-replay-[\w-]+)\.csv`)? ?\| `([\w-]+)` \| ([\d| -]+) \|", line)
        if not found:
            continue
        name, seen = found[1] or name, seen + 1
        each = replay(name)[found[2]]
        values = (each.sum_us, each.communication_us, each.compute_us, each.step_us, each.beyond_us)
        assert found[3].split(" | ") == [f"{number(value):.0f}" for value in values], line
        assert each.launches == 3
    assert seen == 19


def test_what_is_said_of_steps() -> None:
    plain = ("h100x2-replay-8b-2x1", "h100x2-replay-70b-2x1", *FILES.values())
    assert max(abs(number(each.difference)) for name in plain for each in replay(name).values()) < 0.04
    fused = ("h100x2-replay-8b-fused", "h100x2-replay-70b-fused")
    assert max(abs(number(each.difference)) for name in fused for each in replay(name).values()) < 0.09
    four = replay("h100x4-replay-70b-fused")
    assert f"{number(four['nccl'].difference):.0%} {number(four['nccl-symm'].difference):.0%}" == "11% 15%"
    gains = [
        number(replay(name)["nvrar-unfused"].step_us) - number(replay(name)["nvrar"].step_us)
        for name in (*reversed(fused), "h100x4-replay-70b-fused")
    ]
    words = "on two GPUs one kernel is {:.0f} µs a step faster than two for 70B, {:.0f} for 8B"
    assert words.format(*gains[:2]) in PROSE
    assert f"rows of 8192 it is {-gains[2]:.0f} µs slower" in PROSE
    beyond = sorted(number(each.beyond_us) for each in replay("h100x4-replay-70b").values())
    assert f"hardly depends on the library ({beyond[0]:.0f} to {beyond[-1]:.0f} µs for 70B)" in PROSE


def test_late_ranks() -> None:
    rows = [row for row in load_rows(ROOT / "results" / "h100x4-skew.csv") if row.bytes == 64 << 10]
    for backend, where in (("nccl", " at 64 KiB"), ("nccl-symm", ""), ("nvrar", "")):
        skews = {row.skew for row in rows}
        of_skew = [[row for row in rows if (row.backend, row.skew) == (backend, skew)] for skew in skews]
        found = [median(number(row.latency_us_median) for row in some) for some in of_skew]
        span = f"{min(found):.2f} to {max(found):.2f}{' µs' if where else ''}{where}"
        assert re.search(rf"`{backend}` (takes )?{re.escape(span)}", PROSE), span
    step = replay("h100x2-replay-8b-skew")["nvrar"]
    (late,) = [each for each in step.skews if each.skew == "20us"]
    words = "make {:.0f} µs of communication {:.0f} from the first arrivals and {:.0f} from the last"
    assert words.format(number(step.communication_us), late.from_first_us, late.from_last_us) in PROSE


def test_predictions_of_the_readme() -> None:
    rows = predicted(
        "llama-3.1-405b:gpus-per-node=4:batch=8:output=1024", "--gpu", "a100", "--source", "nccl=fit:slingshot-11#nccl",
        "--faster", "1.9", "--faster", "3.6", "--nodes", "4,8,16",
    )  # fmt: skip
    by_case = {(row["nodes"], row["tp"], row["source"]): row for row in rows if row["pp"] == 1}
    plain = [by_case[nodes, 4 * nodes, "nccl"] for nodes in (4, 8, 16)]
    times = [f"{row['tpot_us'] / 1000:.1f}" for row in plain]
    shares = [f"{100 * row['share']:.0f}" for row in plain]
    assert "take {}, {} and {} ms a token with NCCL, of which f = {}, {} and {} %".format(*times, *shares) in PROSE
    assert {row["tpot_basis"] for row in plain} == {"assumed"}
    gains = [
        f"{by_case[nodes, 4 * nodes, f'nccl ÷ {factor}']['speedup']:.2f}"
        for nodes in (4, 8, 16)
        for factor in (1.9, 3.6)
    ]
    assert "the step is {} to {}, {} to {} and {} to {} times as fast".format(*gains) in PROSE


def test_steps_from_single_latencies() -> None:
    csv = "csv:results/h100x4-llm.csv"
    rows = predicted(
        "llama-3.1-70b:tp=4:batch=8:gpus-per-node=4", "--nodes", "1", "--source", f"nccl={csv}#nccl", "--source",
        f"nvrar={csv}#nvrar", "--compute", "results/h100x4-replay-70b.csv",
    )  # fmt: skip
    times = [f"{row['tpot_us'] / 1000:.1f}" for row in rows]
    steps = [f"{number(replay('h100x4-replay-70b')[each].step_us) / 1000:.1f}" for each in ("nccl", "nvrar")]
    assert "it says {} and {} ms for 70B at TP 4, where {} and {} were measured".format(*times, *steps) in PROSE
    assert {row["decode_communication_basis"] for row in rows} == {"measured"}


def test_predictions_for_two_machines() -> None:
    rows = table()
    assert [line for line in LINES if line in rows] == rows
