"""What is in a compressed log, up to a limit: a few KiB may unpack to more than any memory holds."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from collbench.errors import UsageError

MOST_UNPACKED = 1 << 28
CUT_OFF = "is cut off in its compressed form; what is before the cut is read"
# What each begins with, and the module that reads it.
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma"}
_REFUSED = {
    b"\x28\xb5\x2f\xfd": "compressed by zstd; give what zstd -d makes of it",
    b"PK\3\4": "a zip archive; give a log that is in it",
}
_TAR, _TAR_AT = b"ustar", 257


def unpacked(path: Path, content: bytes) -> tuple[bytes, str]:
    """The content of the file ``path``, out of gzip, bzip2 or xz as its first bytes say, and CUT_OFF where its end is
    missing, else "".

    Raises UsageError for content that is damaged, has more than MOST_UNPACKED bytes, or is packed otherwise.
    """
    module = _of(_PACKED, content)
    found, remark = _read(path, module, content) if module else (content, "")
    if why := _of(_REFUSED, found):
        raise UsageError(f"{path} is {why}.")
    if found.startswith(_TAR, _TAR_AT):
        raise UsageError(f"{path} is a tar archive; give a log that is in it.")
    if module and _of(_PACKED, found):
        raise UsageError(f"{path} is compressed twice; unpack it once.")
    return found, remark


def _of(kinds: Mapping[bytes, str], content: bytes) -> str:
    return next((kind for start, kind in kinds.items() if content.startswith(start)), "")


def _read(path: Path, module: str, content: bytes) -> tuple[bytes, str]:
    found, remark = bytearray(), ""
    try:
        for part in _parts(module, content):
            found += part
            if len(found) > MOST_UNPACKED:
                break
    except EOFError:
        remark = CUT_OFF
    except ImportError:
        raise UsageError(f"{path} needs Python's module {module}, which is missing here; unpack it first.") from None
    except Exception as error:  # each module has its own kinds of errors
        raise UsageError(f"{path} cannot be unpacked, as if it were damaged: {error}.") from None
    if len(found) > MOST_UNPACKED:
        raise UsageError(
            f"{path} unpacks to more than {MOST_UNPACKED >> 20} MiB; unpack it, and give the part that has the tables."
        )
    return bytes(found), remark


def _parts(module: str, content: bytes) -> Iterator[bytes]:
    """The content in parts of a few KiB. Raises EOFError at a cut, and ImportError in a Python without the module."""
    with importlib.import_module(module).open(io.BytesIO(content)) as file:
        while part := file.read1():
            yield part
