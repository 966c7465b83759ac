"""What launchers, terminals and NCCL put between the lines of a log is taken away, and lines keep their numbers."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from foreign_logs import ROWS, nccl_tests, read_text

from collbench.errors import UsageError
from collbench.foreign.source import Source, read_source

LOG = nccl_tests()
PREFIXES = {
    "slurm": " 0: ", "open mpi 4": "[1,0]<stdout>:", "open mpi 5": "[1,0]<stdout>: ",
    "prrte": "[prterun-vm-1@1,0]<stdout>:", "detailed": "[1,0][vm:29106]<stdout>: ", "rank": "[0]<stdout>: ",
    "time and tag": "[Thu Nov 26 16:51:50 2026][1,0]<stdout>: ", "hydra": "[0] ",
    "kubernetes": "2026-11-26T16:51:50.123456Z ", "markdown": "    ", "colour": "\x1b[0;32m",
    "kubectl": "[pod/nccl-worker-0/main] ", "kubectl with times": "[pod/a/b] 2026-11-26T16:51:50.1Z ",
    "torchrun": "[default0]:", "ray": "(all_reduce_perf pid=123, ip=10.0.0.1) ", "docker": "worker-1  | ",
    "journal": "Nov 26 16:51:50 host01 srun[123]: ", "pdsh": "gpu-01: ", "times": "[2026-11-26 16:51:50] ",
    "times of ts": "Nov 26 16:51:50 ", "mail": "> ", "pdsh and slurm": "gpu-01: 0: ",
    "title": "\x1b]0;me@host: ~\x07", "link": "\x1b]8;;\x1b\\",
}  # fmt: skip


def cells(text: str) -> list[tuple[int, bool, float | None]]:
    return [(case.size, case.in_place, case.latency.mean) for run in read_text(text).runs for case in run.cases]


PLAIN = cells(LOG)


def test_the_log_has_six_cases() -> None:
    assert PLAIN == [
        (4096, False, 31.97), (4096, True, 31.80), (1048576, False, 164.5), (1048576, True, 163.7),
        (134217728, False, 1916.4), (134217728, True, 1907.8),
    ]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_prefixes_of_launchers_are_taken_away(prefix: str) -> None:
    found = read_text("".join(f"{prefix}{line}\n" for line in LOG.splitlines()))
    assert [(case.size, case.in_place, case.latency.mean) for case in found.runs[0].cases] == PLAIN
    assert found.missed == ()


@pytest.mark.parametrize("label", ["[0] ", "[1,0]<stdout>: "])
def test_labels_amid_a_line_of_what_a_rank_flushed_in_parts_are_taken_away(label: str) -> None:
    parted = LOG.replace("  164.5", f"{label}  164.5").replace("busbw #wrong  ", f"busbw{label} #wrong  ")
    assert cells("".join(f"{label}{line}\n" for line in parted.splitlines())) == PLAIN


@pytest.mark.parametrize("prefix", ["[1,{}]<stdout>:", "[pod/worker-{}/main] ", "host{}: ", "[default{}]:", "{}: "])
def test_ranks_that_write_at_once_are_told_apart(prefix: str) -> None:
    ranks = [[f"{prefix.format(rank)}{line}" for line in LOG.splitlines()] for rank in range(2)]
    mixed = [line for both in zip(*ranks, strict=True) for line in both]
    runs = read_text("\n".join(mixed)).runs
    assert [[(case.size, case.in_place, case.latency.mean) for case in run.cases] for run in runs] == [PLAIN, PLAIN]


def test_lines_of_nccl_are_survived_even_amid_a_row() -> None:
    noise = "node0:202829:202901 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM"
    warning = "[2026-01-02 03:04:05] node0:1:2 [3] transport/net.cc:12 NCCL WARN slow"
    broken = LOG.replace("163.7", f"{noise}\n  163.7").replace("# Out of", f"{noise}\n{warning}\n# Out of")
    found = read_text(broken)
    assert (cells(broken), found.missed) == (PLAIN, ())


def test_labels_of_a_few_lines_are_no_labels_even_in_a_long_log() -> None:
    noise = "node0:202829:202901 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM\n"
    found = read_text("warning: slow\n" + LOG.replace("# Out of", f"{9000 * noise}# Out of"))
    assert (found.source.lines[0].text, found.missed) == ("warning: slow", (1,))


def test_a_time_before_a_line_of_nccl_is_no_beginning_of_a_row() -> None:
    noise = "2026-01-02 03:04:05,678 node0:202829:202901 [0] NCCL INFO Channel 00/0"
    broken = LOG.replace(ROWS[1], f"{noise}\n{ROWS[1]}\n{noise}")
    assert (cells(broken), read_text(broken).missed) == (PLAIN, ())


@pytest.mark.parametrize(
    ("mark", "coding"), [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (b"", "utf-8")]
)
def test_text_of_windows_is_read(mark: bytes, coding: str) -> None:
    found = read_text(mark + LOG.replace("\n", "\r\n").encode(coding))
    assert [case.latency.mean for case in found.runs[0].cases] == [us for _, _, us in PLAIN]


def test_what_is_not_understood_of_text_of_windows_is_known_by_its_line() -> None:
    assert read_text(("job 7 begins\r\n" + LOG).encode("utf-16")).missed == (1,)


def test_holes_that_a_network_file_system_leaves_do_not_matter() -> None:
    found = read_text(LOG.replace(ROWS[1], f"\0\0\0{ROWS[1]}\0").replace(ROWS[2], f"late\n{ROWS[2]}"))
    assert [case.latency.mean for case in found.runs[0].cases] == [us for _, _, us in PLAIN]
    assert found.missed == (LOG.splitlines().index(ROWS[2]) + 1,)


def test_bytes_that_are_no_text_do_not_matter() -> None:
    found = read_text(b"job \xe9t\xe9\n" + LOG.encode())
    assert (len(found.runs[0].cases), found.missed) == (6, (1,))


def test_what_is_not_understood_is_known_by_its_line() -> None:
    at = LOG.splitlines().index(ROWS[1])
    lines = LOG.splitlines()
    lines[at] = lines[at].replace("164.5", "broken")
    found = read_text("\n".join(["module load cuda", *lines, "slurmstepd: error: *** JOB 1 CANCELLED ***"]))
    assert found.missed == (1, at + 2, len(lines) + 2)
    assert len(found.runs[0].cases) == 4


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_an_empty_file_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(content)
    with pytest.raises(UsageError, match=r"a\.log is empty"):
        read_source(tmp_path / "a.log")


def test_a_missing_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.log cannot be read: No such file or directory; give"):
        read_source(tmp_path / "none.log")


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_more_lines_than_memory_holds_are_refused(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collbench.foreign.source.MOST_LINES", 3)
    (tmp_path / "a.log").write_bytes(4 * f"a{end}".encode())
    with pytest.raises(UsageError, match=r"a\.log has more than 3 lines; give the part that has the tables\."):
        read_source(tmp_path / "a.log")


def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collbench.foreign.source.MOST_BYTES", 1 << 20)
    with pytest.raises(UsageError, match=r"/dev/zero has more than \d GiB"):
        read_source(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "library"),
    [("NCCL version 2.18.5+cuda12.2", ("nccl", "2.18.5")), ("RCCL version 2.18.6+hip6.1", ("rccl", "2.18.6")),
     ("a:1:2 [0] NCCL INFO NCCL version 2.30.3+cuda13.0", ("nccl", "2.30.3")), ("no version", ("", ""))],
)  # fmt: skip
def test_the_library_announces_itself_in_its_log_or_before_it(text: str, library: tuple[str, str]) -> None:
    source = Source(Path("a"), f"noise\n{text}\n".encode())
    assert (source.library_between(0, 9), source.library_between(2, 9)) == (library, library)


def test_of_two_libraries_in_a_file_each_counts_for_its_own_lines() -> None:
    source = Source(Path("a"), b"NCCL version 2.27.3+cuda12.9\nrow\nNCCL version 2.30.3+cuda13.0\nrow\nrow\n")
    found = [source.library_between(*lines)[1] for lines in ((0, 2), (2, 4), (4, 5))]
    assert found == ["2.27.3", "2.30.3", ""]
