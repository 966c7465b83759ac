"""MPI jobs on the hosts of ``tests/lab/network.py``: what each library's mpiexec needs to start ranks there."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from lab.network import ENTER, Network

# Open MPI: TCP over the network that lies between hosts (it would find shared memory, since they are one machine), and
# ranks that leave the processor to others while they wait, since there are more of them than cores.
SETTINGS = {
    "mpich": {},
    "openmpi": {
        "OMPI_MCA_pml": "ob1",
        "OMPI_MCA_btl": "tcp,sm,self",
        "OMPI_MCA_btl_tcp_if_include": "eth0",
        "OMPI_MCA_mpi_yield_when_idle": "1",
    },
}


def on_host(address: str, *words: str) -> list[str]:
    """The command line that runs a program on one host."""
    return [str(ENTER), address, shlex.join(words)]


def ranks_on(net: Network, per_host: int, library: str, programs: Path, arguments: Sequence[str]) -> list[str]:
    """The command line that runs ``collbench ARGUMENTS`` on every host, with ``per_host`` ranks on each.

    ``library`` is a key of SETTINGS, ``programs`` the folder of its mpiexec, which runs on the first host, and Python.
    """
    hosts = list(net.hosts)
    if library == "mpich":
        where = ["-launcher", "ssh", "-launcher-exec", str(ENTER), "-hosts", ",".join(hosts), "-ppn", str(per_host)]
    else:
        slots = ",".join(f"{host}:{per_host}" for host in hosts)
        where = ["--prtemca", "plm_ssh_agent", str(ENTER), "--host", slots]
        where += ["--map-by", f"ppr:{per_host}:node:oversubscribe"]
    ranks = ["-n", str(per_host * len(hosts)), str(programs / "python"), "-m", "collbench", *arguments]
    return on_host(hosts[0], str(programs / "mpiexec"), *where, *ranks)
