"""The sidecar of a results file: a JSON description of its launches."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from collbench.devices import nvshmem
from collbench.devices.device import Device
from collbench.host import probes
from collbench.host.environment import allowed_variables, loaded_libraries, machine, versions
from collbench.host.git import git_revision
from collbench.host.settings import conflicts
from collbench.host.version import version
from collbench.kernels import files as kernel_files
from collbench.measure.request import SweepRequest
from collbench.ranks.world import World, mpi_facts
from collbench.registry import commits
from collbench.results.files import SCHEMA, sidecar_path
from collbench.results.writing import replace_text


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
        "version": version(),
        "git": git_revision(Path(__file__).parent),
        "source_sha256": source_hash(),
        "kernels_sha256": kernel_hashes(),
        "versions": versions(),
        "machine": machine(),
        "variables": allowed_variables(os.environ),
        **({"conflicts": [asdict(each) for each in found]} if (found := conflicts(os.environ)) else {}),
    }


Facts = dict[str, Any]


@dataclass
class Sidecar:
    """The sidecar during one launch, on rank 0; its file is valid JSON at any time. A launch has an entry for its plain
    backends and one for each variant, and one that is continued keeps its entry."""

    results: Path
    launches: list[Facts]
    run_id: str = ""
    entry: Facts = field(default_factory=dict)

    def begin(self, run_id: str, entry: Facts) -> None:
        """Write the facts of the launch ``entry["launch"]``, or of a variant in it, that are known before the
        measurements."""
        self.run_id = run_id
        same = next((each for each in self.launches if _key(each) == _key(entry)), None)
        if same is None:
            self.launches.append(entry)
        else:
            same.setdefault("resumed", []).append(entry["started"])
        self.entry = same or entry
        self._write()

    def end(self, late: list[Facts]) -> None:
        """Add what is known only after the calls, rank by rank."""
        if any(each["libraries"] or each["transports"] for each in late):
            for rank, each in zip(self.entry["ranks"], late, strict=True):
                rank.update(each)
            self._write()

    def _write(self) -> None:
        content = {"schema": SCHEMA, "run_id": self.run_id, "launches": self.launches}
        replace_text(sidecar_path(self.results), json.dumps(content, indent=1, allow_nan=False) + "\n")


def _key(entry: Facts) -> tuple[int, str]:
    """What identifies an entry: its launch, and its variant if it has one."""
    return entry["launch"], entry.get("variant", {}).get("name", "")


def gather_entry(everyone: World, request: SweepRequest, devices: Mapping[str, Device]) -> Facts | None:
    """On rank 0, the facts of this launch, without its number; collective."""
    return gather_facts(
        everyone,
        request.argv,
        devices,
        sweep=asdict(request.sweep),
        revisions=commits(request.sweep.backends),
        **({"goal": dict(request.goal.facts)} if request.goal.facts else {}),
        **({"config": asdict(request.origin)} if request.origin else {}),
    )


def gather_facts(everyone: World, argv: Sequence[str], devices: Mapping[str, Device], **parts: Any) -> Facts | None:
    """On rank 0, the facts of a launch, its nodes and its ranks, with ``parts`` of the caller; collective."""
    ranks = everyone.launch.gather(_rank_facts(devices))
    node = probes.plain(probes.node(os.environ)) if everyone.local_rank == 0 else None
    nodes = everyone.launch.gather(node)
    if ranks is None or nodes is None:  # not rank 0
        return None
    return launch_facts(
        list(argv),
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **parts,
        mpi=mpi_facts(),
        nodes=[each for each in nodes if each],
        ranks=[{"rank": rank, "host": everyone.hosts[rank], **facts} for rank, facts in enumerate(ranks)],
    )


def gather_late(everyone: World, transports: Mapping[str, Sequence[str]]) -> list[Facts] | None:
    """On rank 0, the libraries that each rank loaded, NVSHMEM's own version, which need not be that of a package, and
    the ``transports`` of its backends; collective."""
    found = {"nvshmem": used} if (used := nvshmem.version_in_use()) else {}
    return everyone.launch.gather({"libraries": loaded_libraries(), **found, "transports": transports})


def _rank_facts(devices: Mapping[str, Device]) -> Facts:
    """The sidecar's entry of this rank."""
    process = probes.process(os.environ, mpi_facts())
    return {
        "mpi": process.mpi,
        "cores": len(process.cores),
        **{kind: device.facts() for kind, device in devices.items()},
    }
