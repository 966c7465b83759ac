"""Charts and ratios of unlike machines: charts of their own in one run, a warning between two."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pandas as pd
import pytest
from charts import TWO, a_run, legend, line, rows, title, words
from foreign_logs import nccl_tests
from matplotlib.figure import Figure
from nights import a_night, launches_of
from running import Here

import collbench as cb
from collbench.results.facts import machine_in
from collbench.results.records import Record
from collbench.views.chart_set import ChartOptions
from collbench.views.figures import charts
from collbench.views.machines import machine_of_run, unlike, unlike_backends
from collbench.views.page import look
from collbench.views.runs import Run, load_runs

WARNING = "UNLIKE MACHINES: A ran on H100, B on H200; ratios between them compare machines."


def together(*runs: Run) -> Run:
    """The files of several runs as one run."""
    records = [row for run in runs for row in run.records]
    files = {row: path for run in runs for row, path in run.files.items()}
    return Run(records, files, {row: facts for run in runs for row, facts in run.facts.items()})


def drawn(*runs: Run, baseline: str | None = None) -> dict[str, Figure]:
    with look():
        return {chart.name: chart.figure for chart in charts(runs, ChartOptions(baseline))}


def on(gpu: str, *backends: str, stem: str = "x", **fields: object) -> Run:
    """A file of these backends, nccl twice as slow as the others, measured on GPUs of this model."""
    speeds = {name: TWO.get(name, 10.0) for name in backends}
    return a_run(rows(speeds, run_id=stem, **fields), stem, **({"gpu": gpu} if gpu else {}))


def test_unlike_machines_have_charts_of_their_own_with_speed_ups_of_their_own() -> None:
    found = drawn(together(on("H200", "nccl", "nvrar", stem="a"), on("NVIDIA H100 80GB HBM3", "oneshot", stem="b")))
    assert set(found) == {
        "latency-H200", "bandwidth-H200", "best-H200", "latency-H100_80GB_HBM3", "bandwidth-H100_80GB_HBM3",
    }  # fmt: skip
    figures = found["latency-H200"], found["latency-H100_80GB_HBM3"]
    assert [list(legend(figure)) for figure in figures] == [["nccl", "nvrar"], ["oneshot"]]
    assert line(figures[0], "nvrar", axes=1) == pytest.approx([2.0] * 5)
    assert [len(figure.axes) for figure in figures] == [2, 1]
    assert ["× H200 " in title(figures[0]), "× H100 80GB HBM3 " in title(figures[1])] == [True, True]
    assert "Measured on H200; unlike machines have charts of their own." in words(figures[0])


def test_no_line_over_ranks_joins_unlike_machines() -> None:
    two = on("H100", "nccl", stem="b", ranks=2, gpus_per_node=2)
    assert not [name for name in drawn(together(on("H200", "nccl", stem="a"), two)) if "scaling" in name]
    two = on("H200", "nccl", stem="b", ranks=2, gpus_per_node=2)
    assert [name for name in drawn(together(on("H200", "nccl", stem="a"), two)) if "scaling" in name]


@pytest.mark.parametrize("other", ["", "H200", "NVIDIA H200"])
def test_like_machines_and_an_unknown_one_share_a_chart(other: str) -> None:
    found = drawn(together(on("H200", "nccl", stem="a"), on(other, "nvrar", stem="b")))
    assert set(found) == {"latency", "bandwidth", "best"}
    assert line(found["latency"], "nvrar", axes=1) == pytest.approx([2.0] * 5)
    assert "Measured on" not in words(found["latency"])


def test_beside_two_machines_an_unknown_one_has_its_own_charts() -> None:
    runs = [on(gpu, name, stem=name) for gpu, name in (("H200", "nccl"), ("H100", "nvrar"), ("", "oneshot"))]
    found = drawn(together(*runs), baseline="nccl")
    assert [name for name in found if "latency" in name] == ["latency-H200", "latency-H100", "latency-unknown"]
    assert "Measured on a machine that is not known" in words(found["latency-unknown"])


def test_a_machine_without_a_latency_has_no_chart() -> None:
    skipped = a_run(rows({"nvrar": 1.0}, run_id="b", status="skipped", latency_us_median=None), "b", gpu="H100")
    assert {name for name in drawn(together(on("H200", "nccl", stem="a"), skipped)) if "H100" in name} == set()


def test_two_runs_of_unlike_machines_are_drawn_with_a_warning() -> None:
    before, after, like = (on(gpu, "nccl", stem=gpu) for gpu in ("H200", "H100", "NVIDIA H200"))
    shown = [[text.get_text() for text in drawn(before, each)["latency"].texts] for each in (after, like)]
    warning = "UNLIKE MACHINES: before ran on H200, after on H100; ratios between them compare machines."
    assert [any(warning in " ".join(text.split()) for text in texts) for texts in shown] == [True, False]


def test_rows_that_are_not_shown_are_of_no_machine() -> None:
    shown, other = launches_of(1.0, 2)
    assert machine_of_run(Run([shown], {}, {shown: {"gpu": "H100"}, other: {"gpu": "H200"}})) == "H100"


def test_compare_warns_of_unlike_machines(here: Here, tmp_path: Path) -> None:
    old, new, like = (
        str(a_night(tmp_path, day, launches_of(us), gpu=gpu))
        for day, (us, gpu) in enumerate([(8.0, "NVIDIA H200"), (9.0, "H100"), (9.5, "H200")])
    )
    outputs = [" ".join(here("compare", each, old).out.split()) for each in (new, like)]
    assert [WARNING in output for output in outputs] == [True, False]
    values = [json.loads(here("compare", each, old, "--json").out) for each in (new, like)]
    assert [[row["mismatch"] for row in each] for each in values] == [[WARNING], [None]]


def two_logs(here: Here, folder: Path, *gpus: str) -> str:
    """A file with a log of each of two machines."""
    for name, gpu, us in zip("ab", gpus, ("31.97", "41.97"), strict=True):
        log = nccl_tests().replace("31.97", us).replace("NVIDIA H100 80GB HBM3", gpu)
        (folder / f"{name}.log").write_text(log)
    logs = [f"{name}={folder / name}.log" for name in "ab"]
    assert here("import", *logs, "-o", str(folder / "both.csv"), "--force").code == 0
    return str(folder / "both.csv")


def test_logs_of_unlike_machines_in_one_file_are_shown_with_a_warning(here: Here, tmp_path: Path) -> None:
    words = "a ran on H100, b on H200; ratios between them compare machines."
    for gpus, count in ((("NVIDIA H100", "H200"), 1), (("NVIDIA H200", "H200"), 0)):
        path = two_logs(here, tmp_path, *gpus)
        facts = cb.read(path, sidecar=True)
        assert facts.groupby("backend").gpu.unique().map(list).to_list() == [[gpu] for gpu in gpus]
        with look():
            chart = next(charts(load_runs([Path(path)], (), pytest.fail)))
        assert sum(words in " ".join(text.get_text().split()) for text in chart.figure.texts) == count
        said = "UNLIKE MACHINES: b ran on H200, a on H100;"
        assert " ".join(here("compare", path).out.split()).count(said) == count
        assert cb.compare(facts).mismatch.str.startswith(said).fillna(False).all() == bool(count)


def test_backends_of_launches_on_several_machines_are_no_unlike_sides() -> None:
    one, two = launches_of(1.0, 2, backend="nccl"), launches_of(2.0, 1, backend="nvrar")
    facts = {one[0]: {"gpu": "A"}, one[1]: {"gpu": "B"}, two[0]: {"gpu": "A"}}
    assert unlike_backends([*one, *two], facts) == []
    facts[two[0]] = {"gpu": "C"}
    assert unlike_backends([*one, *two], facts) == [
        "UNLIKE MACHINES: nccl ran on A, B, nvrar on C; ratios between them compare machines."
    ]


def test_frames_know_machines_from_their_facts_or_from_the_sidecars(tmp_path: Path) -> None:
    new, old = (a_night(tmp_path, day, launches_of(9.0), gpu=gpu) for day, gpu in enumerate(("H100", "H200")))
    frames = [[cb.read(path, sidecar=known) for path in (new, old)] for known in (True, False)]
    gone = [frame.drop(columns="source") for frame in frames[0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [cb.compare(a, b).mismatch.to_list() for a, b in (*frames, gone)] == 3 * [[WARNING]]
        unlike_ranks: list[Record] = launches_of(9.0, ranks=8, gpus_per_node=8)
        third = cb.read(a_night(tmp_path, 3, unlike_ranks, gpu="H200"), sidecar=True).drop(columns="source")
    assert set(cb.plot(pd.concat([gone[0], third]))) == {
        f"{kind}-{gpu}" for kind in ("latency", "bandwidth") for gpu in ("H100", "H200")
    }


def test_the_machine_of_launches_is_their_gpus_else_their_cpus() -> None:
    facts = [{"gpu": "NVIDIA H200, NVIDIA A100", "cpu": "Xeon"}, {"gpu": "A100"}]
    assert machine_in(facts) == machine_in(facts[::-1]) == "A100, H200"
    assert [machine_in([{"gpu": None, "cpu": "Xeon"}]), machine_in([]), machine_in([{"cpu": None}])] == ["Xeon", "", ""]
    assert unlike({"A": "", "B": "H200"}) == unlike({"A": "H200", "B": "H200"}) == []
