"""A kernel's sources for its compilers: include folders, cache keys, and the errors in a compiler's log."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collbench.kernels.files import own_folder
from collbench.kernels.header import KernelFile

SHOWN_LINES = 20
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)


class KernelError(RuntimeError):
    """A kernel that cannot be compiled; the message names its file and includes the compiler's errors."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn OSError into KernelError: a missing file, no space for temporary files, a process that does not start."""
    try:
        yield
    except OSError as error:
        raise KernelError(f"{path} cannot be compiled: {error}") from error


def include_folders(file: KernelFile) -> tuple[Path, ...]:
    """The include path: the file's own folder, then ours; of a file of a git revision, those of that revision."""
    return tuple(dict.fromkeys((file.path.parent.resolve(), (file.headers or own_folder()).resolve())))


def key(path: Path, folders: tuple[Path, ...], *how: Any) -> str:
    """The cache key of the compiled file ``path``: a hash of its text, of all that it includes from ``folders``, and of
    ``how`` it is compiled (values that JSON can represent)."""
    found = list(texts(path, folders).values())
    return hashlib.sha256(json.dumps([found, *how]).encode()).hexdigest()[:32]


def texts(path: Path, folders: tuple[Path, ...]) -> dict[Path, str]:
    """The text of ``path`` and of all that it includes from ``folders`` or relative to it, recursively."""
    source = path.resolve()
    found, waiting = {source: path.read_text(encoding="utf-8")}, [source]
    while waiting:
        one = waiting.pop()
        for name in _INCLUDE.findall(found[one]):
            places = (folder / name for folder in (one.parent, *folders))
            header = next((place.resolve() for place in places if place.is_file()), None)
            if header and header not in found:
                found[header] = header.read_text(encoding="latin-1")  # decodes any bytes, and distinctly
                waiting.append(header)
    return found


def error_lines(log: str) -> list[str]:
    """The errors in a compiler's log without its warnings; where it marks no error, its last lines."""
    log = log.strip("\0 \n")  # nvJitLink terminates its log with NUL
    paragraphs = re.split(r"\n\s*\n", log)
    errors = [text for text in paragraphs if re.search(r"\berror\b", text)]
    lines = "\n".join(errors).splitlines() or log.splitlines()[-SHOWN_LINES:]
    more = len(lines) - SHOWN_LINES
    return lines if more <= 0 else [*lines[:SHOWN_LINES], f"... and {more} more lines"]
