"""The content of a file as lines of text, without what launchers, terminals and NCCL's log put in between."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from collbench.errors import UsageError
from collbench.foreign.unpacking import unpacked

MOST_BYTES, MOST_LINES = 1 << 30, 4_000_000
SOME = 4096  # lines that show whether most have a label
# Colours and titles of terminals, and what network file systems leave where two hosts write to a file at once.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b\n]{0,999}(?:\x07|\x1b\\)|\0+")
_TIMES = re.compile(
    r"\s*\[?(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(?:Z|[+-]\d\d:?\d\d)?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)\]? "
)
# What launchers put before a line to name its rank: Open MPI and PRRTE, then Slurm and Hydra. Lengths are bounded, and
# words begin at their first letter, since a search through a long line must not begin anew at each of its letters.
_TAG = re.compile(
    r"(?:\[[^\]]{0,99}\])?\[(?:[^\]\s]{0,99}?\d,)?(\d{1,9})\](?:\[[^\]]{0,99}\])?<std(?:out|err|diag)>:\s?"
)
_LABELS = (
    re.compile(r"\s*(\d{1,9}): ?"),  # Slurm
    re.compile(r"\[([^\]\s]{1,199})\]:? ?"),  # Hydra, torchrun, kubectl
    re.compile(r"\(([^)]{1,199})\) "),  # Ray
    re.compile(r"([\w.-]{1,199}) +\| "),  # Docker
    re.compile(r"([\w.-]{1,255} [\w.@-]{1,99}(?:\[\d{1,9}\])?): "),  # the journal, behind its times
    re.compile(r"([\w.-]{1,255}): "),  # pdsh
    re.compile(r"(?:> ?)+"),  # what a mail cites
)
_NCCL = re.compile(
    r"(?:\[[^\]]{0,99}\] )?(?<![\w.-])[\w.-]{1,255}:\d+:\d+ (?:\[[\d -]{0,99}\] )?(?:\S{1,255} )?"
    r"[NR]CCL (?:INFO|WARN|TRACE|ERROR|CALL)\b"
)
_ROW = re.compile(r"\d+\s+\d+\s[\w.\s-]*")  # the beginning of one
_VERSION = re.compile(r"\s*(?:\[[^\]]{0,99}\] )?(NCCL|RCCL) version\s*:?\s*(\d+(?:\.\d+)+)")


@dataclass(frozen=True)
class Line:
    """A line without prefixes, its number in the file, from 1, and the rank that the launcher says wrote it."""

    number: int
    text: str
    stream: str = ""


@dataclass(frozen=True)
class Source:
    """A file: its path, its bytes out of any compression, the name that its backends get, "" for that of the library,
    and what there is to remark on the file, if anything."""

    path: Path
    content: bytes
    backend: str = ""
    remark: str = ""

    @cached_property
    def sha256(self) -> str:
        """The hash of the content."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def text(self) -> str:
        """The content as text; bytes that are no text are replaced."""
        for mark, coding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
                             (codecs.BOM_UTF16_BE, "utf-16")):  # fmt: skip
            if self.content.startswith(mark):
                return self.content.decode(coding, errors="replace")
        return self.content.decode(errors="replace")

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The lines without prefixes and without NCCL's own."""
        return tuple(_without_nccl(self._plain))

    @cached_property
    def streams(self) -> tuple[tuple[Line, ...], ...]:
        """The lines by the rank that wrote them; one stream where no launcher names ranks."""
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            found.setdefault(line.stream, []).append(line)
        return tuple(map(tuple, found.values()))

    @cached_property
    def of_nccl(self) -> frozenset[int]:
        """The numbers of the lines that NCCL logged."""
        return frozenset(line.number for line in self._plain if _NCCL.search(line.text) or _VERSION.match(line.text))

    def library_between(self, begin: int, end: int) -> tuple[str, str]:
        """The name and version with which NCCL or RCCL announces itself after line ``begin`` and up to line ``end``;
        without, those of the whole file where it has one alone; else ("", "")."""
        between = [each for number, each in self._libraries if begin < number <= end]
        everywhere = {each for _, each in self._libraries}
        return between[0] if between else everywhere.pop() if len(everywhere) == 1 else ("", "")

    @cached_property
    def _libraries(self) -> tuple[tuple[int, tuple[str, str]], ...]:
        found = [(line.number, _VERSION.match(_after_nccl(line.text))) for line in self._plain
                 if "CCL version" in line.text]  # fmt: skip
        return tuple((number, (match[1].lower(), match[2])) for number, match in found if match)

    @cached_property
    def _plain(self) -> tuple[Line, ...]:
        texts = (_ESCAPES.sub("", text).strip() for text in re.split(r"\r\n|\n|\r", self.text))
        return _unlabelled(Line(number, text) for number, text in enumerate(texts, start=1) if text.strip())


def _after_nccl(text: str) -> str:
    return _NCCL.sub("", text).strip()


def _unlabelled(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Lines without the times, ranks, hosts and processes before them. Labels that a table may have as well count where
    most lines begin with one; a time may stand before or behind them."""
    found = [_tagged(line) for line in lines]
    for label in (*_LABELS, _TIMES, *_LABELS):
        found = _without(label, found)
    return tuple(line for line in found if line.text.strip())


def _tagged(line: Line) -> Line:
    """The line behind the tag of its rank; launchers that pass on what a rank flushes also have tags in between."""
    match = _TAG.search(line.text) if "<std" in line.text else None
    return replace(line, text=_TAG.sub("", line.text[match.end() :]), stream=match[1]) if match else line


def _without(label: re.Pattern[str], lines: list[Line]) -> list[Line]:
    some = lines[:: len(lines) // SOME + 1]
    if 2 * sum(label.match(line.text) is not None for line in some) <= len(some):
        return lines
    return [_cut(line, match) if (match := label.match(line.text)) else line for line in lines]


def _cut(line: Line, match: re.Match[str]) -> Line:
    text, rank = line.text[match.end() :], "".join(match.groups())
    if match[0].startswith("["):  # Hydra puts it before all that a rank flushes
        text = text.replace(match[0], "")
    return replace(line, text=text.lstrip(), stream=line.stream or rank)


def _without_nccl(lines: Sequence[Line]) -> Iterable[Line]:
    """Lines without those of NCCL. The beginning of a row before one in its line belongs to the next line of the
    stream: NCCL wrote in the middle of it."""
    begun: dict[str, Line] = {}
    for line in lines:
        match = _NCCL.search(line.text) or _VERSION.match(line.text)
        text = line.text[: match.start()] if match else line.text
        if match and not _ROW.fullmatch(text):  # a time, say
            continue
        if before := begun.pop(line.stream, None):
            line = replace(line, number=before.number)  # noqa: PLW2901
            text = f"{before.text}{text}"
        if match:
            begun[line.stream] = replace(line, text=text)
        else:
            yield replace(line, text=text)
    yield from begun.values()


def read_source(path: Path, backend: str = "") -> Source:
    """The content of a file, out of any compression. Raises UsageError for one that cannot be read, is empty or too
    large, and as `unpacked` does."""
    try:
        with path.open("rb") as file:
            found = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give the path of a log.") from None
    if len(found) > MOST_BYTES:
        raise UsageError(f"{path} has more than {MOST_BYTES >> 30} GiB; give a log of a benchmark.")
    content, remark = unpacked(path, found)
    if not content.strip():
        raise UsageError(f"{path} is empty; give a log of a benchmark.")
    if max(map(content.count, (b"\n", b"\r"))) > MOST_LINES:
        raise UsageError(f"{path} has more than {MOST_LINES:,} lines; give the part that has the tables.")
    return Source(path, content, backend, remark)
