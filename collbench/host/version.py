"""The version of collbench: that of the installed wheel, and of a checkout what git says of it now."""

from __future__ import annotations

import re
import time
from importlib import metadata
from pathlib import Path

from collbench.host.git import Described, git_described
from collbench.host.shipped import PACKAGE

FIRST = "0.1.0"  # before there is a tag; pyproject.toml has it as fallback-version
UNKNOWN = "0+unknown"


def version() -> str:
    """The version by PEP 440, as the build would name it; UNKNOWN for sources that neither git nor pip knows."""
    return _of_wheel() if (PACKAGE / "share").is_dir() else _of_sources(PACKAGE.parent)


def _of_wheel() -> str:
    try:
        return metadata.version("collbench")
    except metadata.PackageNotFoundError:
        return UNKNOWN


def _of_sources(top: Path) -> str:
    """Of a checkout by git, of an unpacked sdist by its PKG-INFO, else of what is installed: these sources, perhaps."""
    if found := git_described(PACKAGE):
        return spelled(found)
    note = top / "PKG-INFO"
    named = re.search(r"^Version: (\S+)$", note.read_text(encoding="utf-8"), re.MULTILINE) if note.exists() else None
    return named[1] if named else _of_wheel()


def spelled(found: Described) -> str:
    """The version of a commit as setuptools-scm spells it: that of its tag, or a development version before the next
    one with commits since, hash, and today's date (UTC) where files are modified."""
    tag = found.tag.removeprefix("v")
    if tag and not found.since and not found.modified:
        return tag
    following = re.sub(r"\d+$", lambda last: str(int(last[0]) + 1), tag) if tag else FIRST
    local = [f"g{found.commit}"] if found.since else []
    local += [time.strftime("d%Y%m%d", time.gmtime())] if found.modified else []
    return f"{following}.dev{found.since}+{'.'.join(local)}"
