"""results/README.md says of each file what its sidecar and plots/ say; its short answers follow from tables."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from statistics import median
from typing import Any

import pytest
from readmes import LINES, PROSE, ROOT, TEXTS, line_that_begins

from collbench.results.records import load

RESULTS = ROOT / "results"
TEXT = TEXTS["results/README.md"]
ROW = re.compile(r"\| (\[[^|]+) \| ([^|]+) \| ([^|]+), (\d{4}-\d\d-\d\d) \| (.+) \|")
# How a run was watched, drawn or continued, and what --candidate-ref HEAD became.
UNSAID = {"-o", "--launches", "--resume", "--quiet", "--plot", "plots", "--candidate", "nvrar@46b2a77"}


def listed() -> Iterator[tuple[str, str, str, str]]:
    """(file without suffix, machine, date, all commands of its table down to its row) of each row of files."""
    words = ""
    for line in TEXT.splitlines():
        found = ROW.fullmatch(line)
        if not found:
            words = ""
            continue
        words += found[5]
        for name in re.findall(r"\]\(([\w-]+)\.csv\)", found[1]):
            yield name, found[3], found[4], words


@cache
def launches(name: str) -> list[dict[str, Any]]:
    """The entries of a sidecar; none where another program measured."""
    found: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")).get("launches", [])
    return found


FILES = {name: rest for name, *rest in listed() if launches(name)}
EVERY = [launch for name in FILES for launch in launches(name)]


def machine(launch: dict[str, Any]) -> str:
    """GPUs, or else processors, as in the tables."""
    gpus = [rank["gpu"]["name"].split()[1] for rank in launch["ranks"] if "gpu" in rank]
    return f"{len(gpus)} × {gpus[0]}" if gpus else f"{launch['machine']['cores']} cores"


@pytest.mark.parametrize("name", FILES)
def test_machine_date_and_command_are_those_of_the_sidecar(name: str) -> None:
    said, date, commands = FILES[name]
    shown = {word for span in re.findall(r"`([^`]+)`", commands) for word in shlex.split(span)}
    for launch in launches(name):
        assert said.split(" as ")[0] == machine(launch)
        assert date == launch["started"][:10]
        if not said.endswith("hosts") and "tune" not in name:  # started by another command
            assert options(launch["argv"]) - shown - UNSAID == set()


def options(argv: list[str]) -> set[str]:
    """Words of a recorded command, less its file and how many launches it added."""
    places = {at + 1 for at, word in enumerate(argv) if word in ("-o", "--launches")}
    return {word for at, word in enumerate(argv) if at not in places}


def test_versions_are_those_of_the_sidecars() -> None:
    on_gpus = [each for each in EVERY if "gpu" in each["ranks"][0]]
    (libraries,) = {versions(each) for each in on_gpus}
    one_host, hosts = ({mpi(each) for each in on_gpus if is_on_several_hosts(each) == many} for many in (False, True))
    (on_cpus,) = {mpi(each) for each in EVERY if "gpu" not in each["ranks"][0]}
    words = f"on GPUs {libraries}, {', '.join(one_host)} (between hosts {', '.join(hosts)}), and where they are timed"
    assert words in PROSE
    assert f"on processors {on_cpus}." in PROSE
    torch, flashinfer = (
        {each["versions"][package] for each in EVERY if package in each["versions"]}
        for package in ("torch", "flashinfer-python")
    )
    assert (torch, flashinfer) == ({"2.11.0"}, {"0.7.2.post1"})
    assert "PyTorch 2.11.0 and FlashInfer 0.7.2;" in PROSE


def is_on_several_hosts(launch: dict[str, Any]) -> bool:
    return len({rank["host"] for rank in launch["ranks"]}) > 1


def versions(launch: dict[str, Any]) -> str:
    """Libraries of a launch on GPUs in words."""
    gpu, packages = launch["ranks"][0]["gpu"], launch["versions"]
    driver, runtime = (f"{gpu[key] // 1000}.{gpu[key] % 1000 // 10}" for key in ("driver", "runtime"))
    nvshmem = packages["nvidia-nvshmem-cu13"]
    return f"NCCL {gpu['nccl']}, NVSHMEM {nvshmem}, CUDA {driver} (driver) and {runtime} (runtime)"


def mpi(launch: dict[str, Any]) -> str:
    """The MPI library in words."""
    (found,) = re.findall(r"(MPICH|Open MPI)(?: Version:| v)? ?v?([\d.]+)", launch["mpi"]["library"].split(",")[0])
    return " ".join(found)


def test_multicast_was_off() -> None:
    for launch in EVERY:
        off = {key: launch["variables"].get(key) for key in ("NCCL_NVLS_ENABLE", "NVSHMEM_DISABLE_NVLS")}
        assert "gpu" not in launch["ranks"][0] or off == {"NCCL_NVLS_ENABLE": "0", "NVSHMEM_DISABLE_NVLS": "1"}


def test_every_chart_is_listed_with_its_file_or_shown() -> None:
    patterns = dict(re.findall(r"\[`([\w-]+)-\*`\]\(\.\./plots/([\w.-]+)\)", TEXT))
    assert set(patterns) <= set(FILES)
    assert all(chart.startswith(stem) for stem, chart in patterns.items())
    shown = set(re.findall(r"\(\.\./plots/([\w.-]+)\)", TEXT))
    for path in (ROOT / "plots").glob("[a-z]*.png"):
        predicted = path.name.startswith("llama-3.1-405b-") and "llama-3.1-405b-speedup-b8.png" in shown
        assert path.name in shown or predicted or any(path.name.startswith(f"{stem}-") for stem in patterns)


def span(row: str) -> str:
    """The least and the greatest number in the rows that begin so."""
    cells = [cell.strip() for line in LINES if line.startswith(row) for cell in line.split("|")]
    return extremes(float(cell) for cell in cells if re.fullmatch(r"\d\.\d\d", cell))


def extremes(values: Iterable[float]) -> str:
    """The least and the greatest of some values in words."""
    least, *_, greatest = sorted(values)
    return f"{least:.2f} to {greatest:.2f}"


def answer(question: str) -> str:
    """The short answer to a question."""
    return line_that_begins(f"| [{question}](#").split(" | ")[1]


def test_short_answers() -> None:
    one_host = answer("Is NVRAR faster than NCCL on one NVLink host?")
    assert f"the better NCCL takes {span('| better NCCL')} times" in one_host
    others = answer("For other collectives and types, and beside other libraries?")
    assert f"norm takes {span('| `flashinfer` ÷ `nvrar`')} times" in others
    assert f"the better NCCL {span('| | better NCCL ÷ `nvrar`')} times" in others
    assert f"a step is {span('| speed-up of the step')} times" in answer("What do decode steps gain?")
    ring = line_that_begins("| 4 nodes × 2 ranks").split(" | ")[1]
    assert f"{ring} times as fast as a ring at 4 KiB" in answer("Does it hold between hosts?")


def test_shards_on_four_gpus() -> None:
    times: dict[tuple[str, int, str], list[float]] = {}
    for row in load(RESULTS / "h200x4-shards.csv"):
        times.setdefault((row.collective, row.bytes, row.backend), []).append(row.latency_us_median or 0)
    us = {case: median(each) for case, each in times.items()}
    ends = [
        extremes(
            min(us[kind, size, "nccl"], us[kind, size, "nccl-symm"]) / us[kind, size, "nvrar"]
            for kind, size, backend in us
            if (kind, backend) == (collective, "nvrar")
        )
        for collective in ("reduce_scatter", "all_gather")
    ]
    assert "the better NCCL takes {} and {} times as long as `nvrar`".format(*ends) in PROSE


def test_no_call_of_a_verification_failed() -> None:
    calls = {}
    for path in RESULTS.glob("*-verify.txt"):
        text = path.read_text(encoding="utf-8")
        assert "wrong" not in text
        (number,) = re.findall(r"\d+ ok; (\d+) calls checked", text)
        calls[path.name] = f"{int(number):,}"
        assert f"{calls[path.name]} calls checked, no error" in line_that_begins(f"| [{path.name}]")
    assert f"no error in {calls['h200x4-verify.txt']} calls" in answer("Are the answers right?")
    hosts = sum(int(count.replace(",", "")) for name, count in calls.items() if "hosts-" in name)
    assert f"right in {hosts:,} calls" in answer("Does it hold between hosts?")
    assert "failed" not in (stories := (RESULTS / "h200x2-hosts-stories.txt").read_text(encoding="utf-8"))
    for layout, ranks in (("4x1", 4), ("3x2", 6), ("4x2", 8)):
        assert f"\nnvrar-put-lamport all_reduce float32 sum on {layout}: 12 of 12 stories passed" in stories
        assert f"{ranks} ranks on {layout[0]} hosts" in stories


def test_the_sum_in_place_of_the_newer_nvshmem() -> None:
    text = (RESULTS / "h200x4-nvshmem-380.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"(?<=wrong: )rank 0: .*? in place", text)) == {"rank 0: 64 KiB in place"}
    assert "element 0: displaced: it belongs 128 elements later" in text
    assert text.count("on 1x2: 12 of 12 stories passed") == 2


def test_what_is_said_of_the_first_wrong_elements() -> None:
    reasons = {(row.backend, row.reason.split(" (")[0]) for row in load(RESULTS / "h200x4-wrong.csv") if row.reason}
    assert reasons == {
        ("nccl-symm", "rank 1: routing layer, element 3: the contribution of rank 0 is missing"),
        ("nvshmem", "rank 0: routing layer, element 0: displaced, it belongs 128 elements later"),
    }
    assert "250 bytes: rank 1 misses the contribution of rank 0 from element 3 on" in PROSE
    assert "element 0 of rank 0 holds what belongs 128 elements later" in PROSE
    apart = {row.bytes for row in load(RESULTS / "h200x4-nvrar.csv") if (row.backend, row.status) == ("nvshmem", "ok")}
    assert len(apart) == 15
