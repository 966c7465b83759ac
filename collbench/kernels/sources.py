"""A kernel's sources as compilers need them: where its headers are, what they hold, and what a compiler said."""

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
    """A kernel that cannot be compiled; the text names its file and holds what the compiler says of it."""


@contextmanager
def explained(file: KernelFile) -> Iterator[None]:
    """What the system refuses, as a KernelError: the file is gone, no room for temporary ones, no process to start."""
    try:
        yield
    except OSError as error:
        raise KernelError(f"{file.path} is not compiled: {error}") from error


def include_folders(file: KernelFile) -> tuple[Path, ...]:
    """The file's own folder, then ours."""
    return tuple(dict.fromkeys((file.path.parent.resolve(), own_folder().resolve())))


def key(path: Path, folders: tuple[Path, ...], *how: Any) -> str:
    """A name for what comes out of compiling the file ``path``: of its text, of all that it includes from ``folders``,
    and of ``how`` it is compiled (anything that JSON holds)."""
    texts = _texts(path.read_text(encoding="utf-8"), path.resolve(), folders)
    return hashlib.sha256(json.dumps([texts, *how]).encode()).hexdigest()[:32]


def _texts(source: str, path: Path, folders: tuple[Path, ...]) -> list[str]:
    """``source``, the file ``path``, and what it includes from ``folders`` or relative to itself, and so on."""
    found, waiting = {path: source}, [path]
    while waiting:
        one = waiting.pop()
        for name in _INCLUDE.findall(found[one]):
            places = ((folder / name).resolve() for folder in (one.parent, *folders))
            header = next((place for place in places if place.is_file()), None)
            if header and header not in found:
                found[header] = header.read_text(encoding="latin-1")  # whatever its bytes, no two texts are one
                waiting.append(header)
    return list(found.values())


def error_lines(log: str) -> list[str]:
    """The errors in a compiler's log without its warnings; where it calls nothing an error, its last lines."""
    log = log.strip("\0 \n")  # nvJitLink ends its log as C ends a string
    paragraphs = re.split(r"\n\s*\n", log)
    errors = [text for text in paragraphs if re.search(r"\berror\b", text)]
    lines = "\n".join(errors).splitlines() or log.splitlines()[-SHOWN_LINES:]
    more = len(lines) - SHOWN_LINES
    return lines if more <= 0 else [*lines[:SHOWN_LINES], f"... and {more} lines more"]
