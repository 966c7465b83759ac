"""The command llm predict: forms, files, sources, and one sentence for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import Here
from samples import timed

from collbench.results.records import dump

PREDICT = ("llm", "predict")
SPEC = "llama-3.1-8b:tp=4:gpus-per-node=4"
MODES = ("chain", "isolated")
SIZES = {"all_reduce": (8192, 1 << 20), "all_gather": (1 << 17, 1 << 19)}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Latencies on 4 ranks: 10 us on mpi; 4 us on mpi-nvrar, which has all-reduces alone."""
    rows = [timed(10.0, collective=name, bytes=size) for name, sizes in SIZES.items() for size in sizes]
    rows += [timed(4.0, backend="mpi-nvrar", bytes=size) for size in SIZES["all_reduce"]]
    path = tmp_path / "x.csv"
    path.write_text(dump(rows), encoding="utf-8")
    return path


def asked(results: Path) -> tuple[str, ...]:
    return (*PREDICT, SPEC, "--nodes", "1", "--source", f"slow=csv:{results}#mpi", "--source",
            f"csv:{results}#mpi-nvrar", "--rest", f"csv:{results}#mpi")  # fmt: skip


def test_every_form_the_file_and_the_charts(here: Here, results: Path, tmp_path: Path) -> None:
    path, plots = tmp_path / "out.csv", tmp_path / "plots"
    plain = here(*asked(results), "--gpu", "h100", "-o", str(path), "--plots", str(plots), "--claims")
    assert plain.code == 0
    assert "All-reduce over all GPUs: slow ÷ mpi-nvrar" in plain.out
    assert "TPOT in arXiv 2507.14392" in plain.out
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + 2
    assert sorted(each.name for each in plots.glob("*.png")) == [
        f"llama-3.1-8b-{name}.png" for name in ("best", "parts-b1", "speedup-b1", "tpot-b1")
    ]
    found = json.loads(here(*asked(results), "--gpu", "h100", "--json").out)
    slow, fast = found["predictions"]
    assert (slow["source"], fast["source"], slow["basis"]) == ("slow", "mpi-nvrar", "assumed")
    assert slow["decode_communication_us"] == pytest.approx(66 * 10)
    assert fast["decode_communication_us"] == pytest.approx(65 * 4 + 10)
    assert slow["decode_communication_basis"] == "measured"
    assert fast["speedup"] == pytest.approx(slow["tpot_us"] / fast["tpot_us"])
    assert "| 1 | TP 4 | slow |" in here(*asked(results), "--gpu", "h100", "--markdown").out


def test_a_given_time_replaces_the_roofline_of_decode_steps(here: Here, results: Path) -> None:
    given = (*asked(results), "--gpu", "h100", "--compute", "0.05ms", "--json")
    found = json.loads(here(*given).out)
    assert found["predictions"][0]["decode_compute_us"] == pytest.approx(32 * 50)
    assert found["predictions"][0]["prefill_compute_us"] > 0
    assert found["compute"].startswith(
        "decode: given, a layer takes 50 µs at TP 4; prefill and drafts: roofline of H100"
    )


def test_faster_all_reduces_are_a_source_of_their_own(here: Here, results: Path) -> None:
    """On one node none is faster; their all-reduces are no finding, so that they have no table of speed-ups."""
    found = json.loads(here(*asked(results), "--gpu", "h100", "--faster", "2", "--json").out)
    assert [each["source"] for each in found["predictions"]] == ["slow", "mpi-nvrar", "slow ÷ 2"]
    assert found["predictions"][2]["speedup"] == pytest.approx(1)
    assert [each["source"] for each in found["all_reduce_speedups"]] == ["mpi-nvrar"]


def test_prefill_has_a_source_of_its_own(here: Here, results: Path) -> None:
    one = json.loads(here(*asked(results), "--gpu", "h100", "--prefill", f"csv:{results}#mpi", "--json").out)
    assert [each["prefill_communication_us"] for each in one["predictions"]] == pytest.approx([660, 660])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--gpu", "h10"), "unknown GPU 'h10'; did you mean 'h100'?"),
        (("--gpu", "h100", "--efficiency", "2"), "--efficiency is 2; it must be above 0 and at most 1."),
        (("--compute", "12"), "'12' is not a time of a layer; write 12.3us, or 4=20us,8=12us for TP 4 and TP 8."),
        (("--compute", "12us", "--prefill", "csv:none.csv#mpi"), "none.csv does not exist"),
        (
            ("--compute", "8=12us"),
            "--compute has no time of a layer at TP 4; write 4=12.3us.",
        ),
        (("--compute", "12us", "--batch", "1,2"), "--compute gives the times of one batch; give --batch one number."),
        (("--compute", "4=12us,4=9us"), "'4=9us' is a second time at TP 4, or not one above 0"),
        (("--compute", f"{10**400}us"), "or not one above 0 and below 1 s; give one each."),
        (("--compute", "0us"), "or not one above 0 and below 1 s; give one each."),
        ((), "how long a GPU computes is unknown; give --gpu, one of a100, a100-40gb"),
        (("--gpu", "h100", "--nodes", "99999999999"), "--nodes 99999999999 has more than 131072 GPUs"),
        (("--gpu", "h100", "--nodes", "0"), "'0' is not a count"),
        (("--gpu", "h100", "--nodes", "2"), "nothing can be predicted: the rows of mpi for"),
        (("--gpu", "h100", "--source", "csv"), "'csv' is not a source of latencies"),
        (("--gpu", "h100", "--json", "--latex"), "exclude each other"),
    ],
)
def test_bad_input_is_one_sentence(here: Here, results: Path, arguments: tuple[str, ...], why: str) -> None:
    ran = here(*asked(results), *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert why in ran.err


def test_a_spec_and_a_source_are_needed(here: Here, results: Path) -> None:
    source = ("--source", f"csv:{results}#mpi", "--gpu", "h100")
    for spec, why in [("llama-3.1-9b", "unknown model"), ("llama-3.1-8b:tpp=2", "did you mean"),
                      ("llama-3.1-8b:tp=3", "llama-3.1-8b:tp=3 does not use all 8 GPUs.")]:  # fmt: skip
        ran = here(*PREDICT, spec, "--nodes", "1", *source)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert why in ran.err
    ran = here(*PREDICT, SPEC, "--gpu", "h100")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert f"for example: collbench llm predict {SPEC} --source fit:infiniband-ndr#nccl" in ran.err
    assert here(*ran.err.split("collbench ")[1].rstrip(".\n").split(), "--nodes", "1,2").code == 0


def test_a_chart_of_steps(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "splits.svg"
    assert here("llm", "steps", "llama-3.1-8b", "--tp", "2", "--chart", str(path)).code == 0
    assert path.read_text(encoding="utf-8").startswith("<?xml")
    ran = here("llm", "steps", "llama-3.1-8b", "--tp", "2", "--chart", str(tmp_path / "splits"))
    assert (ran.code, ran.out) == (2, "")
    assert "does not end in .png, .svg or .pdf" in ran.err


def test_no_rest_stands_in_for_an_ambiguous_source(here: Here, results: Path) -> None:
    rows = [timed(4.0, backend="mpi-nvrar", bytes=size, mode=mode) for size in (8192, 1 << 20) for mode in MODES]
    other = results.with_name("y.csv")
    other.write_text(dump(rows), encoding="utf-8")
    sources = ("--source", f"csv:{other}#mpi-nvrar", "--rest", f"csv:{results}#mpi")
    found = here(*PREDICT, SPEC, "--nodes", "1", "--gpu", "h100", *sources)
    assert (found.code, "several values of mode (chain, isolated); select one" in found.err) == (2, True)
