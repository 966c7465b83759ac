"""Measures ``results/h200x2-hosts-*.csv`` and ``h200x4-*``: kernels that put, beside NCCL, on hosts with GPUs.

``PYTHONPATH=tests python -m lab.gpu_hosts PREFIX [LINK...]``, with PREFIX as in ``results/h200x2-hosts``: a file for
each link, by default for all, on two hosts with one GPU each. ``--gpus 0:1:2:3`` makes four such hosts,
``--gpus 0,1:2,3`` two hosts with two GPUs each. Four links get all backends and sizes in three launches; the others get
two backends and three sizes in one launch, to show how the ratio depends on the link. Complete files are left as they
are, incomplete ones continued; with ``--no-variants`` NCCL's settings are left out. Needs those GPUs and what
``lab.launch --gpus`` needs; a link in full takes five to eleven minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from lab.launch import options, run
from lab.network import missing

VARIANTS = ("LL=nccl NCCL_PROTO=LL", "Simple=nccl NCCL_PROTO=Simple", "Ring=nccl NCCL_ALGO=Ring",
            "Tree=nccl NCCL_ALGO=Tree")  # fmt: skip
KERNELS = "nvrar,nvrar-put,nvrar-put-oneshot,nvrar-put-oneshot-lamport,nvrar-put-halving,nccl"
DELAYS = {"0us": 0, "50us": 50, "200us": 200, "1ms": 1000}
RATES = {"": None, "-1g": 1000, "-10g": 10_000}  # Mbit/s
IN_FULL = ("0us", "50us-10g", "200us-10g", "1ms-1g")


@dataclass(frozen=True)
class Plan:
    """What is measured over a link: options of ``sweep``, and how many runs of it make the launches complete, since a
    job of several hosts starts one launch of all plain backends or of a variant."""

    words: tuple[str, ...]
    runs: int


PLAIN = Plan(("--backend", KERNELS, "--sizes", "4K:2M,16M", "--launches", "3"), 3)
FULL = Plan((*PLAIN.words, *(word for each in VARIANTS for word in ("--variant", each))), 3 * (1 + len(VARIANTS)))
ALWAYS = ("--dtype", "bfloat16", "--max-seconds", "0.1", "--resume", "--quiet")
BRIEF = Plan(("--backend", "nvrar,nccl", "--sizes", "4K,128K,1M"), 1)


def links() -> dict[str, list[str]]:
    """Options of lab.launch for each link by its name."""
    return {
        delay + rate: ["--delay-us", str(us), *(["--rate-mbit", str(mbit)] if mbit else [])]
        for delay, us in DELAYS.items()
        for rate, mbit in RATES.items()
    }


def launches(path: Path) -> int:
    """How many entries the sidecar of a results file has."""
    sidecar = path.with_suffix(".json")
    return len(json.loads(sidecar.read_text())["launches"]) if sidecar.exists() else 0


def hosts(gpus: str) -> list[str]:
    """Options of lab.launch for hosts with a rank on each of their GPUs, as in ``0,1:2,3``."""
    lists = gpus.split(":")
    return ["--hosts", str(len(lists)), "--per-host", str(len(lists[0].split(","))), "--gpus", gpus]


def measure(path: Path, job: list[str], plan: Plan) -> None:
    """All launches that a file lacks. Raises SystemExit with the code of a job that failed."""
    sweep = ["sweep", *plan.words, *ALWAYS, "-o", str(path)]
    while launches(path) < plan.runs:
        if code := run(options().parse_args([*job, "--", *sweep])):
            sys.exit(code)


def main() -> None:
    """Measure over the links that are named."""
    known = links()
    parser = argparse.ArgumentParser(prog="python -m lab.gpu_hosts", description="kernels that put, beside NCCL")
    parser.add_argument("prefix", help="of the results files, as in results/h200x2-hosts")
    parser.add_argument("links", nargs="*", help=f"of {', '.join(known)}; all without any", metavar="LINK")
    parser.add_argument("--gpus", default="0:1", help="of each host, as in 0,1:2,3")
    parser.add_argument("--no-variants", action="store_true", help="without NCCL's settings")
    given = parser.parse_args()
    if unknown := [name for name in given.links if name not in known]:
        parser.error(f"there is no link {unknown[0]}")
    if reason := missing():
        sys.exit(f"No hosts here: {reason}.")
    full = PLAIN if given.no_variants else FULL
    try:
        for name in given.links or known:
            job = [*hosts(given.gpus), *known[name]]
            measure(Path(f"{given.prefix}-{name}.csv"), job, full if name in IN_FULL else BRIEF)
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
