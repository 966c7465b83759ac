"""Results of MSCCL++ in its four forms."""

from __future__ import annotations

import pytest
from foreign_logs import cases_of, devices, read_text

from collbench.errors import UsageError
from collbench.foreign.measured import MEAN, RANK_0, SLOWEST, Place

LINES = """\
{"name":"allreduce", "kernel":6, "ranks":8, "ranksPerNode":8,  "algBw":3.98,  "busBw":6.96,   "size":24576, "time":6.18}
{"name":"allgather", "kernel":2, "ranks":16,"ranksPerNode":8,  "algBw":430.62,"busBw":403.70, "size":3221225472, "time":7480}
"""  # noqa: E501
TABLE = f"""\
$ mpirun -np 8 ./build/test/mscclpp-test/allreduce_test_perf -b 24K -k 6
# minBytes 24576 maxBytes 24576 step: 2(factor) warmup iters: 20 iters: 100 validation: 1 graph: 10 kernel num: 6
#
{devices(8, per_node=8)}#
#                                        in-place                       out-of-place
#       size         count     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong
#        (B)    (elements)     (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)
       24576          6144     6.18    3.98    6.96      0
"""
RULE = f"+{'-' * 13}+{'-' * 11}+\n"
PRETTY = f"""\
{RULE}| Size (fp16) | Time (us) | AlgBW (GB/s) | Correctness | NCCL Time (us) | NCCL AlgBW | NCCL Check | Speed Up |
{RULE}|  2.0 KiB  |  5.42  |   0.38  |  PASS  |  12.10  |   0.17  |  FAIL  |  2.23  |
|  1.5 MiB  | 12.10  | 130.00  |  PASS  |  25.00  |  62.90  |  PASS  |  2.07  |
{RULE}"""
BENCH = """\
MSCCL++ allgather benchmark: profile=h100 dtype=bfloat16 graph_launches=10 iterations=20
..
batch | msg      | total     | algorithm | nblocks | nthreads | time_us | algBW_GB/s | busBW_GB/s | check | max_diff | mean_diff | mismatch
------+----------+-----------+-----------+---------+----------+---------+------------+------------+-------+----------+-----------+---------
1     | 14.0 KiB | 112.0 KiB | ring_x    | auto    | 512      | 5.50    | 20.85      | 18.25      | PASS  | 0        | 0         | 0/7168
"""  # noqa: E501


def test_lines_of_json() -> None:
    found = read_text(LINES)
    first, second = found.runs[0].cases
    assert (first.collective, first.backend, first.dtype, first.in_place) == ("all_reduce", "mscclpp-6", "int32", True)
    assert (first.latency.mean, first.statistic, first.mode, first.place) == (6.18, MEAN, "chain", Place(8, 1, 8))
    assert (second.collective, second.place, found.missed) == ("all_gather", Place(16, 2, 8), ())


def test_a_line_that_was_cut_is_listed() -> None:
    assert read_text(LINES[:-30]).missed == (2,)


def test_the_table_of_the_test() -> None:
    found = read_text(TABLE)
    (case,) = found.runs[0].cases
    assert (case.collective, case.backend, case.place, case.size) == ("all_reduce", "mscclpp-6", Place(8, 1, 8), 24576)
    assert (case.in_place, case.latency.mean) == (True, 6.18)


def test_a_row_out_of_place_has_blanks_before_its_times() -> None:
    row = "       24576          6144     6.18"
    (case,) = cases_of(TABLE.replace(row, f"       24576          6144{' ' * 33}     6.18"))
    assert (case.in_place, case.latency.mean) == (False, 6.18)


def test_the_table_beside_nccl() -> None:
    found = read_text(PRETTY)
    cases = [(case.backend, case.size, case.latency.mean, case.fault) for case in found.runs[0].cases]
    assert cases == [
        ("mscclpp", 2048, 5.42, ""), ("nccl", 2048, 12.10, "its check failed"),
        ("mscclpp", 3 << 19, 12.10, ""), ("nccl", 3 << 19, 25.0, ""),
    ]  # fmt: skip
    assert ({case.statistic for case in found.runs[0].cases}, found.missed) == ({RANK_0}, ())


def test_the_table_of_tuned_collectives_has_the_slowest_rank_and_the_larger_buffer() -> None:
    (case,) = cases_of(BENCH)
    assert (case.collective, case.dtype, case.size, case.latency.slowest) == ("all_gather", "bfloat16", 114688, 5.5)
    assert (case.statistic, case.params["algorithm"]) == (SLOWEST, "ring_x")


def test_a_size_that_rounding_hides_is_listed() -> None:
    found = read_text(PRETTY.replace("1.5 MiB", "1.3 MiB"))
    assert (len(found.runs[0].cases), found.missed) == (2, (5,))


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="no row that is understood"):
        read_text(PRETTY[: PRETTY.index("|  2.0")])
