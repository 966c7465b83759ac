"""Made-up files, such as those of /proc and /sys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def plant(root: Path, files: Mapping[str, str]) -> Path:
    """``root``, in which files have these contents and a last newline, by their paths."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(f"{content}\n"))
    return root
