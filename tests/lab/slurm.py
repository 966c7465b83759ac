"""A real Slurm on one machine: munged, slurmctld and several slurmd, each with a host name of its own and fake GPUs.

Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge (``make test-slurm`` installs them). ``python
tests/lab/slurm.py COMMAND...`` runs a command, for example a shell, in such a cluster.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "unshare")
UP_SECONDS, DOWN_SECONDS = 30.0, 10.0


def missing() -> str | None:
    """Why there can be no such cluster here, or None."""
    if os.geteuid() != 0:
        return "a cluster of virtual nodes needs root"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{', '.join(lacking)} not found; `make test-slurm` installs Slurm where it can" if lacking else None


@dataclass(frozen=True)
class Shape:
    """A cluster: nodes of ``cpus`` that need not exist and ``gpus`` that do not. It knows at most ``jobs`` jobs, and
    forgets one ``forget`` seconds after its end."""

    nodes: int = 4
    cpus: int = 4
    gpus: int = 4
    jobs: int = 50
    forget: int = 60


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the kernel gives to connections: one of these may be taken before
    its daemon binds it."""
    below = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    drawn = random.sample(range(10_000, max(below, 10_100)), 100)
    return list(itertools.islice(filter(_is_free, drawn), count))


def _is_free(port: int) -> bool:
    with socket.socket() as each:
        try:
            each.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _configure(folder: Path, shape: Shape) -> None:
    """Write what the daemons read. All files are in ``folder``; nothing of the machine's own Slurm is touched."""
    control, *ports = _free_ports(shape.nodes + 1)
    for index in range(shape.gpus):  # slurmd wants character devices: these are copies of /dev/null
        os.mknod(folder / f"gpu{index}", 0o20666, os.makedev(1, 3))
    gres = f"Gres=gpu:a100:{shape.gpus}" if shape.gpus else ""
    lines = [
        "ClusterName=lab",
        f"SlurmctldHost={socket.gethostname()}(127.0.0.1)",
        f"SlurmctldPort={control}",
        "SlurmUser=root", "SlurmdUser=root",
        f"AuthInfo=socket={folder}/munge.sock",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool.%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid", f"SlurmdPidFile={folder}/slurmd.%n.pid",
        f"SlurmctldLogFile={folder}/slurmctld.log", f"SlurmdLogFile={folder}/slurmd.%n.log",
        "MailProg=/bin/true",
        "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "JobAcctGatherType=jobacct_gather/none",
        "AccountingStorageType=accounting_storage/none",
        "JobCompType=jobcomp/filetxt", f"JobCompLoc={folder}/finished.txt",  # what sacct -c reads
        "SwitchType=switch/none", "MpiDefault=pmi2",
        "SelectType=select/cons_tres", "SelectTypeParameters=CR_Core", "SlurmdParameters=config_overrides",
        "SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0",
        "EnforcePartLimits=ALL", "KillWait=2", "OverTimeLimit=0", "InactiveLimit=0", "ReturnToService=2",
        f"MaxJobCount={shape.jobs}", f"MinJobAge={shape.forget}",
        *(["GresTypes=gpu"] if gres else []),
        *(f"NodeName=node{i} NodeHostname=node{i} NodeAddr=127.0.0.1 Port={port} CPUs={shape.cpus} Boards=1 "
          f"SocketsPerBoard=1 CoresPerSocket={shape.cpus} ThreadsPerCore=1 RealMemory=2000 {gres} Feature=gpu"
          for i, port in enumerate(ports, start=1)),
        "PartitionName=debug Nodes=ALL Default=YES DefaultTime=5 MaxTime=60 OverSubscribe=EXCLUSIVE State=UP",
    ]  # fmt: skip
    (folder / "slurm.conf").write_text("\n".join([*lines, ""]))
    devices = f"Name=gpu Type=a100 File={folder}/gpu[0-{shape.gpus - 1}]\n" if gres else ""
    (folder / "gres.conf").write_text(devices)
    # None are used, but slurmd loads a plugin all the same, and its choice fails where /sys/fs/cgroup is missing.
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    names = "".join(f"127.0.0.1 node{i}\n" for i in range(1, shape.nodes + 1))
    (folder / "hosts").write_text(Path("/etc/hosts").read_text() + names)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    (folder / "state").mkdir()


def _on_node(folder: Path, number: int, command: Sequence[str]) -> list[str]:
    """The command on a host of its own name, which all hosts can look up."""
    enter = 'hostname "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'
    inside = ["sh", "-c", enter, "sh", f"node{number}", f"{folder}/hosts", *command]
    return ["unshare", "--uts", "--mount", *inside]


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its folder, and the variable that its commands need."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """What the environment of Slurm's commands must hold."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """What a command of Slurm's prints."""
        done = subprocess.run(
            command, env={**os.environ, **self.variables}, capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout


def _start(stack: ExitStack, folder: Path, name: str, command: Sequence[str]) -> None:
    log = stack.enter_context((folder / f"{name}.out").open("w"))
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"},
    )
    stack.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(DOWN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_up(cluster: Cluster, nodes: int) -> None:
    end, seen = time.monotonic() + UP_SECONDS, ""
    while time.monotonic() < end:
        try:
            seen = cluster.ask("sinfo", "-h", "-N", "-o", "%N %T")
        except subprocess.SubprocessError as error:
            seen = str(error)
        if seen.count(" idle\n") == nodes:
            return
        time.sleep(0.1)
    tails = [f"{path.name}: {path.read_text()[-400:]}" for path in sorted(cluster.folder.glob("*.log"))]
    raise RuntimeError(f"the cluster did not come up in {UP_SECONDS:g} s: {seen}\n" + "\n".join(tails))


def _end_jobs(cluster: Cluster) -> None:
    """Before the daemons end: job steps would outlive them."""
    jobs = set(cluster.ask("squeue", "-h", "-o", "%A").split())
    if jobs:
        cluster.ask("scancel", *jobs)
    end = time.monotonic() + DOWN_SECONDS
    while time.monotonic() < end and cluster.ask("squeue", "-h").strip():
        time.sleep(0.1)


@contextmanager
def cluster(shape: Shape = Shape()) -> Iterator[Cluster]:
    """A cluster that ends with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-lab-")))
        folder.chmod(0o755)
        _configure(folder, shape)
        found = Cluster(folder)
        _start(stack, folder, "munged", [
            "munged", "--foreground", "--force", f"--socket={folder}/munge.sock", f"--key-file={folder}/munge.key",
            f"--log-file={folder}/munged.log", f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munged.seed",
        ])  # fmt: skip
        _start(stack, folder, "slurmctld", ["slurmctld", "-D", "-i"])
        for number in range(1, shape.nodes + 1):
            _start(stack, folder, f"node{number}", _on_node(folder, number, ["slurmd", "-D", "-N", f"node{number}"]))
        _wait_until_up(found, shape.nodes)
        stack.callback(_end_jobs, found)
        yield found


def main(command: Sequence[str]) -> int:
    """Run a command in a cluster of four nodes; its exit code."""
    reason = missing()
    if reason:
        print(f"slurm.py: {reason}", file=sys.stderr)
        return 2
    with cluster() as found:
        return subprocess.run(command, env={**os.environ, **found.variables}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["sh"]))
