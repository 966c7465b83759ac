"""A folder to submit from, with stand-ins for PBS's commands. What they print is what OpenPBS 23.06.06 prints, from
runs of it and from its sources; batch/test_cluster.py has the real one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from running import Ran

from collbench.cli.main import cli

# Each does what files in its folder say, and writes down how it was called.
QSUB = """
    printf '%s|' "$@" >> calls; echo >> calls; env > environment; echo "$OLDPWD" > folder
    if [ -e refuse ] && grep -q "$(head -1 refuse)" <<< "$*"; then tail -n +2 refuse >&2; rm refuse; exit 38; fi
    echo "Welcome to the cluster"
    echo x >> taken; number=$((100 + $(wc -l < taken)))
    [ -e vanish ] || cp queued "job.$number"
    echo "$number.pbs1\""""
QSTAT = """
    printf '%s|' "$@" >> looks; echo >> looks
    if [ -e silent ]; then cat silent >&2; rm silent; exit 255; fi
    if [ -e forgetful ] && [[ " $* " == *" -x "* ]]; then
        echo "qstat: PBS is not configured to maintain job history ${!#}" >&2
        exit 0
    fi
    jobs=(); for word; do [[ $word == [0-9]* ]] && jobs+=("${word%%.*}"); done
    code=0 between='"Jobs":{'
    echo '{"timestamp":1795714344,"pbs_version":"23.06.06","pbs_server":"pbs1",'
    for job in "${jobs[@]}"; do
        if [ -e "job.$job" ]; then
            echo "$between\\"$job.pbs1\\":$(cat "job.$job")"; between=,
            if [ -e first ]; then break; fi
        elif ((${#jobs[@]} == 1)); then
            echo "qstat: Unknown Job Id $job.pbs1" >&2; code=153
        fi
    done
    if [[ $between == , ]]; then echo '}}'; else echo '"Jobs":{}}'; fi
    exit $code"""
QSELECT = """
    printf '%s|' "$@" >> selections; echo >> selections
    if [ -e silent ]; then cat silent >&2; rm silent; exit 160; fi
    cat held 2>/dev/null; exit 0"""
QDEL = """
    printf '%s|' "$@" >> deleted; echo >> deleted
    [ -e gone ] && { cat gone >&2; exit 35; }
    exit 0"""
POLARIS = """
about = "like Polaris"
gpus_per_node = 4
launch = ["mpiexec", "-n", "{total}", "--ppn", "{ranks}", "--depth=8", "--cpu-bind", "depth"]
needs = ["account"]

[pbs]
select = "{nodes}:system=polaris"
walltime = "00:30:00"
filesystems = "home:eagle"
q = "prod"
"""
SUBMIT = ("submit", "--profile", "./polaris.toml", "--account", "m1", "--sizes", "4K", "-o", "r.csv")
QUEUED = {"job_state": "Q", "substate": 10}
RUNS = {
    "job_state": "R", "substate": 42, "exec_host": "x1/0*64+x2/0*64", "resources_used": {"walltime": "00:00:10"},
    "comment": "Job run at Thu Nov 26 at 17:32 on (x1:ncpus=64)+(x2:ncpus=64)",
}  # fmt: skip
DONE = {**RUNS, "job_state": "F", "substate": 92, "Exit_status": 0, "comment": f"{RUNS['comment']} and finished"}


@dataclass(frozen=True)
class Stage:
    """A folder to submit from, and what the stand-ins do."""

    folder: Path
    pbs: Path

    def set(self, name: str, text: str = "") -> None:
        """Have the stand-ins find a file."""
        (self.pbs / name).write_text(text)

    def job(self, number: int, attributes: dict[str, Any] | None) -> None:
        """Have qstat report a job, or with None not know it."""
        path = self.pbs / f"job.{number}"
        path.unlink() if attributes is None else path.write_text(json.dumps(attributes))

    def calls(self, name: str = "calls") -> list[list[str]]:
        """How qsub was called; ``looks`` are the calls of qstat, ``selections`` those of qselect,
        ``deleted`` those of qdel."""
        path = self.pbs / name
        return [line.strip("|").split("|") for line in path.read_text().splitlines()] if path.exists() else []

    def run(self, *arguments: str) -> Ran:
        """Run the command line."""
        ran = CliRunner(catch_exceptions=False).invoke(cli, arguments, standalone_mode=False)
        return Ran(int(ran.return_value or 0), ran.stdout, ran.stderr)
