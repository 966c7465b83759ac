"""What the sidecar says of a launch."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

from collbench.host.environment import allowed_variables, machine, versions
from collbench.kernels import files as kernel_files


def git_revision(folder: Path) -> str | None:
    """Revision of the source tree around ``folder``, with ``+`` where it was changed; None outside one."""
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def source_hash() -> str:
    """SHA-256 of this package's own source files: says which code ran where there is no git."""
    folder, digest = Path(__file__).parent.parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kernel_hashes() -> dict[str, str]:
    """SHA-256 of every file that kernels are compiled from: ours by name, those of COLLBENCH_KERNELS by their path."""
    own, *others = kernel_files.folders()
    sources = [path for path in own.rglob("*") if path.suffix in (".cu", ".cuh", ".h", ".cpp")]
    names = {path.relative_to(own).as_posix(): path for path in sources}
    names |= {str(path): path for each in others for path in each.glob("*.cu*")}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(names.items()) if path.is_file()
    }


def launch_facts(argv: list[str], **parts: Any) -> dict[str, Any]:
    """Everything about a launch that does not fit into a row; ``parts`` come from those who know."""
    return {
        **parts,
        "argv": argv,
        "git": git_revision(Path(__file__).parent),
        "source_sha256": source_hash(),
        "kernels_sha256": kernel_hashes(),
        "versions": versions(),
        "machine": machine(),
        "variables": allowed_variables(os.environ),
    }
