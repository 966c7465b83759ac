"""Logs of nccl-tests and rccl-tests in the layouts of their versions: what was timed, how, and where."""

from __future__ import annotations

import pytest
from foreign_logs import FOOT, HEAD, ROWS, cases_of, devices, latencies, nccl_tests, read_text

from collbench.errors import UsageError
from collbench.foreign.measured import FASTEST, MEAN, RANK_0, SLOWEST, Place

OF_2017 = """\
nThread 1 nGpus 2 minBytes 33554432 maxBytes 33554432 step: 1048576(bytes) warmup iters: 5 iters: 20 validation: 1
# Using devices
#   Rank  0 on       dgx device  0 [0x06] Tesla P100-SXM2-16GB
#   Rank  1 on       dgx device  1 [0x07] Tesla P100-SXM2-16GB

#                                         out-of-place                    in-place
#      bytes             N    type      op     time  algbw  busbw      res     time  algbw  busbw      res
    33554432       8388608   float     sum    1.823  18.41  18.41    0e+00    1.829  18.35  18.35    0e+00
 Out of bounds values : 0 OK
 Avg bus bandwidth    : 18.3789
"""
OF_2020 = """\
$ ./build/all_gather_perf -b 8 -e 128M -f 2 -g 2
# nThread 1 nGpus 2 minBytes 8 maxBytes 8 step: 2(factor) warmup iters: 5 iters: 20 validation: 1
#
# Using devices
#   Rank  0 Pid  12345 on       dgx device  0 [0x06] A100-SXM4-40GB
#   Rank  1 Pid  12345 on       dgx device  1 [0x07] A100-SXM4-40GB
#
#                                              out-of-place                       in-place
#       size         count    type     time   algbw   busbw  error     time   algbw   busbw  error
#        (B)    (elements)             (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
     1048576        131072   float    24.91   42.09   21.05  0e+00    24.90   42.11   21.06  0e+00
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 21.05
#
"""
SIDE = "time algbw busbw #wrong i_min i_max i_p99 i_cv%"
OF_2026 = f"""\
# nccl-tests version 2.19.6 nccl-headers=22809 nccl-library=23003
# Collective test starting: all_reduce_perf
# nThread 1 nGpus 1 minBytes 8 maxBytes 8 step: 2(factor) warmup iters: 1 iters: 20 agg iters: 2 validation: 1 graph: 10
# Per-Iteration Report: CUDA event timing; i_* uses max over process rows
#
{devices(8)}#
#                                      out-of-place (+ per-iteration)         in-place (+ per-iteration)
#  size  count  type  redop  root  {SIDE}  {SIDE} timestamp
#   (B) (elements)                 (us) (GB/s) (GB/s)  (us) (us) (us) (%)  (us) (GB/s) (GB/s)  (us) (us) (us) (%)
   4096   2048  bfloat16   sum  -1  8.95 0.46 0.80 0 8.90 9.30 9.25 1.2  9.00 0.45 0.79 0 8.95 9.40 9.35 1.3 STAMP
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 0.8
#
# Collective test concluded: all_reduce_perf
""".replace("STAMP", "2026-07-09 12:00:00")
OF_RCCL = """\
# Collective test starting: all_reduce_perf
# nThread 1 nGpus 1 minBytes 8 maxBytes 8 step: 2(factor) warmup iters: 5 iters: 20 agg iters: 1 validation: 1 graph: 0
#
rccl-tests: Version develop:ae3e635
{devices}#
#                                             in-place
#   size    count   type  redop  root    time  algbw  busbw #wrong
#    (B) (elements)                      (us) (GB/s) (GB/s)
 1048576   262144  float    sum    -1   76.26  13.75  24.06     0
# Errors with asterisks indicate errors that have exceeded the maximum threshold.
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 24.06
"""


def test_a_log_says_what_ran_and_where() -> None:
    case = cases_of(nccl_tests())[0]
    assert (case.collective, case.backend, case.dtype, case.op) == ("all_reduce", "nccl", "float32", "sum")
    assert (case.place, case.mode, case.statistic) == (Place(8, 2, 4), "throughput", MEAN)
    assert (case.calls, case.warmups, case.wrong, case.latency.slowest) == (20, 1, 0, None)
    assert cases_of(nccl_tests())[-1].wrong is None  # N/A


def test_milliseconds_of_2017_and_a_table_without_in_between_lines() -> None:
    assert latencies(OF_2017) == [(33554432, False, None, 1823.0), (33554432, True, None, 1829.0)]
    assert {case.mode for case in cases_of(OF_2017)} == {"throughput"}


def test_columns_of_2020_without_reduction_and_root() -> None:
    first = cases_of(OF_2020)[0]
    assert (first.collective, first.op, first.size, first.wrong) == ("all_gather", "", 1048576, None)


def test_one_thread_waits_for_all_of_its_gpus_and_so_times_the_slowest() -> None:
    first = cases_of(OF_2020)[0]
    assert (first.statistic, first.latency.slowest, first.latency.mean, first.samples) == (SLOWEST, 24.91, None, 1)


def test_the_report_over_single_calls_and_times_of_day_of_2026() -> None:
    run = read_text(OF_2026).runs[0]
    first, second = run.cases
    assert (run.version, run.facts["ranks"][0]["gpu"]["nccl"]) == ("2.19.6", "2.30.3")
    assert (first.mode, first.calls, second.in_place, second.latency.mean) == ("chain", 40, True, 9.0)
    assert (first.latency.mean, first.latency.least, first.latency.most, first.latency.p99) == (8.95, 8.9, 9.3, 9.25)


def test_rccl_tests_in_place_alone() -> None:
    versions = "RCCL version : 2.27.7-develop:29e1567\nHIP version  : 7.0.51831\nROCm version : 7.0.1.0\n"
    found = read_text(OF_RCCL.format(devices=devices(8, gpu="AMD Instinct MI300X") + versions))
    (run,) = found.runs
    assert (found.missed, run.facts["ranks"][0]["gpu"]["rccl"]) == ((), "2.27.7")
    assert (run.tool, run.version, run.cases[0].backend) == ("rccl-tests", "develop:ae3e635", "rccl")
    assert [(case.in_place, case.latency.mean) for case in run.cases] == [(True, 76.26)]


def test_the_heading_of_rccl_tests_of_2025_names_the_library_where_no_device_does() -> None:
    heading = "# rccl-tests version 2.17.9-develop:4a65e8d rccl-headers=22803 rccl-library=22707\n"
    log = nccl_tests(before=heading).replace("NVIDIA H100 80GB HBM3", "").replace("NCCL version 2.27.5+cuda12.9\n", "")
    (run,) = read_text(log).runs
    assert (run.tool, run.version, run.cases[0].backend) == ("rccl-tests", "2.17.9-develop:4a65e8d", "rccl")
    assert run.facts["ranks"][0]["gpu"]["rccl"] == "2.27.7"


def test_runs_in_one_log_have_the_library_that_each_announces() -> None:
    later = nccl_tests(ROWS[1:]).replace("NCCL version 2.27.5+cuda12.9", "RCCL version 2.30.3+hip7.1")
    runs = read_text(nccl_tests(ROWS[:1]) + later).runs
    assert [(run.cases[0].backend, run.facts["ranks"][0]["gpu"].get(run.cases[0].backend)) for run in runs] == [
        ("nccl", "2.27.5"), ("rccl", "2.30.3"),
    ]  # fmt: skip


def test_the_foot_names_the_collective_where_the_head_is_cut_off() -> None:
    log = nccl_tests(program="", foot=f"{FOOT}# Collective test concluded: all_gather_perf\n")
    assert {case.collective for case in cases_of(log[log.index("#   size") :])} == {"all_gather"}
    both = read_text(f"{log}{nccl_tests(program='broadcast')}")
    assert [{case.collective for case in run.cases} for run in both.runs] == [{"all_gather"}, {"broadcast"}]


@pytest.mark.parametrize(
    ("option", "statistic"), [("-a 0", RANK_0), ("-a1", MEAN), ("--average=2", FASTEST), ("-a 3", SLOWEST)]
)
def test_the_command_says_how_ranks_were_reduced(option: str, statistic: str) -> None:
    log = nccl_tests(before=f"+ mpirun -np 8 ./build/all_reduce_perf -b 8 {option} -e 1M\n")
    assert {case.statistic for case in cases_of(log)} == {statistic}
    assert (cases_of(log)[0].latency.slowest is not None) == (statistic == SLOWEST)
    assert {case.statistic for case in cases_of(log.replace("_perf -b", "_perf_mpi -b"))} == {statistic}


def test_modes() -> None:
    blocking = nccl_tests().replace("#\n# Using", "# Blocking Enabled: wait and barrier after each\n#\n# Using")
    assert {case.mode for case in cases_of(blocking)} == {"isolated"}
    assert {case.mode for case in cases_of(nccl_tests(graph=20))} == {"chain"}


def test_threads_and_processes_of_several_gpus_count_as_ranks() -> None:
    cut = nccl_tests(threads=2, gpus=2).replace("# Using devices\n", "# Using devices\n#  ...\n")
    assert cases_of(cut)[0].place.ranks == 32  # eight processes, of which each lists its first rank alone


def test_groups_of_ranks_side_by_side() -> None:
    log = nccl_tests().replace("Rank  4 Group  0", "Rank  4 Group  1").replace("Rank  5 Group  0", "Rank  5 Group  1")
    log = log.replace("Rank  6 Group  0", "Rank  6 Group  1").replace("Rank  7 Group  0", "Rank  7 Group  1")
    assert cases_of(log)[0].place == Place(4, 1, 4, 2)


@pytest.mark.parametrize(
    ("op", "root", "algbw", "busbw", "collective"),
    [("sum", "-1", "100.0", "175.0", "all_reduce"), ("sum", "-1", "100.0", "87.5", "reduce_scatter"),
     ("none", "0", "100.0", "100.0", "broadcast"), ("none", "-1", "100.0", "100.0", "send_recv"),
     ("none", "-1", "100.0", "87.5", ""), ("none", "0", "100.0", "87.5", ""), ("sum", "0", "100.0", "100.0", "")],
)  # fmt: skip
def test_a_log_that_names_no_program_is_judged_by_its_bandwidths_where_these_leave_one_choice(
    op: str, root: str, algbw: str, busbw: str, collective: str
) -> None:
    row = f" 100000000  25000000  float  {op}  {root}  1000.0  {algbw}  {busbw}  0  1000.0  {algbw}  {busbw}  0"
    assert cases_of(nccl_tests([row], program=""))[0].collective == collective


def test_low_bandwidths_are_too_rough_to_tell_a_collective() -> None:
    assert cases_of(nccl_tests(ROWS[:1], program=""))[0].collective == ""


def test_the_algorithm_bandwidth_of_old_versions_does_not_mislead() -> None:
    row = " 100000000  25000000  float  sum  1000.0  87.5  87.5  0e+00  1000.0  87.5  87.5  0e+00"
    assert cases_of(nccl_tests([row], program=""))[0].collective == "reduce_scatter"


def test_a_page_that_took_the_signs_away() -> None:
    log = nccl_tests(program="").replace("#wrong", "WRONG").replace("#", "").replace("WRONG", "#wrong")
    log = log.replace(" Using", " Blocking Enabled: wait for completion and barrier after each collective\n Using")
    found = read_text(log)
    assert (found.runs[0].cases[0].place, found.runs[0].cases[0].mode, found.missed) == (Place(8, 2, 4), "isolated", ())


def test_a_truncated_log_gives_the_rows_that_are_whole() -> None:
    whole = nccl_tests()
    cut = whole[: whole.index("1907.8")]
    found = read_text(cut)
    assert [case.size for case in found.runs[0].cases] == [4096, 4096, 1048576, 1048576]
    assert found.missed == (cut.count("\n") + 1,)
    assert found.remarks == ("has no foot: it is truncated",)


def test_two_tables_side_by_side_are_no_table() -> None:
    both = "".join(f"{line}  |  {line}\n" for line in nccl_tests().splitlines())
    with pytest.raises(UsageError, match="is no output of a benchmark that is known"):
        read_text(both)


def test_several_runs_in_one_log_are_told_apart() -> None:
    log = nccl_tests(ROWS[:1]) + "exit 0\n" + nccl_tests(ROWS[1:], program="reduce_scatter")
    found = read_text(log)
    assert [{case.collective for case in run.cases} for run in found.runs] == [{"all_reduce"}, {"reduce_scatter"}]
    assert len(found.missed) == 1


def test_errors_that_are_no_counts_are_said_of_the_run() -> None:
    found = read_text(OF_2020.replace("values : 0 OK", "values : 3 FAILED"))
    assert found.remarks == ("counts 3 values out of bounds, and does not say in which rows",)


def test_wrong_elements_are_counted() -> None:
    row = " 4096  1024  float  sum  -1  31.97  0.13  0.22  1e+03  31.80  0.13  0.23  7"
    assert [case.wrong for case in cases_of(nccl_tests([row]))] == [1000, 7]


def test_times_of_the_processor_are_no_latencies() -> None:
    with pytest.raises(UsageError, match=r"no row that is understood: it has times of the CPU \(-C\)"):
        read_text(nccl_tests().replace("  time ", "  cputime "))


def test_processes_that_ran_alone_are_no_world() -> None:
    log = nccl_tests().replace("Rank  1 Group", "Rank  0 Group").replace("Rank  2 Group", "Rank  0 Group")
    with pytest.raises(UsageError, match="it lists a rank twice: its processes ran alone, as those of an nccl-tests"):
        read_text(log)


def test_the_program_may_have_a_path_and_the_launcher_options_like_its_own() -> None:
    log = nccl_tests(program="./build/all_reduce", before="$ mpirun -a 2 -np 8 ./build/all_reduce_perf -b 8\n")
    assert {(case.collective, case.statistic) for case in cases_of(log)} == {("all_reduce", MEAN)}


def test_a_table_alone_says_neither_where_nor_how() -> None:
    case = cases_of(HEAD + ROWS[0] + "\n" + FOOT)[0]
    assert (case.place, case.mode, case.collective) == (Place(), "", "")


def test_a_collective_that_is_none_of_ours_is_said() -> None:
    found = read_text(nccl_tests(program="alltoallv"))
    assert found.remarks == ("has rows of alltoallv, which are left out: no collective of ours",)
