"""Logs of the Intel MPI Benchmarks: several worlds in one, the slowest rank, and what is none of our collectives."""

from __future__ import annotations

from foreign_logs import cases_of, read_text

from collbench.foreign.measured import RANK_0, SLOWEST, Place
from collbench.foreign.rows import Given, imported

LINE = "#----------------------------------------------------------------\n"
TIMES = "       #bytes #repetitions  t_min[usec]  t_max[usec]  t_avg[usec]\n"
LOG = f"""\
{LINE}#    Intel(R) MPI Benchmarks 2021.7, MPI-1 part
{LINE}# Date                  : Fri Dec 13 16:41:35 2024
# MPI_Datatype                   :   MPI_BYTE
# MPI_Datatype for reductions    :   MPI_FLOAT
# MPI_Op                         :   MPI_SUM

{LINE}# Benchmarking Allreduce
# #processes = 2
# ( 2 additional processes waiting in MPI_Barrier)
{LINE}{TIMES}            0         1000         0.03         0.05         0.03
            4         1000         1.03         1.25         1.13

{LINE}# Benchmarking Allreduce
# #processes = 4
{LINE}{TIMES}            4          640         2.03         2.25         2.13
           16 time-out.; Time limit (secs_per_sample * msg_sizes_list_len) is over; use "-time X"

{LINE}# Benchmarking Allgather
# #processes = 4
{LINE}{TIMES}           16          640         3.03         3.25         3.13

# All processes entering MPI_Finalize
"""


def test_each_world_and_collective_of_a_log() -> None:
    found = read_text(LOG)
    (run,) = found.runs
    assert (run.tool, run.version, found.missed) == ("imb", "2021.7", ())
    assert [(case.collective, case.place.ranks, case.size, case.per_rank) for case in run.cases] == [
        ("all_reduce", 2, 4, False), ("all_reduce", 4, 4, False), ("all_gather", 4, 16, True),
    ]  # fmt: skip


def test_programs_one_after_another_are_runs_of_their_own() -> None:
    later = LOG.replace("Intel(R) MPI Benchmarks 2021.7", "Intel (R) MPI Benchmarks 2018").replace(
        "MPI_BYTE", "MPI_INT"
    )
    runs = read_text(f"{LOG}+ mpirun IMB-MPI1\n{later}").runs
    assert [(run.version, len(run.cases), run.cases[-1].dtype) for run in runs] == [
        ("2021.7", 3, "uint8"), ("2018", 3, "int32"),
    ]  # fmt: skip
    again = imported([read_text(LOG + LOG.replace("3.25", "3.35"))], Given(nodes=2))
    assert [(each.launch, len(each.rows), each.repeated) for each in again] == [(0, 3, 0), (1, 3, 0)]


def test_a_mail_that_cites_an_indented_log_is_read() -> None:
    cited = "".join(f"> >     {line}\n" for line in LOG.splitlines())
    assert (read_text(cited).runs, read_text(cited).missed) == (read_text(LOG).runs, ())


def test_the_slowest_rank_and_the_mean() -> None:
    first, *_, last = cases_of(LOG)
    assert (first.statistic, first.latency.slowest, first.latency.mean) == (SLOWEST, 1.25, 1.13)
    assert (first.calls, first.samples, first.mode, first.dtype, last.dtype) == (
        1000,
        1,
        "isolated",
        "float32",
        "uint8",
    )


def test_a_ping_pong_is_two_sends() -> None:
    log = f"# Benchmarking PingPong\n# #processes = 2\n{LINE}  #bytes #repetitions      t[usec]   Mbytes/sec\n"
    (case,) = cases_of(f"{log}      8         1000         1.66         4.82\n")
    assert (case.collective, case.place, case.latency.mean, case.statistic) == ("send", Place(2), 1.66, RANK_0)


def test_an_exchange_with_neighbours_has_a_bandwidth_behind_its_times() -> None:
    log = f"# Benchmarking Sendrecv\n# #processes = 4\n{LINE}{TIMES.rstrip()}   Mbytes/sec\n"
    (case,) = cases_of(f"{log}      8         1000         1.60         1.66         1.63         9.64\n")
    assert (case.collective, case.latency.slowest) == ("send_recv", 1.66)


def test_groups_side_by_side_are_counted() -> None:
    log = LOG.replace("# #processes = 2\n", "# ( 2 groups of 2 processes each running simultaneous )\n# Group 0: 0 1\n")
    assert cases_of(log)[0].place == Place(2, groups=2)


def test_benchmarks_of_other_kinds_are_said() -> None:
    barrier = f"# Benchmarking Barrier\n# #processes = 4\n{LINE} #repetitions  t_min[usec]\n   1000    0.51\n"
    reduce = f"# Benchmarking Reduce\n# #processes = 4\n{LINE}{TIMES}      4    1000    1.0    2.0    1.5\n"
    found = read_text(LOG + barrier + reduce)
    assert (found.remarks, found.missed) == (("has no collective of ours: Barrier, Reduce",), ())


def test_a_type_of_reductions_that_was_asked_for() -> None:
    assert cases_of(LOG.replace("MPI_FLOAT", "MPI_DOUBLE"))[0].dtype == "float64"
