"""Ways in which a launch goes wrong in silence: each a function of facts, to a finding with its cure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from collbench.doctor.findings import Finding, bad, fine, note
from collbench.host.probes import Node, Process, Reach
from collbench.host.transports import families
from collbench.ranks.launcher import Launcher, split_up

# What `srun --mpi=` must say for an MPI (vendor as mpi4py names it) to find its other ranks; the first is the advice.
PLUGINS = {
    "MPICH": ("pmi2", "cray_shasta"),
    "Cray MPICH": ("cray_shasta", "pmi2"),
    "Intel MPI": ("pmi2",),
    "Open MPI": ("pmix",),
}
FABRICS = ("slingshot", "infiniband")  # networks on which a library that misses them falls back to something slow
LOCKED_ENOUGH = 1 << 30  # registered memory: buffers of 64 MiB, a symmetric heap of 1 GiB


def singletons(launcher: Launcher, world_size: int, plugin: str | None, vendor: str) -> Finding:
    """Whether the processes of a launcher know of each other. ``plugin`` is what ``srun --mpi=`` was."""
    told = f"{launcher.name} started {launcher.size} processes, the MPI world has {world_size} ranks"
    if not split_up(launcher, world_size):
        return fine("launcher", told)
    if launcher.name != "srun":
        cure = f"use the mpiexec that belongs to {vendor}, the MPI that mpi4py loads (see above)"
    else:
        used = f", not --mpi={plugin}" if plugin else ""
        cure = f"srun --mpi={_advice(vendor)}: {vendor} finds its other ranks that way{used}"
    return bad("launcher", f"{told}: every process believes that it is alone, as rank 0", cure)


def _advice(vendor: str) -> str:
    return PLUGINS.get(vendor, ("pmix or pmi2",))[0]


def mpi_plugin(variables: Mapping[str, str], vendor: str) -> Finding | None:
    """Whether ``srun --mpi=`` fits the MPI; None outside a step, and for an MPI or a step of which nothing is known.
    Only a note: an MPI may have been built for more than is usual, and singletons are found for certain later."""
    plugin, wanted = variables.get("SLURM_MPI_TYPE"), PLUGINS.get(vendor)
    if "SLURM_STEP_ID" not in variables or plugin is None or wanted is None:
        return None
    if plugin.startswith(wanted):  # pmix_v4 is pmix
        return fine("srun --mpi", f"{plugin}, as {vendor} wants it")
    return note("srun --mpi", f"{plugin}, which {vendor} mostly does not speak", f"srun --mpi={wanted[0]}")


def wheel(wheels: Sequence[str], variables: Mapping[str, str], nodes: int | None, network: str) -> Finding:
    """An MPI out of a wheel hides a cluster's. That is fatal for speed between nodes, and silent; inside one node it
    is only worth knowing. ``nodes`` is None where they are not known yet."""
    if not wheels:
        return fine("MPI wheel", "none")
    if "SLURM_JOB_ID" not in variables and "LOADEDMODULES" not in variables:
        return fine("MPI wheel", wheels[0])
    words = f"the {wheels[0]} wheel hides this cluster's MPI"
    cure = f"pip uninstall {wheels[0]}, and build nothing: mpi4py then loads the cluster's MPI"
    if nodes == 1:
        return note("MPI wheel", f"{words}; inside one node that does no harm", cure)
    return (bad if nodes and network in FABRICS else note)("MPI wheel", words, cure)


def nodes_of(variables: Mapping[str, str]) -> int | None:
    """Nodes of the Slurm job or step that this process is in; None outside."""
    text = variables.get("SLURM_STEP_NUM_NODES") or variables.get("SLURM_NNODES") or ""
    return int(text) if text.isdigit() else None


def root(variables: Mapping[str, str], vendor: str, user: int) -> Finding | None:
    """Open MPI's mpiexec refuses root; collbench's own launches allow it."""
    names = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    lacking = [name for name in names if variables.get(name) != "1"]
    if vendor != "Open MPI" or user != 0 or not lacking:
        return None
    cure = f"export {' '.join(f'{name}=1' for name in lacking)} before a mpiexec of your own; collbench does so itself"
    return note("root", "Open MPI's mpiexec refuses root", cure)


def locked(node: Node, network: str) -> Finding | None:
    """Whether a process may lock the memory that a fabric's adapters read and write; None without such a fabric."""
    if network not in FABRICS:
        return None
    if node.locked_bytes is None:
        return fine("locked memory", "any amount")
    words = f"{node.locked_bytes >> 10} KiB on {node.host}"
    if node.locked_bytes >= LOCKED_ENOUGH:
        return fine("locked memory", words)
    cure = "ulimit -l unlimited; in Slurm: PropagateResourceLimitsExcept=MEMLOCK, and LimitMEMLOCK=infinity for slurmd"
    return note("locked memory", f"{words}: a network adapter can register no more than that", cure)


def fabric_reach(reaches: Sequence[Reach], node: Node) -> list[Finding]:
    """Fabrics that the kernel of a host knows but a process there cannot use: most often in a container."""
    return [found for reach in reaches if (found := _reach(reach, node.host, node.container))]


def _reach(reach: Reach, host: str, container: str | None) -> Finding | None:
    folder = {"InfiniBand": "/dev/infiniband", "Slingshot": "/dev/cxi*"}[reach.name]
    inside = f" inside the container ({container})" if container else ""
    if not reach.devices:
        how = f"bind {folder} into the container" if container else "ask for a node with access to it"
        return bad(reach.name, f"{host} has it, but there is no {folder}{inside}: the network would be TCP", how)
    if not reach.loads:
        where = "bind the host's library and put it on LD_LIBRARY_PATH" if container else "load the module that has it"
        return note(
            reach.name, f"{reach.soname} does not load{inside} on {host}: libraries that need it take TCP", where
        )
    return None


def node_map(ranks: Sequence[Process]) -> Finding:
    """How many ranks are on each host; uneven nodes are what ``srun -N2 -n4`` may give."""
    counts = Counter(rank.host for rank in ranks)
    told = ", ".join(f"{host}: {count}" for host, count in counts.items())
    if len(counts) > 8:
        told = ", ".join(f"{count} on each of {hosts} hosts" for count, hosts in Counter(counts.values()).items())
    if len(set(counts.values())) > 1:
        return note("ranks", f"{told}; nodes have different numbers of ranks", "srun --ntasks-per-node=N")
    return fine("ranks", told)


def agreement(ranks: Sequence[Process]) -> Finding:
    """Whether all ranks loaded the same MPI from the same place."""
    kinds = Counter((rank.mpi["library"], rank.mpi["path"]) for rank in ranks)
    if len(kinds) == 1:
        (library, path), _ = kinds.most_common(1)[0]
        return fine("MPI of the ranks", f"the same on all: {library}; {path}")
    told = "; ".join(f"{count} ranks: {library}, {path}" for (library, path), count in kinds.most_common())
    cure = "start all ranks in one environment: same modules, same virtual environment, same LD_LIBRARY_PATH"
    return bad("MPI of the ranks", told, cure)


def cores(ranks: Sequence[Process]) -> Finding:
    """Whether every rank has a core of its own: ranks that share one wait for each other's time slices."""
    crowded = {}
    for host in dict.fromkeys(rank.host for rank in ranks):
        mine = [rank.cores for rank in ranks if rank.host == host]
        usable = {core for each in mine for core in each}
        if len(usable) < len(mine):
            crowded[host] = f"{len(mine)} ranks share {len(usable)} cores on {host}"
    if not crowded:
        return fine("cores", "one or more for every rank")
    cure = "fewer ranks, or cores for each: srun -c N --cpu-bind=cores, mpiexec --bind-to core"
    return note("cores", next(iter(crowded.values())), cure)


def hidden_gpus(ranks: Sequence[Process]) -> Finding | None:
    """Ranks of one host that see one GPU each and not the others': libraries may then miss the path between them."""
    hosts = Counter(rank.host for rank in ranks)
    alone = [rank for rank in ranks if rank.gpus == 1 and rank.visible is not None and hosts[rank.host] > 1]
    if not alone:
        return None
    words = (
        f"ranks on {alone[0].host} see one each (CUDA_VISIBLE_DEVICES={alone[0].visible}): transports may not be p2p"
    )
    cure = "srun --gpus-per-node=N, or --gpu-bind=none, in place of --gpus-per-task: collbench gives each rank its own"
    return note("visible GPUs", words, cure)


def shared_gpu(places: Sequence[tuple[str, str]]) -> Finding | None:
    """Ranks on one GPU, by (host, PCI address) of every rank's."""
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is None:
        return None
    words = f"{places.count(twice)} ranks share GPU {twice[1]} of {twice[0]}: sweeps skip every GPU backend"
    return bad("GPU of each rank", words, "start one rank a GPU")


def clocks(nodes: Sequence[Node]) -> Finding | None:
    """GPUs whose clocks are held down."""
    held = [f"GPU {gpu.index} of {node.host}: {gpu.throttled}" for node in nodes for gpu in node.gpus if gpu.throttled]
    if not held:
        return None
    return note("GPU clocks", "held down: " + "; ".join(held[:4]), "nvidia-smi -q -d PERFORMANCE; wait, or take others")


def nccl_plugin(wheel: str, network: str, plugins: Collection[str], variables: Mapping[str, str]) -> Finding | None:
    """NCCL on Slingshot without the plugin that takes it there. ``wheel`` is where pip's NCCL lies, or nothing;
    ``plugins`` are the files named libnccl-net* that the loader would find."""
    if network != "slingshot" or plugins or "NCCL_NET_PLUGIN" in variables:
        return None
    whose = "pip's, which hides a site's" if wheel else "the site's"
    cure = (
        "load the site's module with aws-ofi-nccl (libnccl-net*.so on LD_LIBRARY_PATH), or name it in NCCL_NET_PLUGIN"
    )
    return note("NCCL on Slingshot", f"NCCL is {whose}, its libfabric plugin is not: it would take TCP sockets", cure)


def bootstrap(node: Node, hosts: int, variables: Mapping[str, str]) -> Finding | None:
    """NCCL and NVSHMEM meet over a network interface that they choose by name; on Slingshot that should be hsn."""
    if hosts < 2 or not any(name.startswith("hsn") for name in node.interfaces):
        return None
    wanted = {"NCCL_SOCKET_IFNAME": "hsn", "NVSHMEM_BOOTSTRAP_UID_SOCK_IFNAME": "hsn"}
    lacking = [f"{name}={value}" for name, value in wanted.items() if name not in variables]
    if not lacking:
        return None
    return note("meeting place", "libraries may meet over an interface that is not Slingshot's", " ".join(lacking))


def slow_network(transports: Mapping[str, str], network: str, hosts: int) -> Finding | None:
    """Libraries that went over TCP between hosts that have a fabric. ``transports``: of each library by its name."""
    slow = [name for name, transport in transports.items() if "tcp" in families(transport)]
    if hosts < 2 or network not in FABRICS or not slow:
        return None
    words = f"{' and '.join(slow)} went over TCP though the hosts have {network}"
    cure = "see which plugin and which adapters the library finds: NCCL_DEBUG=INFO; clusters' settings are in jobs/"
    return bad("network", words, cure)
