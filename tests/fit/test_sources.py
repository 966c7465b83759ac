"""Sources of latencies by their text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from readmes import ROOT
from samples import timed

from collbench.errors import UsageError
from collbench.fit.estimate import AmbiguousError
from collbench.fit.fitted import FittedRows
from collbench.fit.sources import parse_source
from collbench.results.records import dump

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


@pytest.mark.parametrize("kind", ["csv", "fit"])
def test_rows_of_late_ranks_are_left_out_unless_asked_for(tmp_path: Path, kind: str) -> None:
    sizes = (1024, 4096, 16384)
    late, plain = ([timed(us, skew=skew, bytes=size) for size in sizes] for us, skew in ((90.0, "20us"), (9.0, "")))
    path = tmp_path / "x.csv"
    path.write_text(dump([*late, *plain]), encoding="utf-8")
    assert parse_source(f"{kind}:{path}#mpi").of("all_reduce", 4096, 4, 1).us == pytest.approx(9.0, rel=0.02)
    asked = parse_source(f"{kind}:{path}?skew=20us#mpi")
    assert asked.of("all_reduce", 4096, 4, 1).us == pytest.approx(90.0, rel=0.02)
    path.write_text(dump(late), encoding="utf-8")
    with pytest.raises(UsageError, match=r"no sound latency of mpi; .*x.csv\?skew=20us#mpi"):
        parse_source(f"{kind}:{path}#mpi")


def test_a_file_without_rows_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(dump([]), encoding="utf-8")
    with pytest.raises(UsageError, match=r"x.csv has no rows"):
        parse_source(f"csv:{path}#mpi")


def test_an_ambiguous_collective_of_a_fit_leaves_the_others() -> None:
    rows = [timed(9.0, bytes=size) for size in (1024, 4096, 16384)]
    both = [replace(row, collective="broadcast", mode=mode) for row in rows for mode in ("chain", "isolated")]
    found = FittedRows((*rows, *both), "mpi", "x.csv")
    assert found.of("all_reduce", 4096, 4, 1).us == pytest.approx(9.0, rel=0.02)
    with pytest.raises(AmbiguousError, match="several values of mode"):
        found.of("broadcast", 4096, 4, 1)


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


@pytest.mark.parametrize(
    ("text", "world", "name", "basis"),
    [
        (f"fit:{NVRAR}#nvrar", (4, 1), "nvrar", "modelled"),
        (f"fit:{NVRAR}#nvrar", (8, 1), "nvrar", "assumed"),
        ("fit:nvlink#nccl", (4, 1), "nccl", "modelled"),
        ("fit:slingshot-11#nccl", (8, 2), "nccl", "modelled"),
        ("fit:slingshot-11#nccl", (16, 4), "nccl", "assumed"),
        ("fit:infiniband-ndr#nvrar", (8, 2), "nvrar", "assumed"),
        ("engine:vllm", (4, 1), "vllm", "modelled"),
        ("forecast:h200:channels=24:width=20", (4, 1), "nccl (forecast)", "assumed"),
    ],
)
def test_every_kind_has_a_range_and_a_basis(text: str, world: tuple[int, int], name: str, basis: str) -> None:
    found = parse_source(text)
    estimate = found.of("all_reduce", 1 << 18, *world)
    assert (found.name, estimate.basis) == (name, basis)
    assert 0 < estimate.low <= estimate.us <= estimate.high


GROWING = (
    "fit:slingshot-11#nccl", "fit:infiniband-ndr#nccl", "fit:slingshot-11#nvrar", "fit:infiniband-ndr#nvrar-paper",
    "forecast:a100:channels=8:width=12:cpu=amd",
)  # fmt: skip


@pytest.mark.parametrize("text", GROWING)
@pytest.mark.parametrize("operation", ["all_reduce", "all_gather"])
def test_latency_grows_with_nodes_and_with_size(text: str, operation: str) -> None:
    source = parse_source(text)
    for size in (8, 1 << 16, 1 << 18, 1 << 20, 1 << 24):
        over_nodes = [source.of(operation, size, 4 * nodes, nodes).us for nodes in (1, 2, 4, 8, 16, 32)]
        assert over_nodes == sorted(over_nodes), size
    over_sizes = [source.of(operation, 1 << power, 8, 2).us for power in (3, 12, 16, 20, 26)]
    assert over_sizes == sorted(over_sizes)


def test_virtual_nodes_are_no_links_between_nodes() -> None:
    with pytest.raises(UsageError, match="has no world of several nodes"):
        parse_source(f"fit:{LAYOUTS}?fabric=nvlink-virtual#nvrar").of("all_reduce", 65536, 8, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fit:nvlnk#nccl", "did you mean 'nvlink'"),
        ("fit:nvlink#ncl", "did you mean 'nccl'"),
        ("fit:nvlink", "unknown backend of the profile nvlink"),
        ("engine:vlm", "did you mean 'vllm'"),
        ("engine:nccl", "unknown engine"),
        ("forecast:h100", "lacks channels"),
        ("forecast:h100:channels=4", "lacks width"),
        (f"forecast:h100:channels={10**400}:width=1", "channels are 1 to 1024"),
        ("forecast:h100:channels=four:width=1", "'four' is not a whole number"),
        ("forecast:h100:channels=4:width=wide", "'wide' is not a number"),
        ("forecast:h100:chanels=4:width=1", "did you mean 'channels'"),
        ("forecast:h100:channels=4:width", "is not KEY=VALUE"),
        ("forecast:v100:channels=4:width=1", "unknown GPU 'v100'"),
        ("forecast:log=none.log", "cannot be read"),
        ("forecast:log=none.log:rank=4", "did you mean 'ranks'"),
    ],
)
def test_other_profiles_engines_and_forecasts_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_source(text)


@pytest.mark.parametrize(
    ("text", "operation", "world", "words"),
    [
        ("fit:nvlink#nccl", "all_reduce", (8, 2), "no links between nodes"),
        (f"fit:{NVRAR}#nvrar", "broadcast", (4, 1), "no rows of nvrar for broadcast"),
        (f"fit:{ROOT}/results/h200x4-worlds.csv#nccl", "all_reduce", (4, 1), "several values of dtype"),
        ("engine:vllm", "all_gather", (4, 1), "has all_reduce, not all_gather"),
        ("engine:vllm", "all_reduce", (16, 1), "the kernels of vllm run on 2, 4, 6, 8 ranks; 16 take NCCL"),
        ("engine:vllm", "all_reduce", (8, 2), "run inside a node"),
        ("forecast:h100:channels=4:width=9", "send", (2, 1), "unknown collective of NCCL's forecast 'send'"),
    ],
)
def test_what_a_source_does_not_know_is_refused(text: str, operation: str, world: tuple[int, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_source(text).of(operation, 4096, *world)
