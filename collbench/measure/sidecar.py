"""What the sidecar says of a launch."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from collbench.devices.device import Device
from collbench.errors import UsageError
from collbench.host import probes
from collbench.host.environment import allowed_variables, machine, versions
from collbench.kernels import files as kernel_files
from collbench.plan.sweep import Sweep
from collbench.ranks import world
from collbench.ranks.world import World
from collbench.results.files import SCHEMA, replace_text, sidecar_path


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


Facts = dict[str, Any]
KNOBS = ("warmup", "samples", "max_seconds", "seed", "verify")


def earlier_launches(results: Path, sweep: Sweep) -> list[dict[str, Any]]:
    """What the sidecar says of the launches before this one; UsageError where they were measured in another way."""
    path = sidecar_path(results)
    if not path.exists():
        return []
    launches: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["launches"]
    now = asdict(sweep)
    for knob in KNOBS:
        then = launches[-1]["sweep"][knob] if launches else now[knob]
        if then != now[knob]:
            raise UsageError(
                f"{results} was measured with {knob} = {then}, now it is {now[knob]}; resume with the same, or give "
                "another -o."
            )
    return launches


def entry(
    sweep: Sweep,
    argv: Sequence[str],
    launch: int,
    everyone: World,
    facts: Sequence[Facts],
    nodes: Sequence[Facts | None],
) -> Facts:
    """What the sidecar says of this launch; ``facts`` by rank, ``nodes`` of each host that is not None."""
    return launch_facts(
        list(argv),
        launch=launch,
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        sweep=asdict(sweep),
        mpi=world.mpi_facts(),
        nodes=[node for node in nodes if node],
        ranks=[{"rank": rank, "host": everyone.hosts[rank], **fact} for rank, fact in enumerate(facts)],
    )


def write(results: Path, run_id: str, launches: Sequence[Facts]) -> None:
    """The sidecar, one entry a launch; it is complete at any time."""
    content = {"schema": SCHEMA, "run_id": run_id, "launches": launches}
    replace_text(sidecar_path(results), json.dumps(content, indent=1) + "\n")


def my_facts(devices: Mapping[str, Device]) -> Facts:
    """What the sidecar says of this rank."""
    process = probes.process(os.environ, world.mpi_facts())
    return {
        "mpi": process.mpi,
        "cores": len(process.cores),
        **{kind: device.facts() for kind, device in devices.items()},
    }
