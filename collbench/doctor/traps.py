"""Silent failures of a launch: pure functions from facts about machine and ranks to findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from collbench.doctor.findings import Finding, bad, fine, note
from collbench.host.probes import FABRIC_LIBRARIES, Node, Process, Reach
from collbench.host.transports import families
from collbench.ranks.launcher import Launcher, split_up
from collbench.tables import counted

# Values of `srun --mpi=` with which an MPI (vendor as in mpi4py) connects its ranks; the first is recommended.
PLUGINS = {
    "MPICH": ("pmi2", "cray_shasta"),
    "Cray MPICH": ("cray_shasta", "pmi2"),
    "Intel MPI": ("pmi2",),
    "Open MPI": ("pmix",),
}
FABRICS = ("slingshot", "infiniband")  # networks that a library may miss, and fall back to TCP
LOCKED_ENOUGH = 1 << 30  # registered memory: buffers of 64 MiB, a symmetric heap of 1 GiB


def singletons(launcher: Launcher, world_size: int, plugin: str | None, vendor: str) -> Finding:
    """Whether the processes of a launcher form one MPI world. ``plugin``: the value of ``srun --mpi=``."""
    words = f"{launcher.name} started {launcher.size} processes, the MPI world has {counted(world_size, 'rank')}"
    if not split_up(launcher, world_size):
        return fine("launcher", words)
    if launcher.name != "srun":
        cure = f"use the mpiexec that belongs to {vendor}, which mpi4py loads (see above)"
    else:
        used = f" instead of --mpi={plugin}" if plugin else ""
        cure = f"srun --mpi={_advice(vendor)}{used}, so that {vendor} connects its ranks"
    return bad("launcher", f"{words}: every process is rank 0 of a world of its own", cure)


def _advice(vendor: str) -> str:
    return PLUGINS.get(vendor, ("pmix or pmi2",))[0]


def mpi_plugin(variables: Mapping[str, str], vendor: str) -> Finding | None:
    """Whether ``srun --mpi=`` suits the MPI; None outside a job step, and if the MPI or the plugin is unknown. At most
    a note: an MPI may be built with more plugins than usual, and ``singletons`` detects a failure reliably."""
    plugin, wanted = variables.get("SLURM_MPI_TYPE"), PLUGINS.get(vendor)
    if "SLURM_STEP_ID" not in variables or plugin is None or wanted is None:
        return None
    if plugin.startswith(wanted):  # pmix_v4 is pmix
        return fine("srun --mpi", f"{plugin}, as {vendor} requires")
    return note("srun --mpi", f"{plugin}, which {vendor} usually does not support", f"srun --mpi={wanted[0]}")


def wheel(wheels: Sequence[str], variables: Mapping[str, str], nodes: int | None, network: str) -> Finding:
    """Whether an MPI from a wheel hides the cluster's, and with it, silently, the fast network between nodes. Within
    one node that is only a note. ``nodes`` is None while unknown."""
    if not wheels:
        return fine("MPI wheel", "none")
    if not {"SLURM_JOB_ID", "PBS_JOBID", "LOADEDMODULES"} & variables.keys():
        return fine("MPI wheel", wheels[0])
    words = f"the {wheels[0]} wheel hides this cluster's MPI"
    cure = f"pip uninstall {wheels[0]}; mpi4py then loads the cluster's MPI, without a rebuild"
    if nodes == 1:
        return note("MPI wheel", f"{words}; harmless within one node", cure)
    return (bad if nodes and network in FABRICS else note)("MPI wheel", words, cure)


def nodes_of(variables: Mapping[str, str]) -> int | None:
    """Number of nodes of the Slurm step or job that this process belongs to; None outside Slurm."""
    text = variables.get("SLURM_STEP_NUM_NODES") or variables.get("SLURM_NNODES") or ""
    return int(text) if text.isdigit() else None


def root(variables: Mapping[str, str], vendor: str, user: int) -> Finding | None:
    """Whether Open MPI's mpiexec would refuse to run as root; collbench's own launches permit it."""
    names = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    missing = [name for name in names if variables.get(name) != "1"]
    if vendor != "Open MPI" or user != 0 or not missing:
        return None
    settings = " ".join(f"{name}=1" for name in missing)
    cure = f"export {settings} before running mpiexec yourself; collbench sets it for its own launches"
    return note("root", "Open MPI's mpiexec refuses root", cure)


def locked(node: Node, network: str) -> Finding | None:
    """Whether a process may lock enough memory for a fabric's adapters; None without such a fabric."""
    if network not in FABRICS:
        return None
    if node.locked_bytes is None:
        return fine("locked memory", "unlimited")
    words = f"{node.locked_bytes >> 10} KiB on {node.host}"
    if node.locked_bytes >= LOCKED_ENOUGH:
        return fine("locked memory", words)
    cure = "ulimit -l unlimited; in Slurm: PropagateResourceLimitsExcept=MEMLOCK, and LimitMEMLOCK=infinity for slurmd"
    return note("locked memory", f"{words}: a network adapter can register no more than that", cure)


def fabric_reach(reaches: Sequence[Reach], node: Node) -> list[Finding]:
    """Fabrics that a host has but a process there cannot use, most often in a container."""
    return [found for reach in reaches if (found := _reach(reach, node.host, node.container))]


def _reach(reach: Reach, host: str, container: str | None) -> Finding | None:
    folder = {"InfiniBand": "/dev/infiniband", "Slingshot": "/dev/cxi*"}[reach.name]
    inside = f" inside the container ({container})" if container else ""
    if not reach.devices:
        how = f"bind {folder} into the container" if container else "use a node with access to it"
        return bad(reach.name, f"{host} has it, but {folder} is missing{inside}: libraries fall back to TCP", how)
    if not reach.loads:
        where = "bind the host's library and put it on LD_LIBRARY_PATH" if container else "load the module that has it"
        return note(
            reach.name, f"{reach.soname} does not load{inside} on {host}: libraries that need it use TCP", where
        )
    return None


def fabric_libraries(network: str, loads: Mapping[str, bool]) -> Finding | None:
    """Which libraries of the fabric this process finds and which not, in a container those of the image and of what its
    runtime brings in; None without such a fabric. ``loads``: of ``probes.fabric_libraries``."""
    if not loads:
        return None
    sides = {state: [name for name, does in loads.items() if does is wanted]
             for state, wanted in (("found", True), ("not found", False))}  # fmt: skip
    words = "; ".join(f"{', '.join(names)} {state}" for state, names in sides.items() if names)
    if not set(sides["not found"]) & set(FABRIC_LIBRARIES[network][0]):
        return fine("fabric libraries", words)
    cure = (
        "load the module that has them; in a container, let its runtime bring the host's (hook cxi at CSCS, --module "
        "of shifter, --nccl of podman-hpc, --bind of apptainer), or install them in the image"
    )
    return note("fabric libraries", f"{words}: libraries that need them use TCP", cure)


def node_map(ranks: Sequence[Process]) -> Finding:
    """The number of ranks on each host; ``srun -N2 -n4`` may distribute them unevenly."""
    counts = Counter(rank.host for rank in ranks)
    words = ", ".join(f"{host}: {count}" for host, count in counts.items())
    if len(counts) > 8:
        words = ", ".join(f"{count} on each of {hosts} hosts" for count, hosts in Counter(counts.values()).items())
    if len(set(counts.values())) > 1:
        return note("ranks", f"{words}; nodes have different numbers of ranks", "srun --ntasks-per-node=N")
    return fine("ranks", words)


def agreement(ranks: Sequence[Process]) -> Finding:
    """Whether all ranks loaded the same MPI library from the same path."""
    kinds = Counter((rank.mpi["library"], rank.mpi["path"]) for rank in ranks)
    if len(kinds) == 1:
        (library, path), _ = kinds.most_common(1)[0]
        return fine("MPI of the ranks", f"the same on all: {library}; {path}")
    words = "; ".join(f"{counted(count, 'rank')}: {library}, {path}" for (library, path), count in kinds.most_common())
    cure = "start all ranks in the same environment: modules, virtual environment, LD_LIBRARY_PATH"
    return bad("MPI of the ranks", words, cure)


def cores(ranks: Sequence[Process]) -> Finding:
    """Whether every rank has a core of its own: ranks that share one wait for its time slices."""
    crowded = []
    for mine in _by_machine(ranks):
        usable = {core for rank in mine for core in rank.cores}
        if len(usable) < len(mine):
            crowded.append(f"{len(mine)} ranks share {counted(len(usable), 'core')} on {_hosts_of(mine)}")
    if not crowded:
        return fine("cores", "at least one per rank")
    cure = "start fewer ranks, or bind each to its own cores: srun -c N --cpu-bind=cores, mpiexec --bind-to core"
    return note("cores", crowded[0], cure)


def lab(ranks: Sequence[Process]) -> Finding | None:
    """Hosts that are one machine, in namespaces or containers, so that no adapter carries what they exchange."""
    shared = [mine for mine in _by_machine(ranks) if len({rank.host for rank in mine}) > 1]
    if not shared:
        return None
    words = "; ".join(f"{_hosts_of(mine)} are one machine" for mine in shared)
    cure = "compare algorithms there, by steps and bytes; measure the latencies of a network on machines of its own"
    return note("lab", f"{words}: what they exchange crosses its memory and cores, not an adapter", cure)


def _by_machine(ranks: Sequence[Process]) -> list[list[Process]]:
    machines = dict.fromkeys(rank.machine for rank in ranks)
    return [[rank for rank in ranks if rank.machine == machine] for machine in machines]


def _hosts_of(ranks: Sequence[Process]) -> str:
    """The hosts of these ranks: each up to four, then how many more there are."""
    hosts = list(dict.fromkeys(rank.host for rank in ranks))
    named = hosts if len(hosts) <= 4 else [*hosts[:3], f"{len(hosts) - 3} more"]
    *others, last = named
    return f"{', '.join(others)} and {last}" if others else last


def hidden_gpus(ranks: Sequence[Process]) -> Finding | None:
    """Ranks of one host that see one GPU each: libraries may then miss the direct path between GPUs, and JSC names it
    as not supported for NVSHMEM (FZJ-JSC/tutorial-multi-gpu of 2025-12, 08-H_NCCL_NVSHMEM)."""
    hosts = Counter(rank.host for rank in ranks)
    alone = [rank for rank in ranks if rank.gpus == 1 and rank.visible is not None and hosts[rank.host] > 1]
    if not alone:
        return None
    words = (
        f"ranks on {alone[0].host} see one each (CUDA_VISIBLE_DEVICES={alone[0].visible}): p2p may be unavailable, and "
        "NVSHMEM needs all"
    )
    cure = (
        "srun --gpus-per-node=N, or --gpu-bind=none, not --gpus-per-task; where the site hides them by itself (JSC), "
        "export CUDA_VISIBLE_DEVICES=0,1,2,3 before srun; collbench assigns a GPU to each rank"
    )
    return note("visible GPUs", words, cure)


def shared_gpu(places: Sequence[tuple[str, str]]) -> Finding | None:
    """Ranks that share a GPU; ``places`` holds (host, PCI address) of every rank's GPU."""
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is None:
        return None
    words = f"{places.count(twice)} ranks share GPU {twice[1]} of {twice[0]}: sweeps skip every GPU backend"
    return bad("GPU of each rank", words, "start one rank per GPU")


def clocks(nodes: Sequence[Node]) -> Finding | None:
    """GPUs whose clocks are throttled."""
    held = [f"GPU {gpu.index} of {node.host}: {gpu.throttled}" for node in nodes for gpu in node.gpus if gpu.throttled]
    if not held:
        return None
    return note(
        "GPU clocks", f"throttled: {'; '.join(held[:4])}", "see nvidia-smi -q -d PERFORMANCE; wait, or use others"
    )


def multicast(off: Mapping[str, str]) -> Finding | None:
    """Whether settings keep libraries from the multicast that the GPUs have; ``off`` holds them by library."""
    if not off:
        return None
    names = " ".join(setting.split("=")[0] for setting in off.values())
    words = f"the GPUs have NVLink multicast, but {' and '.join(off.values())} keeps libraries from what may be faster"
    return note("multicast", words, f"unset {names}, unless your site has set it for a reason")


def bootstrap(node: Node, hosts: int, variables: Mapping[str, str]) -> Finding | None:
    """Whether NCCL and NVSHMEM bootstrap over Slingshot's interfaces (hsn*), which they select by name."""
    if hosts < 2 or not any(name.startswith("hsn") for name in node.interfaces):
        return None
    wanted = {"NCCL_SOCKET_IFNAME": "hsn", "NVSHMEM_BOOTSTRAP_UID_SOCK_IFNAME": "hsn"}
    missing = [f"{name}={value}" for name, value in wanted.items() if name not in variables]
    if not missing:
        return None
    return note("bootstrap", "libraries may connect over an interface other than Slingshot's", " ".join(missing))


def slow_network(transports: Mapping[str, str], network: str, machines: int) -> Finding | None:
    """Libraries that used TCP between machines that have a fabric. ``transports`` holds the transport of each
    library."""
    slow = [name for name, transport in transports.items() if "tcp" in families(transport)]
    if machines < 2 or network not in FABRICS or not slow:
        return None
    words = f"{' and '.join(slow)} used TCP although the hosts have {network}"
    cure = "check with NCCL_DEBUG=INFO which plugin and adapters are found; jobs/ has settings for clusters"
    return bad("network", words, cure)
