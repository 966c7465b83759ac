"""The JSON of nccl-tests (-J) and of rccl-tests, whole and cut off; no secret of the environment is kept."""

from __future__ import annotations

import json

import pytest
from foreign_logs import a_result, cases_of, nccl_json, read_text

from collbench.errors import UsageError
from collbench.foreign.measured import MEAN, SLOWEST, Place

REPORT = {
    "skipped_iterations": 1, "min_us": 9.0, "max_us": 12.0, "avg_us": 10.0, "p50_us": 9.8, "p95_us": 11.9,
    "p99_us": 12.0, "stdev_us": 1.0, "cv_pct": 10.0, "times_us": [50.0, 9.0, 9.8, 12.0],
    "per_process_max_times_us": [[1.0], [2.0]],
}  # fmt: skip
RECORD = (
    '{"numCycle":0, "name":"AllReduce", "nodes":1, "ranks":2, "ranksPerNode":2, "gpusPerRank":1, "size":1024, '
    '"type":"float", "redop":"sum", "inPlace":1, "time":12.500000, "algBw":0.08, "busBw":0.08, "wrong":"0"}'
)


def test_a_file_says_what_ran_and_where() -> None:
    run = read_text(nccl_json([a_result(1024, 12.25)])).runs[0]
    (case,) = run.cases
    assert (case.collective, case.dtype, case.op, case.in_place) == ("all_reduce", "float32", "sum", False)
    assert (case.place, case.mode, case.calls, case.statistic) == (Place(8, 2, 4), "throughput", 20, MEAN)
    assert (case.latency.mean, case.latency.slowest, case.wrong) == (12.25, None, 0)
    assert (run.facts["started"], run.facts["ranks"][5]["host"]) == ("2026-07-09T12:00:00", "node1")
    assert run.facts["ranks"][0]["gpu"]["nccl"] == "2.28.9"


def test_no_secret_of_the_environment_is_kept() -> None:
    run = read_text(nccl_json([a_result(1024, 12.25)])).runs[0]
    assert run.facts["variables"] == {"NCCL_ALGO": "Ring"}


def test_single_calls_are_samples_of_the_slowest_rank() -> None:
    (case,) = cases_of(nccl_json([a_result(1024, 12.25, out_of_place_per_iter=REPORT)]))
    latency = case.latency
    assert (latency.slowest, latency.mean, latency.least, latency.most) == (9.8, 12.25, 9.0, 12.0)
    assert (latency.samples, case.samples) == ((9.0, 9.8, 12.0), 3)


def test_each_process_lists_one_of_its_ranks() -> None:
    (case,) = cases_of(nccl_json([a_result(1024, 12.25)], processes=2, ngpus=4))
    assert case.place == Place(8, 1, 8)


def test_one_process_times_its_slowest_gpu() -> None:
    (case,) = cases_of(nccl_json([a_result(1024, 12.25)], processes=1, ngpus=8))
    assert (case.statistic, case.latency.slowest, case.place.ranks) == (SLOWEST, 12.25, 8)


def test_what_was_cut_off_gives_its_complete_results() -> None:
    whole = nccl_json([a_result(size, 10.0) for size in (1024, 2048, 4096)])
    found = read_text(whole[: whole.index('"size": 4096') + 60])
    assert [case.size for case in found.runs[0].cases] == [1024, 2048]
    assert found.remarks == ("is truncated",)


@pytest.mark.parametrize(
    ("program", "collective"),
    [("/opt/build/all_gather_perf", "all_gather"), ("./all_reduce_perf_mpi", "all_reduce"),
     ("./hypercube_perf", "hypercube"), ("./run", "")],
)  # fmt: skip
def test_the_program_says_which_collective_whatever_its_suffix(program: str, collective: str) -> None:
    text = nccl_json([a_result(1024, 10.0)]).replace("./build/all_reduce_perf", program)
    assert [case.collective for case in cases_of(text)] == [collective]


def test_several_objects_in_one_file_are_runs() -> None:
    one, other = nccl_json([a_result(1024, 10.0)]), nccl_json([a_result(2048, 10.0), a_result(4096, 10.0)])
    cut = other[: other.index('"size": 4096')]
    found = read_text(f"{one}\n{cut}")
    assert [[case.size for case in run.cases] for run in found.runs] == [[1024], [2048]]


@pytest.mark.parametrize(
    "keys", ['"nccl_version":"results":"args":', '"gpusPerRank""inPlace""busBw"', '"ranksPerNode""kernel"']
)
def test_brackets_without_end_are_refused(keys: str) -> None:
    with pytest.raises(UsageError, match="no row that is understood"):
        read_text('{"a":' * 100_000 + keys)


def test_a_bandwidth_that_is_no_number_does_not_matter() -> None:
    text = nccl_json([a_result(1024, 10.0)]).replace('"bus_bw": 1.0', '"bus_bw":-nan').replace(": ", ":")
    assert [case.size for case in cases_of(text)] == [1024]


def test_a_result_without_a_number_is_left_out_and_said() -> None:
    found = read_text(nccl_json([a_result(1024, 10.0), a_result(2048, "nan")]))  # type: ignore[arg-type]
    assert [case.size for case in found.runs[0].cases] == [1024]
    assert found.remarks == ("has no sound numbers in result 2",)


@pytest.mark.parametrize("change", [{"config": None}, {"args": 3}, {"results": [1, 2]}])
def test_a_file_of_another_shape_is_refused_in_a_sentence(change: dict[str, object]) -> None:
    content = {**json.loads(nccl_json([])), **change}
    with pytest.raises(UsageError, match="no row that is understood"):
        read_text(json.dumps(content))


def test_records_of_rccl_tests() -> None:
    found = read_text(f"[\n{RECORD},\n{RECORD.replace('1024', '2048')[:-30]}\n]\n")
    (case,) = found.runs[0].cases
    assert (case.collective, case.backend, case.in_place, case.place) == ("all_reduce", "rccl", True, Place(2, 1, 2))
    assert (case.latency.mean, case.mode, found.missed) == (12.5, "", (3,))


def test_ranks_of_several_gpus_are_left_open() -> None:
    (case,) = cases_of(RECORD.replace('"gpusPerRank":1', '"gpusPerRank":4'))
    assert case.place == Place(nodes=1)
