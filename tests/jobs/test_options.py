"""What submit hands on to its jobs, and the states of Slurm that it knows."""

from __future__ import annotations

import subprocess
from pathlib import Path

from slurm_stage import SUBMIT, Stage

from collbench.batch import slurm as client
from collbench.batch.system import Seen
from collbench.jobs.submission import reopen


def test_variants_reach_the_sweep_as_they_were_written(stage: Stage) -> None:
    variants = ("a=mpi NCCL_X='$(touch x); `touch x`'", 'b=mpi NCCL_X="it\'s; 1,2=3" NVSHMEM_Y=*')
    words = [word for variant in variants for word in ("--variant", variant)]
    assert stage.run(*SUBMIT, "--nodes", "1", "--launches", "2", *words).code == 0
    (job,) = reopen(Path("r.csv")).jobs
    assert (job.legs, [word for word in job.sweep if "mpi" in word]) == (3, list(variants))
    text = Path("r.jobs/nodes1.sh").read_text()
    assert "left=6 " in text
    (line,) = [line for line in text.splitlines() if line.startswith("options=")]
    shown = subprocess.run(
        ["bash", "-c", f'{line}; printf "%s\\0" "${{options[@]}}"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split("\0")[:-1] == ["--sizes", "4K", *words, "--launches", "2"]
    assert not Path("x").exists()


def test_states_of_slurm() -> None:
    assert not any(
        Seen(state).live for state in ("COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "CANCELLED", "PREEMPTED")
    )
    assert all(Seen(state).live for state in ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED"))
    assert client.look([]) == {}
