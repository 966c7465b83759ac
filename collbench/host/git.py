"""The git revision of source files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# GIT_DIR, GIT_WORK_TREE, GIT_INDEX_FILE and others select a repository whatever the folder; these two do not.
_HARMLESS = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")


def git_revision(folder: Path) -> str | None:
    """The git revision of the tree that tracks the files in ``folder``, with ``+`` where modified; None where none
    does, as for a package that is installed inside another project's checkout."""
    try:
        _git(folder, "ls-files", "--error-unmatch", "--", ".")
        return _git(folder, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*").strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    variables = {name: value for name, value in os.environ.items() if name in _HARMLESS or not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True, env=variables).stdout
