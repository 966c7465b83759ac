"""A folder to submit from, with stand-ins for Slurm's commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner
from running import Ran

from collbench.cli.main import cli
from collbench.jobs.submission import Part, reopen
from collbench.results.files import ResultFile, sidecar_path
from collbench.results.records import Record

# Each does what files in its folder say, and writes down how it was called.
SBATCH = """
    printf '%s|' "$@" >> calls; echo >> calls; env > environment
    echo "$OLDPWD" > folder
    if [ -e full ]; then
        rm full
        echo "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying." >&2
        exec sleep 100
    fi
    echo "Welcome to the cluster"
    if [ -e refuse ] && grep -q "$(cat refuse)" <<< "$*"; then
        echo "sbatch: error: QOSMaxWallDurationPerJobLimit" >&2
        echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit)" >&2
        exit 1
    fi
    echo x >> taken; echo "$((100 + $(wc -l < taken)))\""""
SQUEUE = """
    printf '%s|' "$@" >> looks; echo >> looks; env | grep ^SQUEUE_ >> looks
    if [ -e silent ]; then cat silent >&2; rm silent; exit 1; fi
    if [[ " $* " == *" -u "* ]]; then cat held 2>/dev/null; else cat queue 2>/dev/null; fi
    exit 0"""
SACCT = "cat books 2>/dev/null || exit 1"
SCANCEL = """
    printf '%s|' "$@" >> cancelled; echo >> cancelled
    if [ -e gone ]; then cat gone >&2; exit 1; fi"""
SUBMIT = ("submit", "--profile", "local", "--sizes", "4K", "-o", "r.csv")


@dataclass(frozen=True)
class Stage:
    """A folder to submit from, and what the stand-ins do."""

    folder: Path
    slurm: Path

    def set(self, name: str, text: str = "") -> None:
        """Have the stand-ins find a file."""
        (self.slurm / name).write_text(text)

    def read(self, name: str) -> str:
        """What a stand-in wrote down."""
        return (self.slurm / name).read_text()

    def calls(self, name: str = "calls") -> list[list[str]]:
        """How sbatch was called; ``looks`` are the calls of squeue."""
        path = self.slurm / name
        return [line.strip("|").split("|") for line in path.read_text().splitlines()] if path.exists() else []

    def run(self, *arguments: str) -> Ran:
        """Run the command line."""
        ran = CliRunner(catch_exceptions=False).invoke(cli, arguments, standalone_mode=False)
        return Ran(int(ran.return_value or 0), ran.stdout, ran.stderr)


def measured(part: Part, records: list[Record], ended: str | None = "0") -> None:
    """Leave behind what a job leaves."""
    file = ResultFile.create(part.csv, force=True)
    for record in records:
        file.append(record, [1.0, 2.0])
    launches = [{"launch": launch, "argv": ["sweep"]} for launch in sorted({record.launch for record in records})]
    sidecar_path(part.csv).write_text(json.dumps({"schema": 1, "launches": launches}))
    (part.folder / f"{part.name}.doctor.json").write_text('[\n {"what": "MPI"}\n]\n')
    if ended is not None:
        (part.folder / f"{part.name}.ended").write_text(f"{ended}\n")


def part(number: int) -> Part:
    """One of the parts of what was submitted."""
    return reopen(Path("r.csv")).parts()[number]
