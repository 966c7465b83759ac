"""Compiles the C and C++ files of the lab with the host's compiler, once per content and compiler."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from collbench.kernels import cache, host_compiler

HERE = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Werror")


def built(source: str, name: str, flags: Sequence[str]) -> Path:
    """The path of ``source`` (a file of this folder) compiled with ``flags``, a file called ``name``.

    It lies among the caches of collbench. Raises RuntimeError with the compiler's errors, or where there is none.
    """
    command = host_compiler.compiler()
    if command is None:
        raise RuntimeError(host_compiler.missing())
    words = [*command, "-O2", *WARNINGS, *flags]
    read = [path.read_text() for path in (HERE / source, *sorted(HERE.glob("*.h")))]
    key = hashlib.sha256("\0".join([*words, *read]).encode()).hexdigest()[:16]
    path = cache.folder() / "lab" / key / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _compile(words, HERE / source, path)
    return path


def _compile(words: Sequence[str], source: Path, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        output = Path(folder, path.name)
        language = "c" if source.suffix == ".c" else "c++"
        # The file before the libraries that it needs, which are among the words.
        done = subprocess.run(
            [words[0], "-x", language, str(source), *words[1:], "-o", str(output)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{source} does not compile with {words[0]}:\n{done.stderr}")
        os.replace(output, path)  # others may compile the same file at this moment
