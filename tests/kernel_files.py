"""Kernel files for tests: a header whose fields a test changes, and writing one."""

from __future__ import annotations

from pathlib import Path

FIELDS = {
    "summary": '"one hop"',
    "collective": '"all_reduce"',
    "dtypes": '["float32", "bfloat16"]',
    "ops": '["sum", "max"]',
    "order": '"flat"',
    "nodes": '"one"',
    "wire": '"(P-1)*S"',
    "scratch": '"P*S"',
    "cell": '"ll"',
    "blocks": "[8, 16]",
    "threads": "[256]",
}


def source(**changes: str | None) -> str:
    """A kernel file; None leaves a field out."""
    lines = [f"{name} = {text}" for name, text in {**FIELDS, **changes}.items() if text is not None]
    return "\n".join(["/* collbench", *lines, "*/", "// the rest", ""])


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path
