"""Tables of AIConfigurator: elements and milliseconds, as text and as Parquet; and a table of this project."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from foreign_logs import cases_of, read_text

from collbench.errors import UsageError
from collbench.foreign.measured import MEAN, RANK_0, Place

NCCL = """\
framework,version,device,op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency
TRTLLM,2.29.2,NVIDIA H100 80GB HBM3,all_gather,NCCL,half,2,256,0.00531
TRTLLM,2.29.2,NVIDIA H100 80GB HBM3,alltoall,NCCL,int8,8,1024,0.012
TRTLLM,2.29.2,NVIDIA H100 80GB HBM3,all_reduce,NCCL,half,8,x,0.012
"""
VLLM = """\
framework,version,device,op_name,kernel_source,allreduce_dtype,num_gpus,message_size,latency,backend
vLLM,0.14.0,NVIDIA H100 80GB HBM3,all_reduce,vLLM_custom_graph,bfloat16,2,128,0.004284,vllm_graph
vLLM,0.14.0,NVIDIA H100 80GB HBM3,all_reduce,vLLM_custom_eager,bfloat16,2,128,0.02149,vllm_eager
"""
HERE = Path(__file__).parent.parent.parent


def test_elements_are_bytes_and_milliseconds_microseconds() -> None:
    found = read_text(NCCL)
    first, second = found.runs[0].cases
    assert (first.collective, first.dtype, first.size, first.latency.mean) == ("all_gather", "float16", 512, 5.31)
    assert (second.collective, second.dtype, second.size, second.place) == ("all_to_all", "int8", 1024, Place(8, 1, 8))
    assert (first.backend, first.mode, first.statistic, found.missed) == ("nccl", "throughput", MEAN, (4,))
    assert found.runs[0].facts["ranks"] == [
        {"gpu": {"kind": "gpu", "name": "NVIDIA H100 80GB HBM3", "nccl": "2.29.2"}}
    ]  # fmt: skip


def test_kernels_of_engines_are_timed_on_rank_0_in_a_graph_or_not() -> None:
    cases = cases_of(VLLM)
    assert [(case.backend, case.mode, case.statistic, case.size) for case in cases] == [
        ("vllm", "chain", RANK_0, 256), ("vllm", "throughput", RANK_0, 256),
    ]  # fmt: skip


def test_early_tables_name_neither_framework_nor_gpu() -> None:
    text = "nccl_dtype,num_gpus,message_size,kernel_source,op_name,latency\nhalf,2,1024,NCCL,all_gather,0.00598\n"
    assert [(case.backend, case.size) for case in cases_of(text)] == [("nccl", 2048)]


@pytest.mark.parametrize("sign", [";", "\t"])
def test_other_separators_and_decimal_commas(sign: str) -> None:
    text = VLLM.replace(",", sign).replace("0.0", "0,0")
    assert [case.latency.mean for case in cases_of(text)] == [case.latency.mean for case in cases_of(VLLM)]


def test_parquet_has_the_same_columns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(NCCL)
    monkeypatch.setattr(pd, "read_parquet", lambda _: pd.read_csv(tmp_path / "a.csv"))
    found = read_text(b"PAR1\0\0")
    assert ([case.size for case in found.runs[0].cases], found.missed) == ([512, 1024], ())


def test_parquet_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise ImportError("pyarrow")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(UsageError, match=r"needs pyarrow; install it with pip install 'collbench\[parquet\]'"):
        read_text(b"PAR1\0\0")


def test_a_damaged_parquet_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise OSError("no footer")

    monkeypatch.setattr(pd, "read_parquet", broken)
    with pytest.raises(UsageError, match="cannot be read as a Parquet file: no footer"):
        read_text(b"PAR1\0\0")


def test_our_own_table_of_nccl_tests_has_a_run_before_and_one_after() -> None:
    path = HERE / "results" / "h200x4-nccl-tests.csv"
    before, after = read_text(path.read_bytes(), path).runs
    assert [run.cases[0].latency.mean for run in (before, after)] == [8.95, 8.99]
    assert before.facts["argv"][-2:] == ["-c", "0"]  # what follows in brackets is no word of the command
    assert (len(before.cases), before.cases[0].place, before.cases[0].mode) == (15, Place(4, 1, 4), "chain")
    assert (before.version, before.cases[0].dtype, before.facts["ranks"][3]["gpu"]["nccl"]) == (
        "2.19.6", "bfloat16", "2.28.9",
    )  # fmt: skip


def test_without_the_facts_beside_it_the_place_is_not_known(tmp_path: Path) -> None:
    content = (HERE / "results" / "h200x4-nccl-tests.csv").read_bytes()
    assert read_text(content, tmp_path / "alone.csv").runs[0].cases[0].place == Place()


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "nothing", '{"a": 1}', "# a comment\n1 2 3\n", "\0\1\2"])
def test_other_files_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="is no output of a benchmark that is known: nccl-tests"):
        read_text(text)
