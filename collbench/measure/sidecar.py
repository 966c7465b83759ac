"""The sidecar of a results file: a JSON description of its launches."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from collbench.devices.device import Device
from collbench.errors import UsageError
from collbench.host import probes
from collbench.host.environment import allowed_variables, loaded_libraries, machine, versions
from collbench.kernels import files as kernel_files
from collbench.plan.sweep import Sweep
from collbench.ranks.world import World, mpi_facts
from collbench.results.files import SCHEMA, sidecar_path
from collbench.results.writing import replace_text


def git_revision(folder: Path) -> str | None:
    """The git revision of the source tree around ``folder``, with ``+`` where modified; None outside a repository."""
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            capture_output=True, encoding="utf-8", errors="replace", timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def source_hash() -> str:
    """SHA-256 of this package's source files, which identifies the code where there is no git."""
    folder, digest = Path(__file__).parent.parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kernel_hashes() -> dict[str, str]:
    """SHA-256 of every source of kernels: ours by name, those of COLLBENCH_KERNELS by path."""
    own, *others = kernel_files.folders()
    sources = [path for path in own.rglob("*") if path.suffix in (".cu", ".cuh", ".h", ".cpp")]
    names = {path.relative_to(own).as_posix(): path for path in sources}
    names |= {str(path): path for each in others for path in each.glob("*.cu*")}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(names.items()) if path.is_file()
    }


def launch_facts(argv: list[str], **parts: Any) -> dict[str, Any]:
    """The facts about a launch that do not fit into a row; ``parts`` are the caller's additions."""
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
    """The sidecar's entries of earlier launches; raises UsageError where their settings differ from ``sweep``."""
    path = sidecar_path(results)
    if not path.exists():
        return []
    launches: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["launches"]
    now = asdict(sweep)
    for knob in KNOBS:
        then = launches[-1]["sweep"][knob] if launches else now[knob]
        if then != now[knob]:
            raise UsageError(
                f"{results} was measured with {_option(knob, then)}, not {_option(knob, now[knob])}; resume with the "
                "same options or give another -o."
            )
    return launches


def _option(knob: str, value: object) -> str:
    """The command-line option that sets ``knob`` to ``value``."""
    if knob == "verify":
        return "--verify" if value else "--no-verify"
    name = f"--{knob.replace('_', '-')}"
    return f"the default {name}" if value is None else f"{name} {value}"


@dataclass
class Sidecar:
    """The sidecar during one launch, on rank 0; its file is valid JSON at any time."""

    results: Path
    sweep: Sweep
    argv: tuple[str, ...]
    resume: bool
    run_id: str = ""
    launches: list[Facts] = field(default_factory=list)

    def begin(self, everyone: World, run_id: str, launch: int, devices: Mapping[str, Device]) -> None:
        """Write the facts that are known before the measurements; collective."""
        ranks = everyone.launch.gather(_rank_facts(devices))
        node = probes.plain(probes.node(os.environ)) if everyone.local_rank == 0 else None
        nodes = everyone.launch.gather(node)
        if ranks is None or nodes is None:  # not rank 0
            return
        earlier = earlier_launches(self.results, self.sweep) if self.resume else []
        entry = launch_facts(
            list(self.argv),
            launch=launch,
            started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            sweep=asdict(self.sweep),
            mpi=mpi_facts(),
            nodes=[each for each in nodes if each],
            ranks=[{"rank": rank, "host": everyone.hosts[rank], **facts} for rank, facts in enumerate(ranks)],
        )
        self.run_id, self.launches = run_id, [*earlier, entry]
        self._write()

    def end(self, everyone: World, transports: Mapping[str, Sequence[str]]) -> None:
        """Add the libraries that each rank loaded and the ``transports`` of its backends; collective."""
        late = everyone.launch.gather({"libraries": loaded_libraries(), "transports": transports})
        if late and any(each["libraries"] or each["transports"] for each in late):
            for rank, each in zip(self.launches[-1]["ranks"], late, strict=True):
                rank.update(each)
            self._write()

    def _write(self) -> None:
        content = {"schema": SCHEMA, "run_id": self.run_id, "launches": self.launches}
        replace_text(sidecar_path(self.results), json.dumps(content, indent=1) + "\n")


def _rank_facts(devices: Mapping[str, Device]) -> Facts:
    """The sidecar's entry of this rank."""
    process = probes.process(os.environ, mpi_facts())
    return {
        "mpi": process.mpi,
        "cores": len(process.cores),
        **{kind: device.facts() for kind, device in devices.items()},
    }
