"""Running collbench for real: as a command, under both MPIs, with backends that are broken on purpose."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from collbench.results.records import Record, load

HERE = Path(__file__).parent
BROKEN = HERE / "broken"
CACHE = "COLLBENCH_CACHE"
PYTHONS = {"mpich": Path(sys.prefix) / "bin" / "python", "openmpi": Path(sys.prefix) / "openmpi" / "bin" / "python"}
GUARD_SECONDS = 300  # for what ends by itself: a guard, since a busy machine takes many times as long as an idle one
# Ranks are more than processors here. Those of MPICH sleep while they wait, instead of yielding in a loop (60 % of the
# processor time of a sweep on 4 ranks). Open MPI looks for no network (a second a start), refuses neither root nor more
# ranks than cores, and has ranks yield while they wait.
SETTINGS = {
    "mpich": {"MPIR_CVAR_ENABLE_HEAVY_YIELD": "1"},
    "openmpi": {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self,sm", "OMPI_MCA_mpi_yield_when_idle": "1"},
}
# What collbench sets for the ranks that it starts, and others must set themselves.
PERMISSIONS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_osc": "^ucx",
}


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what a launcher or an earlier test left in it, but with the cache of these tests."""
    left = ("PMI", "OMPI", "SLURM", "COLLBENCH")
    kept = {name: value for name, value in os.environ.items() if name == CACHE or not name.startswith(left)}
    return {**kept, **more}


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Here(Protocol):
    """Runs collbench in this process."""

    def __call__(self, *arguments: str, **variables: str) -> Ran: ...


@dataclass(frozen=True)
class Mpi:
    """One MPI library: how to run collbench with it, alone or under its mpiexec."""

    name: str
    folder: Path

    @property
    def python(self) -> str:
        return str(PYTHONS[self.name])

    def command(self, *arguments: str, ranks: int | None = None) -> list[str]:
        """The command line; ``ranks``: under mpiexec."""
        launcher = [] if ranks is None else [str(PYTHONS[self.name].parent / "mpiexec"), "-n", str(ranks)]
        return [*launcher, self.python, "-m", "collbench", *arguments]

    def environment(self, variables: dict[str, str], under_launcher: bool) -> dict[str, str]:
        """Open MPI's permissions are for those who call mpiexec themselves; collbench brings its own."""
        needed = PERMISSIONS if self.name == "openmpi" and under_launcher else {}
        return clean_environment(**{**SETTINGS[self.name], **needed, **variables})

    def run(self, *arguments: str, ranks: int | None = None, **variables: str) -> Ran:
        """Run to its end."""
        return self.run_command(self.command(*arguments, ranks=ranks), ranks is not None, **variables)

    def run_command(self, command: Sequence[str], under_launcher: bool, **variables: str) -> Ran:
        """Run another command line to its end."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(variables, under_launcher),
            capture_output=True, text=True, timeout=GUARD_SECONDS, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def values(self, program: str, ranks: int) -> Any:
        """What a Python program on that many ranks prints as JSON."""
        command = [*self.command(ranks=ranks)[:-2], "-c", program]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment({}, True),
            capture_output=True, text=True, timeout=GUARD_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str, ranks: int | None = None, **variables: str) -> subprocess.Popen[str]:
        """Start in a session of its own, so that it can be interrupted as a terminal does it, even where these tests
        run in the background and ignore interrupts."""
        return subprocess.Popen(
            self.command(*arguments, ranks=ranks),
            cwd=self.folder, env=self.environment(variables, ranks is not None), start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def rows(self, name: str = "r.csv") -> list[Record]:
        """The rows of a results file in the test's folder."""
        return load(self.folder / name)


def statuses(records: Sequence[Record]) -> set[str]:
    """The statuses that occur."""
    return {record.status for record in records}


def wait_for_rows(path: Path, count: int) -> None:
    """Wait until a results file has more lines than ``count``."""
    deadline = time.monotonic() + GUARD_SECONDS
    while not (path.exists() and path.read_text().count("\n") > count):
        assert time.monotonic() < deadline, f"{path} never had {count} rows"
        time.sleep(0.05)
