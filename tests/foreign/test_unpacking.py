"""Compressed logs are read by what is in them, up to a limit, and what cannot be unpacked is refused in a sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from foreign_logs import nccl_tests

from collbench.errors import UsageError
from collbench.foreign import unpacking
from collbench.foreign.formats import Reading, read
from collbench.foreign.report import page
from collbench.foreign.rows import Given, imported
from collbench.foreign.source import read_source

LOG = nccl_tests()
Compress = Callable[[bytes], bytes]
BY = pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])


def reading(content: bytes, folder: Path) -> Reading:
    (folder / "nccl.log").write_bytes(content)
    return read(read_source(folder / "nccl.log"))


def of(found: Reading) -> tuple[object, ...]:
    return found.source.sha256, found.runs, found.missed, found.remarks


def refused(content: bytes, folder: Path) -> str:
    with pytest.raises(UsageError) as error:
        reading(content, folder)
    return str(error.value).removeprefix(f"{folder / 'nccl.log'} ")


@BY
@pytest.mark.parametrize("coding", ["utf-8", "utf-16"])
def test_a_compressed_log_is_read_whatever_its_name(compress: Compress, coding: str, tmp_path: Path) -> None:
    plain = LOG.encode(coding)
    assert of(reading(compress(plain), tmp_path)) == of(reading(plain, tmp_path))


@BY
def test_parts_that_were_compressed_one_after_another_are_read(compress: Compress, tmp_path: Path) -> None:
    head, tail = LOG[:900].encode(), LOG[900:].encode()
    assert of(reading(compress(head) + compress(tail), tmp_path)) == of(reading(LOG.encode(), tmp_path))


def test_of_a_file_that_is_cut_off_the_beginning_is_read_and_that_is_said(tmp_path: Path) -> None:
    times = [f"{31 + at % 97}.{at % 89} 0.1 0.2 0" for at in range(3000)]
    rows = [f"{4096 + 4 * at:12} {1024 + at:12} float sum -1 {us} {us}" for at, us in enumerate(times)]
    packed = gzip.compress(nccl_tests(rows).encode())
    found = reading(packed[: len(packed) // 2], tmp_path)
    assert 100 < sum(len(run.cases) for run in found.runs) < 6000
    notes = page(Path("a.csv"), imported([found], Given())).notes
    assert (f"{tmp_path / 'nccl.log'} {unpacking.CUT_OFF}.",) in notes


@BY
def test_what_unpacks_beyond_a_limit_is_refused_before_it_is_whole(
    compress: Compress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MOST_UNPACKED", 1 << 20)
    taken: list[int] = []
    parts = unpacking._parts

    def counted(module: str, content: bytes):  # type: ignore[no-untyped-def]
        for part in parts(module, content):
            taken.append(len(part))
            yield part

    monkeypatch.setattr(unpacking, "_parts", counted)
    words = refused(compress(bytes(1 << 24)), tmp_path)
    assert words == "unpacks to more than 1 MiB; unpack it, and give the part that has the tables."
    assert sum(taken) <= (1 << 20) + max(taken)
    assert max(taken) <= 1 << 16


@BY
def test_a_damaged_file_is_refused(compress: Compress, tmp_path: Path) -> None:
    packed = bytearray(compress(LOG.encode()))
    packed[len(packed) // 2] ^= 0xFF
    assert refused(bytes(packed), tmp_path).startswith("cannot be unpacked, as if it were damaged: ")


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        file.addfile(tarfile.TarInfo("nccl.log"))
    return out.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("nccl.log", LOG)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x28\xb5\x2f\xfd\x24\x00", "is compressed by zstd; give what zstd -d makes of it."),
        (_zip(), "is a zip archive; give a log that is in it."),
        (gzip.compress(_tar()), "is a tar archive; give a log that is in it."),
        (_tar(), "is a tar archive; give a log that is in it."),
        (gzip.compress(bz2.compress(LOG.encode())), "is compressed twice; unpack it once."),
        (gzip.compress(b"\n"), "is empty; give a log of a benchmark."),
    ],
    ids=["zstd", "zip", "tar in gzip", "tar", "twice", "empty"],  # the contents name the time
)
def test_what_is_packed_otherwise_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    assert refused(content, tmp_path) == words


def test_a_python_without_the_module_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = bz2.compress(LOG.encode())
    monkeypatch.setitem(sys.modules, "bz2", None)
    assert refused(packed, tmp_path) == "needs Python's module bz2, which is missing here; unpack it first."
