"""Cases as rows: what is unknown is empty or asked for, runs of the same cases are launches, others are kept apart."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from foreign_logs import HEAD, ROWS, a_result, nccl_json, nccl_tests, read_text

from collbench.errors import UsageError
from collbench.foreign.formats import Reading
from collbench.foreign.rows import Given, check_name, imported
from collbench.results.records import Record, dump, flaw_of, parse

OSU = """\
# OSU MPI Allgather Latency Test v5.9
# Size       Avg Latency(us)   Min Latency(us)   Max Latency(us)  Iterations
1024                   5.50              5.00              6.00         100
"""
SLOWER = nccl_tests([row.replace("31.97", "33.01") for row in ROWS])


def rows_of(*texts: str | Reading, **given: Any) -> list[Record]:
    """The rows of files with these contents."""
    readings = [read_text(text, Path(f"{at}.log")) if isinstance(text, str) else text for at, text in enumerate(texts)]
    return [record for each in imported(readings, Given(**given)) for record, _ in each.rows]


def named(text: str, name: str) -> Reading:
    """A file whose backend gets a name."""
    return read_text(text, Path(f"{name}.log"), name)


def test_a_row_has_what_the_log_says_and_nothing_else() -> None:
    first = rows_of(nccl_tests())[0]
    assert (first.backend, first.bytes, first.count, first.ranks, first.nodes, first.gpus_per_node) == (
        "nccl", 4096, 1024, 8, 2, 4,
    )  # fmt: skip
    assert (first.latency_us_mean, first.latency_us_median, first.latency_us_ci_low, first.samples) == (
        31.97,
        None,
        None,
        None,
    )
    assert (first.fabric, first.bound_us, first.wire_bytes, first.error_units, first.wrong) == ("", None, None, None, 0)
    assert first.params == "tool=nccl-tests;statistic=mean over ranks;calls=20"
    assert first.busbw_gb_s == pytest.approx(1.75 * 4096 / 31.97 / 1000)


def test_all_rows_can_be_read_again() -> None:
    rows = rows_of(nccl_tests(), nccl_json([a_result(64, 3.0)]), SLOWER)
    assert [flaw_of(row) for row in rows] == [""] * len(rows)
    assert parse(dump(rows), Path("a.csv")) == rows


def test_sizes_of_one_rank_become_those_of_the_larger_buffer() -> None:
    (row,) = rows_of(OSU, ranks=4, nodes=2)
    assert (row.bytes, row.count, row.gpus_per_node, row.latency_us_median, row.latency_us_mean) == (
        4096,
        4096,
        2,
        6.0,
        5.5,
    )


def test_what_a_log_does_not_say_is_asked_for_at_once() -> None:
    with pytest.raises(UsageError) as error:
        rows_of(HEAD + ROWS[0] + "\n")
    assert str(error.value) == (
        "0.log does not say which collective it is of, how many ranks ran, on how many nodes and how calls follow each "
        "other; add --collective, --ranks, --nodes or --per-node and --mode."
    )


def test_what_is_given_fills_in_what_is_missing() -> None:
    rows = rows_of(HEAD + ROWS[0] + "\n", collective="all_reduce", ranks=8, per_node=4, mode="chain", fabric="nvlink")
    assert {(row.collective, row.ranks, row.nodes, row.mode, row.fabric) for row in rows} == {
        ("all_reduce", 8, 2, "chain", "nvlink")
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [({"ranks": 4}, "the number of ranks in 0.log is 8, not 4; omit that option"),
     ({"collective": "broadcast"}, "the collective in 0.log is all_reduce, not broadcast"),
     ({"mode": "chain"}, "the mode in 0.log is throughput, not chain"),
     ({"dtype": "float16"}, "the type in 0.log is float32, not float16")],
)  # fmt: skip
def test_what_contradicts_a_log_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        rows_of(nccl_tests(), **given)


def test_what_is_copied_has_any_type() -> None:
    assert rows_of(OSU, ranks=4, nodes=2, dtype="float32")[0].dtype == "float32"


def test_a_case_with_wrong_answers_has_no_latency() -> None:
    row = " 4096  1024  float  sum  -1  31.97  0.13  0.22  5  31.80  0.13  0.23  0"
    wrong, right = rows_of(nccl_tests([row]))
    assert (wrong.status, wrong.reason, wrong.wrong, wrong.latency_us_mean) == (
        "wrong", "nccl-tests counts 5 wrong elements", 5, None,
    )  # fmt: skip
    assert right.status == "ok"


def test_logs_of_the_same_cases_are_launches() -> None:
    rows = rows_of(nccl_tests(), SLOWER)
    assert [row.launch for row in rows] == [0] * 6 + [1] * 6
    assert len({row.run_id for row in rows}) == 2  # nothing ties a launch of one to that of the other


def test_runs_of_one_size_each_are_one_launch() -> None:
    rows = rows_of("".join(nccl_tests([row]) for row in ROWS))
    assert ({row.launch for row in rows}, len({row.run_id for row in rows})) == ({0}, 1)


def test_the_log_and_the_json_of_one_run_do_not_pass_for_launches() -> None:
    twin = nccl_tests([row.replace("  4096", "4096 ") for row in ROWS])
    with pytest.raises(UsageError, match=r"0\.log and 1\.log have the same latencies in all 6 cases"):
        rows_of(nccl_tests(), f"{twin}\n")


@pytest.mark.parametrize(
    ("changed", "what"),
    [(("2.27.5", "2.28.9"), "version of the library: 2.27.5 and 2.28.9"),
     (("NVIDIA H100 80GB HBM3", "NVIDIA H200"), "GPU: NVIDIA H100 80GB HBM3 and NVIDIA H200")],
)  # fmt: skip
def test_other_versions_and_gpus_do_not_pass_for_launches(changed: tuple[str, str], what: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"but another {what}; name each, as in nccl-a=0.log nccl-b=1.log")):
        rows_of(nccl_tests(), SLOWER.replace(*changed))
    with pytest.raises(UsageError, match=re.escape(f"but another {what}; make a file of each and name them")):
        rows_of(nccl_tests() + SLOWER.replace(*changed))


@pytest.mark.parametrize("other", ["NCCL_ALGO=Tree ", ""])
def test_runs_under_other_variables_do_not_pass_for_launches(other: str) -> None:
    command = "$ mpirun -np 8 {}./build/all_reduce_perf -b 8 -g 1\n"
    ring = nccl_tests(before=command.format("-x NCCL_ALGO=Ring -x NCCL_DEBUG=INFO "))
    seen = f"another setting: NCCL_ALGO=Ring and {other.strip() or 'none'}; make a file of each and name them"
    with pytest.raises(UsageError, match=f"two runs in 0.log have the same cases of nccl, but {seen}"):
        rows_of(ring + command.format(other) + SLOWER)
    assert {row.launch for row in rows_of(ring + command.format("-x NCCL_ALGO=Ring ") + SLOWER)} == {0, 1}
    for silent in ("", "This is all_reduce_perf:\n"):
        assert {row.launch for row in rows_of(ring, silent + SLOWER)} == {0, 1}


def test_files_of_other_variables_do_not_pass_for_launches() -> None:
    ring, us = nccl_json([a_result(64, 3.0)]), nccl_json([a_result(64, 3.5)])
    with pytest.raises(UsageError, match="another setting: NCCL_ALGO=Ring and NCCL_ALGO=Tree; name each"):
        rows_of(ring, us.replace("NCCL_ALGO=Ring", "NCCL_ALGO=Tree"))
    assert {row.launch for row in rows_of(ring, us)} == {0, 1}


@pytest.mark.parametrize(
    ("given", "words"),
    [({"ranks": 3, "nodes": 5}, "cases of 3 ranks, which cannot be on 5 nodes; give other --ranks or --nodes"),
     ({"ranks": 1, "nodes": 2}, "cases of 1 rank, which cannot be on 2 nodes")],
)  # fmt: skip
def test_fewer_ranks_than_nodes_are_refused(given: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rows_of(OSU, **given)


def test_ranks_on_each_node_that_the_log_says_otherwise_are_refused() -> None:
    with pytest.raises(UsageError, match=r"number of ranks on each node in 0\.log is 4, not 8; omit that option"):
        rows_of(nccl_tests(), per_node=8)
    assert rows_of(nccl_tests(), per_node=4)[0].nodes == 2


IMB = """\
# Benchmarking {name}
# #processes = 2
       #bytes #repetitions      t[usec]   Mbytes/sec
            8         1000         1.66         4.82
# Benchmarking Allreduce
# #processes = 2
       #bytes #repetitions  t_min[usec]  t_max[usec]  t_avg[usec]
            4         1000         1.03         {us}         1.13
"""


def test_statistics_are_compared_where_logs_have_the_same_cases() -> None:
    other = IMB.partition("# Benchmarking Allreduce")[2]
    rows = rows_of(IMB.format(name="PingPong", us=1.25), "# Benchmarking Allreduce" + other.format(us=1.40), nodes=1)
    assert [(row.collective, row.launch) for row in rows] == [("send", 0), ("all_reduce", 0), ("all_reduce", 1)]


def test_engines_of_other_versions_do_not_pass_for_launches() -> None:
    table = (
        "framework,version,device,op_name,kernel_source,allreduce_dtype,num_gpus,message_size,latency\n"
        "vLLM,{version},H100,all_reduce,vLLM_custom_graph,bfloat16,2,128,{ms}\n"
    )
    with pytest.raises(UsageError, match=r"version of the library: vLLM 0\.14\.0 and vLLM 0\.24\.0; name each"):
        rows_of(table.format(version="0.14.0", ms=0.0042), table.format(version="0.24.0", ms=0.0040))


def test_names_keep_logs_apart() -> None:
    other = SLOWER.replace("2.27.5", "2.28.9")
    rows = rows_of(named(nccl_tests(), "old"), named(other, "new"))
    assert {(row.backend, row.launch) for row in rows} == {("old", 0), ("new", 0)}


def test_a_case_that_a_run_has_twice_counts_once() -> None:
    (each,) = imported([read_text(nccl_tests([*ROWS, ROWS[0]]))], Given())
    assert (len(each.rows), each.repeated) == (6, 2)


def test_empty_messages_are_no_cases() -> None:
    empty = "         0         0  float  sum  -1    6.50   0.00    0.00    0    6.40   0.00    0.00    0"
    assert {row.bytes for row in rows_of(nccl_tests([empty, ROWS[0]]))} == {4096}


def test_groups_and_uneven_nodes() -> None:
    log = nccl_tests().replace("on     node1 device  3", "on     node0 device  4")
    assert {row.gpus_per_node for row in rows_of(log)} == {None}


def test_words_of_a_log_cannot_break_a_row() -> None:
    log = nccl_tests([ROWS[0].replace("float", "fl;o=at<b>").replace("sum", "<i>")])
    found = rows_of(log)[0]
    assert (found.dtype, found.op, found.param["statistic"]) == ("fl_o_at_b_", "_i_", "mean over ranks")


def test_a_file_of_other_collectives_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="no case of a collective that collbench knows"):
        rows_of(nccl_tests(program="scatter"))


@pytest.mark.parametrize("name", ["", "a b", "(job)", "best(nccl)", "a;b", "a,b", "<b>"])
def test_names_that_would_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a backend or a network"):
        check_name(name)


def test_samples_of_single_calls_are_kept() -> None:
    report = {f"{name}_us": 3.0 for name in ("p50", "min", "max", "p95", "p99")} | {"times_us": [3.0, 2.5]}
    (each,) = imported([read_text(nccl_json([a_result(64, 3.0, out_of_place_per_iter=report)]))], Given())
    ((record, samples),) = each.rows
    assert (samples, record.samples, record.latency_us_median, record.latency_us_p95) == ((3.0, 2.5), 2, 3.0, 3.0)
    assert replace(record, launch=3).identity == record.identity
