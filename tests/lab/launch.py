"""MPI jobs on the hosts of ``tests/lab/network.py``: what each library's mpiexec needs to start ranks there.

``PYTHONPATH=tests python -m lab.launch OPTION... -- COMMAND WORD...`` runs ``collbench COMMAND WORD...`` with MPICH on
hosts that exist until it ends, and prints what crossed the network. On GPUs:

- ``--hosts 2 --gpus 0:1 -- verify --backend nvrar-put``: two hosts with one GPU and one rank each.
- ``--hosts 2 --per-host 2 --gpus 0,1:2,3``: two hosts with two GPUs each; the ranks of a host take its GPUs in turn.
- ``--hosts 4 --gpus 0:1:0:1``: four hosts that share two GPUs; ``--hosts 2 --per-host 4 --gpus 0:1``: four ranks on
  each GPU. Ranks that share a GPU alternate in slices of milliseconds: for proofs, not for timing. NCCL refuses such
  ranks on one host.

Needs MPICH (its mpiexec is MPIEXEC, else that beside Python, else that on the PATH), and for GPUs NVSHMEM 3.4.5. With
GPUs the switch occupies two processors for each host: one that sleeps adds more delay than their latencies.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import transport
from lab.network import ENTER, Faults, Link, Network, missing, network
from lab.switch import PATH

RANK = Path(__file__).with_name("rank")
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
        where = _mpich_on(hosts, per_host)
    else:
        slots = ",".join(f"{host}:{per_host}" for host in hosts)
        where = ["--prtemca", "plm_ssh_agent", str(ENTER), "--host", slots]
        where += ["--map-by", f"ppr:{per_host}:node:oversubscribe"]
    ranks = ["-n", str(per_host * len(hosts)), str(programs / "python"), "-m", "collbench", *arguments]
    return on_host(hosts[0], str(programs / "mpiexec"), *where, *ranks)


def _mpich_on(hosts: Sequence[str], per_host: int) -> list[str]:
    return ["-launcher", "ssh", "-launcher-exec", str(ENTER), "-hosts", ",".join(hosts), "-ppn", str(per_host)]


def gpu_environment(gpus: str, hosts: int) -> dict[str, str]:
    """The variables of ranks behind RANK on that many hosts, whose GPUs ``gpus`` names as in ``0,1:2,3``.

    Raises RuntimeError where these are not GPUs for each host, or where NVSHMEM or a compiler is missing.
    """
    lists = gpus.split(":")
    if len(lists) != hosts:
        raise RuntimeError(f"--gpus {gpus} names the GPUs of {len(lists)} hosts, not of {hosts}")
    return {**transport.settings(), "LAB_GPUS": " ".join(lists)}


def mpiexec() -> str:
    """MPICH's launcher. Raises RuntimeError where there is none."""
    beside = Path(sys.prefix, "bin", "mpiexec")
    found = os.environ.get("MPIEXEC") or (str(beside) if beside.exists() else shutil.which("mpiexec"))
    if not found:
        raise RuntimeError("mpiexec not found; name MPICH's in MPIEXEC")
    return found


def job(net: Network, per_host: int, *words: str) -> list[str]:
    """The command line that runs ``words`` as ``per_host`` ranks on every host, by MPICH. Raises RuntimeError."""
    hosts = list(net.hosts)
    return on_host(hosts[0], mpiexec(), *_mpich_on(hosts, per_host), "-n", str(per_host * len(hosts)), *words)


def shown_traffic(net: Network) -> str:
    """What crossed the network so far, a line for each pair of hosts and direction."""
    return "".join(
        f"node{source} to node{target}: {seen.bytes} bytes in {seen.packets} packets; {seen.dropped} dropped, "
        f"{seen.stalled} stalled, {seen.overtaken} overtaken, {seen.overflowed} overflowed\n"
        for (source, target), seen in net.switch.counts().items()
    )


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.launch", description="collbench on hosts of one machine")
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--per-host", type=int, default=1, help="ranks on each host")
    parser.add_argument("--gpus", help="those of each host, as in 0,1:2,3; without it, ranks on the processor")
    parser.add_argument("--delay-us", type=float, default=0.0, help="one way")
    parser.add_argument("--rate-mbit", type=float, help="out of each host and into each")
    parser.add_argument("--trunk-mbit", type=float, help="for all hosts together")
    for chance in ("drop", "stall", "overtake"):
        parser.add_argument(f"--{chance}", type=float, default=0.0, help="the chance of a frame, 0 to 1")
    parser.add_argument("--late-us", type=float, default=500.0, help="how long a frame stalls or is overtaken")
    parser.add_argument("--module", default="collbench", help="what ranks run; lab.wire counts bytes")
    parser.add_argument("words", nargs="+", help="what collbench is to do")
    return parser


def run(given: argparse.Namespace) -> int:
    """Run a job and return its exit code. Raises RuntimeError where it cannot be started."""
    environment = gpu_environment(given.gpus, given.hosts) if given.gpus else {}
    rank = [str(RANK)] if given.gpus else []
    with network(given.hosts, Link(given.delay_us, given.rate_mbit, given.trunk_mbit), spin=bool(given.gpus)) as net:
        net.switch.set_faults(Faults(given.drop, given.stall, given.late_us, given.overtake, given.late_us))
        print(f"{PATH}={net.switch.path} python -m lab.switch counts: what the switch counts now", file=sys.stderr)
        note = f"hosts are network namespaces of one machine; link: {net.link}"
        command = job(net, given.per_host, *rank, sys.executable, "-m", given.module, *given.words)
        done = subprocess.run(
            command, env={"COLLBENCH_NOTE": note, **os.environ, **net.environment, **environment}, check=False
        )
        sys.stderr.write(shown_traffic(net))
    return done.returncode


def main() -> None:
    """Run a job and exit as it did."""
    given = options().parse_args()
    if reason := missing():
        sys.exit(f"No hosts here: {reason}.")
    try:
        sys.exit(run(given))
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
