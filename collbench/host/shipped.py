"""What comes with collbench beside its Python: kernels and job scripts."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def shipped(folder: str) -> Path:
    """Where our ``folder`` (``kernels``, ``jobs``) is: in the wheel, or beside the package in a checkout."""
    packed = PACKAGE / "share" / folder  # asked first: beside an installed package lies whatever others put there
    return packed if packed.is_dir() else PACKAGE.parent / folder
