"""Profiles: what the jobs of one cluster need, read from a TOML file in ``jobs/`` or from the user's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from collbench.errors import UsageError, pick
from collbench.host.shipped import shipped
from collbench.jobs import limits
from collbench.jobs.limits import Limit

PLACES = ("anywhere", "one node", "several nodes")
KEYS: dict[str, type] = {
    "about": str, "like": str, "gpus_per_node": int, "ranks_per_node": int, "needs": list, "before": list,
    "launch": list, "collbench": list, "slurm": dict, "pbs": dict, "variables": dict, "open": list, "limits": list,
    "keep": list,
}  # fmt: skip
NO_PROFILES = {"nightly"}  # an example of sweeps, beside the profiles
LEAST = {"gpus_per_node": 0, "ranks_per_node": 1}
TYPE_NAMES = {str: "a string", int: "an integer", bool: "true or false", list: "a list of strings", dict: "a table"}
SETTING_KEYS: dict[str, type] = {
    "value": str, "why": str, "source": str, "confirmed": bool, "where": str, "keep": bool, "elsewhere": bool,
}  # fmt: skip
ASKED = ("time", "account", "qos", "partition")  # directives that a user may set
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# By table of a batch system: what its keys look like, and what they are.
SYNTAX = {
    "slurm": (r"[a-z][a-z-]*", "a long option of sbatch; write it without dashes, such as gpus-per-node"),
    "pbs": (
        r"[A-Za-z]|[A-Za-z][A-Za-z0-9_-]+",
        "an option of qsub, which is one letter, or a resource, such as walltime",
    ),
}
TABLES = (*SYNTAX, "variables")
# By table: options that collbench sets for each job, or that lead its files astray, and what to write instead.
OWN = {
    "slurm": dict.fromkeys(("array", "chdir", "dependency", "nodes", "output", "wrap"), "omit it")
    | {"ntasks-per-node": "give ranks_per_node"},
    "pbs": dict.fromkeys("vJ", "give variables as [variables.NAME]"),
}


@dataclass(frozen=True)
class Setting:
    """An environment variable of the job: its value (None: the job unsets it), the reason, and the source of both.

    ``confirmed``: the source is a document of the vendor, the site or the library, not a script found in use.
    ``where`` is one of PLACES; ``unset_elsewhere``: jobs to which it does not apply unset the variable. ``keep``: a
    value that the environment has, from a module for example, stays.
    """

    name: str
    value: str | None
    why: str
    source: str
    confirmed: bool
    where: str = "anywhere"
    keep: bool = False
    unset_elsewhere: bool = False

    def applies(self, nodes: int) -> bool:
        """Whether a job on that many nodes sets or unsets it."""
        return self.where == "anywhere" or (self.where == "one node") == (nodes == 1)


@dataclass(frozen=True)
class Profile:
    """A cluster: directives of a job by name (``slurm``, or ``pbs`` where it has that system), lines of shell that run
    first (``before``), and the commands that start the ranks (``launch``) and collbench (``collbench``; () is this
    Python).

    ``needs``: options that the user must give; ``unsettled``: what no document says, for the user to find out.
    Directives and ``launch`` may name numbers of the job, such as {gpus} (``batch.job.with_numbers``); on nodes without
    GPUs, a directive for Slurm with {gpus} is omitted.
    """

    name: str
    about: str
    launch: tuple[str, ...]
    gpus_per_node: int = 0
    ranks_per_node: int | None = None
    needs: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    collbench: tuple[str, ...] = ()
    slurm: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()
    pbs: Mapping[str, str] | None = None
    unsettled: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def system(self) -> str:
        """The batch system that runs the jobs: ``slurm`` or ``pbs``."""
        return "slurm" if self.pbs is None else "pbs"

    @property
    def site(self) -> Mapping[str, str]:
        """The directives for that system, by name."""
        return self.slurm if self.pbs is None else self.pbs


def folder() -> Path:
    """The folder of the shipped profiles and of the template ``job.sh``."""
    return shipped("jobs")


def names() -> list[str]:
    """Names of the shipped profiles."""
    return sorted({path.stem for path in folder().glob("*.toml")} - NO_PROFILES)


def find(name: str) -> Profile:
    """The shipped profile ``name``, or the one in the file ``name`` (NAME.toml, or a path). Raises UsageError."""
    if name.endswith(".toml") or "/" in name:
        return load(Path(name))
    return load(folder() / f"{pick('profile', name, names())}.toml")


def load(path: Path) -> Profile:
    """The profile in a file, including what it inherits by ``like``. Raises UsageError."""
    content = _read(path, ())
    if not any(content.get("launch", ())[:1]):
        raise UsageError(
            f'{path}: `launch` is missing; give the command that starts the ranks, such as launch = ["srun"].'
        )
    if content.get("collbench", ())[:1] == [""]:
        raise UsageError(f"{path}: the first word of `collbench` is empty; give a command, or omit it.")
    for pattern in content.get("keep", ()):
        if not any(fnmatchcase(name, pattern) for name in content.get("variables", {})):
            raise UsageError(f"{path}: keep = {pattern!r} fits none of the variables; correct it, or remove it.")
    return Profile(
        name=path.stem,
        about=content.get("about", ""),
        launch=tuple(content["launch"]),
        gpus_per_node=content.get("gpus_per_node", 0),
        ranks_per_node=content.get("ranks_per_node"),
        needs=tuple(content.get("needs", ())),
        before=tuple(content.get("before", ())),
        collbench=tuple(content.get("collbench", ())),
        slurm=_kept(content.get("slurm", {})),
        settings=tuple(_yielding(each, content.get("keep", ())) for each in content.get("variables", {}).values()),
        pbs=_kept(content["pbs"]) if "pbs" in content else None,
        unsettled=tuple(content.get("open", ())),
        limits=content.get("limits", ()),
    )


def _yielding(setting: Setting, patterns: Sequence[str]) -> Setting:
    """The setting, which gives way to the environment if its name fits one of the profile's patterns, such as FI_*."""
    fits = setting.value is not None and any(fnmatchcase(setting.name, pattern) for pattern in patterns)
    return replace(setting, keep=True) if fits else setting


def _kept(directives: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in directives.items() if value is not None}


def _read(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    """The content of a file merged with what it inherits by ``like``: tables are joined, all else is replaced."""
    content = _parsed(path)
    if "like" not in content:
        return content
    base = folder() / f"{pick('profile', content['like'], names())}.toml"
    if base.resolve() in (path.resolve(), *below):
        raise UsageError(f"{path}: like = {content['like']!r} is circular; inherit from another profile, or omit it.")
    above = _read(base, (*below, path.resolve()))
    other = {"pbs": "slurm", "slurm": "pbs"}
    above = {key: value for key, value in above.items() if other.get(key) not in content}  # of another system
    joined = {key: {**above.get(key, {}), **content.get(key, {})} for key in TABLES if key in above or key in content}
    return {**above, **content, **joined}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"profile {path} does not exist; known: {', '.join(names())}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"profile {path} cannot be read: {error}.") from None
    for key, value in content.items():
        _check(path, key, value)
    for name in content.get("needs", ()):
        pick(f"directive that {path} needs", name, ASKED)
    if "slurm" in content and "pbs" in content:
        raise UsageError(f"{path} has both [slurm] and [pbs]; keep the table of the system that runs its jobs.")
    for system in SYNTAX.keys() & content.keys():
        content[system] = {name: _directive(path, system, name, each) for name, each in content[system].items()}
    if "limits" in content:
        content["limits"] = limits.read(path, content["limits"])
    content["variables"] = {name: _setting(path, name, each) for name, each in content.get("variables", {}).items()}
    return content


def _check(path: Path, key: str, value: object) -> None:
    """Raise UsageError for a key that is unknown, or whose value is of another type or cannot be shown."""
    wanted = KEYS[pick(f"key in {path}", key, KEYS)]
    words = value if isinstance(value, list) and key != "limits" else []
    if type(value) is not wanted or not all(isinstance(word, str) for word in words):
        name = "a list of tables; write [[limits]]" if key == "limits" else TYPE_NAMES[wanted]
        raise UsageError(f"{path}: {key} = {value!r} is not {name}.")
    if isinstance(value, int) and value < LEAST[key]:
        raise UsageError(f"{path}: {key} = {value} is less than {LEAST[key]}.")
    for text in _texts(value):
        if not "".join(text.split()).isprintable():
            raise UsageError(f"{path}: {key} has {text!r}, with a non-printable character; remove it.")


def _texts(value: object) -> Iterator[str]:
    """All strings in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.items() for part in each for text in _texts(part))
    elif isinstance(value, list):
        yield from (text for each in value for text in _texts(each))


def _directive(path: Path, system: str, name: str, value: object) -> str | None:
    """The value of a directive: "" for a flag, None to drop an inherited directive. Raises UsageError."""
    pattern, what = SYNTAX[system]
    if not re.fullmatch(pattern, name):
        raise UsageError(f"{path}: {name!r} is not {what}.")
    if system == "slurm" and name in ("cluster", "clusters"):
        raise UsageError(
            f"{path}: {name} affects only sbatch; export SLURM_CLUSTERS, which all of Slurm's commands read."
        )
    if name in OWN[system]:
        raise UsageError(f"{path}: {name} is set by collbench for each job; {OWN[system][name]}.")
    if isinstance(value, dict | list):
        raise UsageError(f"{path}: {name} = {value!r} is not one value.")
    if isinstance(value, bool):
        return "" if value else None
    return str(value)


def _setting(path: Path, name: str, content: object) -> Setting:
    where = f"{path}: variable {name}"
    if not _VARIABLE.fullmatch(name):
        raise UsageError(f"{where} is not a valid name; use letters, digits and underscores.")
    if name.islower():
        raise UsageError(f"{where}: names in lower case are those of the script itself; export it in `before`.")
    if not isinstance(content, dict) or not content.keys() >= {"value", "why", "source", "confirmed"}:
        raise UsageError(f"{where}: give value, why, source and confirmed.")
    for key, value in content.items():
        wanted: type = SETTING_KEYS[pick(f"key in {where}", key, SETTING_KEYS)]
        if not isinstance(value, wanted) and not (key == "value" and value is False):
            raise UsageError(f"{where}: {key} = {value!r} is not {TYPE_NAMES[wanted]}; write numbers as strings.")
    place = pick(f"place of {where}", content.get("where", "anywhere"), PLACES)
    value = None if content["value"] is False else content["value"]
    keep, elsewhere = content.get("keep", False), content.get("elsewhere", True)
    if "elsewhere" in content and (elsewhere or place == PLACES[0]):
        raise UsageError(f"{where}: `elsewhere` can only be false, beside `where`; it unsets the variable; or omit it.")
    if keep and value is None:
        raise UsageError(f"{where}: keep = true and value = false contradict each other; omit one of them.")
    return Setting(name, value, content["why"], content["source"], content["confirmed"], place, keep, not elsewhere)
