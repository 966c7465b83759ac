"""Data files of the distribution: kernels and job scripts."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def shipped(folder: str) -> Path:
    """The path of ``folder`` (``kernels`` or ``jobs``): in the wheel, or next to the package in a checkout."""
    packed = PACKAGE / "share" / folder  # first: site-packages may hold a folder of this name
    return packed if packed.is_dir() else PACKAGE.parent / folder
