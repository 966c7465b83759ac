"""Job scripts: a profile and a sweep put into the template, with every value quoted."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from collbench.errors import UsageError
from collbench.slurm import profiles
from collbench.slurm.profiles import Profile, Setting

TEMPLATE = "job.sh"
_PLAIN = re.compile(r"[\w.,:/=+@%*-]+", re.ASCII)  # what neither Slurm nor a shell takes for anything else
_HOLE = re.compile(r"@([a-z]+)@")


@dataclass(frozen=True)
class Shape:
    """The shape of a submission: a job for each of ``nodes``; GPUs and ranks on each node, None for the profile's;
    ``launches`` in each of the ``allocations`` of a node count; all jobs ``at_once``, or one after another."""

    nodes: tuple[int, ...]
    gpus_per_node: int | None
    ranks_per_node: int | None
    launches: int
    allocations: int
    at_once: bool

    def is_given(self) -> bool:
        """Whether the user gave any of it."""
        several = self.launches > 1 or self.allocations > 1 or self.at_once
        return bool(self.nodes or self.gpus_per_node or self.ranks_per_node or several)


@dataclass(frozen=True)
class Job:
    """What one script asks for: ``nodes`` of ``ranks_per_node`` ranks, ``launches`` of a sweep (the words after
    ``collbench sweep``), in each of the ``allocations``. ``asked`` are directives that the user gave, by name."""

    name: str
    nodes: int
    ranks_per_node: int
    gpus_per_node: int
    launches: int
    allocations: int
    at_once: bool
    sweep: tuple[str, ...]
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """What the files of this job are named by."""
        return f"nodes{self.nodes}"


def comment(text: str) -> str:
    """The text as lines of a comment."""
    return "\n".join(textwrap.wrap(checked(" ".join(text.split())), 118, initial_indent="# ", subsequent_indent="# "))


def checked(value: str) -> str:
    """The value, if it stays within its line; UsageError otherwise."""
    if not value.isprintable():
        raise UsageError(f"{value!r} holds a character that does not print; it cannot stand in a job script.")
    return value


def sbatch_quote(value: str) -> str:
    """The value as sbatch reads it back from a line of a script: quotes group, a backslash takes what follows as it
    is, also within quotes, and # begins a comment (_get_argument in Slurm's src/sbatch/opt.c)."""
    if _PLAIN.fullmatch(checked(value)):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def words(values: Sequence[str]) -> str:
    """Words of a shell's array; with a comma they are quoted too, since it looks like a mistake there."""
    quoted = [(checked(value), shlex.quote(value)) for value in values]
    return " ".join(f"'{value}'" if value == text and "," in value else text for value, text in quoted)


def array_of(job: Job, indices: Sequence[str]) -> str:
    """The value of --array. Slurm may start tasks of one array together though they depend on each other's name."""
    return ",".join(indices) + ("" if job.at_once else "%1")


def directives(job: Job, profile: Profile) -> dict[str, str]:
    """The directives of a job by name; "" is the value of a flag."""
    site = {name: value.replace("{gpus}", str(job.gpus_per_node)) for name, value in profile.slurm.items()
            if job.gpus_per_node or "{gpus}" not in value}  # fmt: skip
    array = {"array": array_of(job, [f"0-{job.allocations - 1}"])} if job.allocations > 1 else {}
    # Jobs of one name one after another: they would share the network, and disturb each other.
    alone = {} if job.at_once else {"dependency": "singleton"}
    log = f"{job.part}.%A.%a.log" if job.allocations > 1 else f"{job.part}.%j.log"
    shape = {"job-name": job.name, "nodes": str(job.nodes), "ntasks-per-node": str(job.ranks_per_node)}
    return {**shape, **site, **job.asked, **array, **alone, "output": log}


def _directive(name: str, value: str) -> str:
    return f"#SBATCH --{name}={sbatch_quote(value)}" if value else f"#SBATCH --{name}"


def _variable(setting: Setting) -> str:
    state = "confirmed" if setting.confirmed else "not confirmed"
    why = comment(f"{setting.why} ({setting.source}; {state})")
    if setting.value is None:
        return f"{why}\nunset {setting.name}"
    return f"{why}\nexport {setting.name}={shlex.quote(checked(setting.value))}"


def script(job: Job, profile: Profile) -> str:
    """The text of a job script for bash and sbatch. Raises UsageError for a value that cannot stand in one."""
    lacking = [name for name in profile.needs if not job.asked.get(name) and not profile.slurm.get(name)]
    if lacking:
        raise UsageError(f"{profile.name} needs --{lacking[0]}.")
    settings = [_variable(setting) for setting in profile.settings if setting.applies(job.nodes)]
    each = "node" if job.nodes == 1 else "nodes"
    filled = {
        "title": comment(f"{job.nodes} {each} of {profile.name}: {profile.about}"),
        "directives": "\n".join(_directive(*each) for each in directives(job, profile).items()),
        "before": "\n".join(profile.before) or "# (nothing)",
        "variables": "\n".join(settings) or "# (nothing)",
        "part": job.part,
        "launch": words(profile.launch),
        "collbench": words(profile.collbench or (sys.executable, "-m", "collbench")),
        "sweep": words(job.sweep),
        "launches": str(job.launches),
        "ranks": str(job.ranks_per_node),
    }
    template = (profiles.folder() / TEMPLATE).read_text(encoding="utf-8")
    return _HOLE.sub(lambda hole: filled[hole[1]], template)
