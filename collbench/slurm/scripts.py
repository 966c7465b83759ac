"""Job scripts: the template filled in from a profile and a sweep, with every value quoted."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from collbench.errors import UsageError
from collbench.plan.worlds import Topology
from collbench.slurm import profiles
from collbench.slurm.profiles import Profile, Setting

TEMPLATE = "job.sh"
_PLAIN = re.compile(r"[\w.,:/=+@%*-]+", re.ASCII)  # safe without quotes for Slurm and for a shell
_HOLE = re.compile(r"@([a-z]+)@")


@dataclass(frozen=True)
class Shape:
    """The shape of a submission: one job per entry of ``nodes``; GPUs and ranks per node, None for the profile's;
    ``launches`` in each of the ``allocations`` of a node count; jobs ``at_once`` or one after another."""

    nodes: tuple[int, ...]
    gpus_per_node: int | None
    ranks_per_node: int | None
    launches: int
    allocations: int
    at_once: bool

    def is_given(self) -> bool:
        """Whether any value differs from its default."""
        several = self.launches > 1 or self.allocations > 1 or self.at_once
        return bool(self.nodes or self.gpus_per_node or self.ranks_per_node or several)


@dataclass(frozen=True)
class Job:
    """One job script: ``launches`` of a sweep (the arguments of ``collbench sweep``) on ``nodes`` nodes of
    ``ranks_per_node`` ranks, in each of the ``allocations``. ``asked``: directives that the user gave, by name;
    ``legs``: the sets of ranks of a launch, one for plain backends and one for each variant. With ``check``, the
    arguments are those of ``collbench check``, of which it is the largest number of launches."""

    name: str
    nodes: int
    ranks_per_node: int
    gpus_per_node: int
    launches: int
    allocations: int
    at_once: bool
    sweep: tuple[str, ...]
    asked: Mapping[str, str] = field(default_factory=dict)
    legs: int = 1
    check: int = 0

    @property
    def part(self) -> str:
        """The prefix of this job's files, such as ``nodes4``."""
        return f"nodes{self.nodes}"


@dataclass(frozen=True)
class Work:
    """What a job runs: the worlds, options and ``legs`` of a sweep, or of a check of at most ``check`` launches."""

    topology: Topology
    words: tuple[str, ...]
    legs: int = 1
    check: int = 0


def comment(text: str) -> str:
    """The text as comment lines of a script, wrapped at 118 columns."""
    return "\n".join(textwrap.wrap(checked(" ".join(text.split())), 118, initial_indent="# ", subsequent_indent="# "))


def checked(value: str) -> str:
    """The value itself. Raises UsageError if it contains a non-printable character, such as a line break."""
    if not value.isprintable():
        raise UsageError(f"{value!r} contains a non-printable character; remove it, since a job script cannot hold it.")
    return value


def sbatch_quote(value: str) -> str:
    """The value quoted for an ``#SBATCH`` line: quotes group words, a backslash escapes the next character even within
    quotes, and # begins a comment (_get_argument in Slurm's src/sbatch/opt.c)."""
    if _PLAIN.fullmatch(checked(value)):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def words(values: Sequence[str]) -> str:
    """The values as elements of a shell array; those with a comma are quoted as well, for the reader and shellcheck."""
    quoted = [(checked(value), shlex.quote(value)) for value in values]
    return " ".join(f"'{value}'" if value == text and "," in value else text for value, text in quoted)


def array_of(job: Job, indices: Sequence[str]) -> str:
    """The value of --array. %1 runs one task at a time: ``singleton`` does not separate the tasks of one array."""
    return ",".join(indices) + ("" if job.at_once else "%1")


def directives(job: Job, profile: Profile) -> dict[str, str]:
    """The directives of a job by name; a flag has the value ""."""
    site = {name: value.replace("{gpus}", str(job.gpus_per_node)) for name, value in profile.slurm.items()
            if job.gpus_per_node or "{gpus}" not in value}  # fmt: skip
    array = {"array": array_of(job, [f"0-{job.allocations - 1}"])} if job.allocations > 1 else {}
    # Jobs of the same name run one after another, since they would compete for the network.
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
    name, value = setting.name, shlex.quote(checked(setting.value))
    if not setting.keep:
        return f"{why}\nexport {name}={value}"
    return f'{why}\nif [[ -v {name} ]]; then note {name} "${name}" {value} kept; else {name}={value}; fi; export {name}'


def _settings(job: Job, profile: Profile) -> list[Setting]:
    """The settings of a job; those that are for jobs on other numbers of nodes only unset their variables."""
    there = [replace(each, value=None, keep=False) for each in profile.settings if each.unset_elsewhere]
    here = {each.name: each for each in profile.settings if each.applies(job.nodes)}
    return [*here.values(), *(each for each in there if each.name not in here)]


def script(job: Job, profile: Profile) -> str:
    """The text of a job script. Raises UsageError for a missing directive or a value that no script can hold."""
    missing = [name for name in profile.needs if not job.asked.get(name) and not profile.slurm.get(name)]
    if missing:
        raise UsageError(f"profile {profile.name} needs --{missing[0]}; add it.")
    settings = _settings(job, profile)
    each = "node" if job.nodes == 1 else "nodes"
    filled = {
        "title": comment(f"{job.nodes} {each} of {profile.name}: {profile.about}"),
        "directives": "\n".join(_directive(*each) for each in directives(job, profile).items()),
        "before": "\n".join(profile.before) or "# (nothing)",
        "variables": "\n".join(map(_variable, settings)) or "# (nothing)",
        "names": " ".join(setting.name for setting in settings),
        "part": job.part,
        "launch": words(profile.launch),
        "collbench": words(profile.collbench or (sys.executable, "-P", "-m", "collbench")),
        "command": "check" if job.check else "sweep",
        "options": words(job.sweep if job.check else (*job.sweep, "--launches", str(job.launches))),
        "starts": str((job.check or job.launches) * job.legs),
        "ranks": str(job.ranks_per_node),
    }
    template = (profiles.folder() / TEMPLATE).read_text(encoding="utf-8")
    return _HOLE.sub(lambda hole: filled[hole[1]], template)
