"""A real OpenPBS on one machine, in namespaces of its own: server, data service, scheduler, communication, one node.

Needs root and an installed OpenPBS: its commands on PATH, or its folder in PBS_EXEC. Installs nothing. ``python
tests/lab/pbs.py COMMAND...`` runs a command, for example a shell, in such a cluster.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("unshare", "nsenter", "ip", "initdb")
UP_SECONDS = 120.0
HOST, ADDRESS = "pbs1", "10.99.0.1"  # PBS does not accept a server on a loopback address
COMMANDS = ("qsub", "qstat", "qselect", "qdel", "qmgr")
# ``small`` takes no job of less than 10 nodes, so ``prod`` gives such a job an id and deletes it later.
SETTINGS = (
    "set server acl_roots = root@*", "set server job_history_enable = True", "set server scheduler_iteration = 1",
    "create resource system type=string,flag=h", "create resource filesystems type=string",
    f"set node {HOST} resources_available.system = polaris", f"set node {HOST} resources_available.ncpus = 64",
    "create queue small queue_type=execution,enabled=true,started=true,resources_min.nodect=10",
    "create queue prod queue_type=route,enabled=true,started=true,route_destinations=small",
)  # fmt: skip


def _home() -> Path | None:
    """The folder of an installed OpenPBS."""
    server = shutil.which("pbs_server", path=f"{os.environ.get('PBS_EXEC', '/opt/pbs')}/sbin:{os.environ['PATH']}")
    return Path(server).parent.parent if server else None


def missing() -> str | None:
    """Why there can be no such cluster here, or None."""
    if os.geteuid() != 0:
        return "a cluster in namespaces needs root"
    if _home() is None:
        return "pbs_server not found; no package of Debian has OpenPBS, and PBS_EXEC names no folder with it"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{', '.join(lacking)} not found" if lacking else None


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its folder, which has the commands of PBS in ``bin``."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """What the environment of PBS's commands must hold."""
        return {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def ask(self, *command: str) -> str:
        """What a command of PBS's prints."""
        done = subprocess.run(
            command, env={**os.environ, **self.variables}, capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout


def _configure(folder: Path, home: Path) -> None:
    lines = [
        f"PBS_EXEC={home}", f"PBS_HOME={folder}/home", f"PBS_SERVER={HOST}", "PBS_START_SERVER=1", "PBS_START_SCHED=1",
        "PBS_START_COMM=1", "PBS_START_MOM=1", "PBS_SCP=/bin/cp",
    ]  # fmt: skip
    (folder / "pbs.conf").write_text("\n".join([*lines, ""]))
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {HOST}\n")
    settings = "\n".join(f"qmgr -c {shlex.quote(setting)}" for setting in SETTINGS)
    # Beside its own folder it would write to these of the machine, which therefore are empty ones inside.
    (folder / "start.sh").write_text(
        f"set -e\nhostname {HOST}\nip link set lo up\nip addr add {ADDRESS}/32 dev lo\n"
        f"mount --bind {folder}/hosts /etc/hosts\n"
        "for each in /var/tmp /run/postgresql /etc/profile.d /usr/lib/systemd/system; do\n"
        "  mount -t tmpfs tmpfs $each\ndone\nchmod 1777 /var/tmp /run/postgresql\n"
        f"export PBS_CONF_FILE={folder}/pbs.conf PATH={home}/bin:{home}/sbin:$PATH\n"
        f"{home}/libexec/pbs_init.d start\n{settings}\ntouch {folder}/up\nexec sleep infinity\n"
    )


def _enter(folder: Path, home: Path, process: int) -> None:
    """Write the commands that enter the namespaces of the cluster."""
    (folder / "bin").mkdir()
    for name in COMMANDS:
        path = folder / "bin" / name
        path.write_text(
            f"#!/bin/sh\nexec nsenter -t {process} --net --uts --mount env PBS_CONF_FILE={folder}/pbs.conf "
            f"""sh -c 'cd "$1" && shift && exec "$@"' sh "$PWD" {home}/bin/{name} "$@"\n"""
        )
        path.chmod(0o755)


def _inside(process: subprocess.Popen[bytes]) -> int:
    """The process that unshare has forked, the first of its namespaces."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(children.read_text().split()[0])


def _wait_until_up(folder: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + UP_SECONDS
    while not (folder / "up").exists():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the cluster did not come up: {(folder / 'start.out').read_text()[-2000:]}")
        time.sleep(0.1)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that ends with the block."""
    home = _home()
    assert home is not None
    with ExitStack() as stack:
        # Not in /tmp: the node refuses folders below one that anybody may write to.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pbs-lab-", dir="/var/lib")))
        folder.chmod(0o755)
        _configure(folder, home)
        log = stack.enter_context((folder / "start.out").open("w"))
        command = ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        process = subprocess.Popen(
            [*command, "bash", f"{folder}/start.sh"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        stack.callback(process.wait)
        stack.callback(process.kill)  # and with it, all in its namespaces
        _wait_until_up(folder, process)
        _enter(folder, home, _inside(process))
        yield Cluster(folder)


def main(command: Sequence[str]) -> int:
    """Run a command in a cluster; its exit code."""
    reason = missing()
    if reason:
        print(f"pbs.py: {reason}", file=sys.stderr)
        return 2
    with cluster() as found:
        return subprocess.run(command, env={**os.environ, **found.variables}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["sh"]))
