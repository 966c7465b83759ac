"""What a cluster needs of a job: one TOML file each in ``jobs/``, or the user's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collbench.errors import UsageError, pick
from collbench.host.shipped import shipped

PLACES = ("anywhere", "one node", "several nodes")
KEYS: dict[str, type] = {
    "about": str, "like": str, "gpus_per_node": int, "ranks_per_node": int, "needs": list, "before": list,
    "launch": list, "collbench": list, "slurm": dict, "variables": dict,
}  # fmt: skip
SETTING_KEYS: dict[str, type] = {"value": str, "why": str, "source": str, "confirmed": bool, "where": str}
ASKED = ("time", "account", "qos", "partition")  # what a user may say of a job
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_DIRECTIVE = re.compile(r"[a-z][a-z-]*")


@dataclass(frozen=True)
class Setting:
    """An environment variable of the job: its value (None: it must not be set), why, and where that is from.

    ``confirmed`` says that the source is a document of the vendor, the site or the library, not somebody's script.
    ``where`` is one of PLACES.
    """

    name: str
    value: str | None
    why: str
    source: str
    confirmed: bool
    where: str = "anywhere"

    def applies(self, nodes: int) -> bool:
        """Whether a job on that many nodes sets it."""
        return self.where == "anywhere" or (self.where == "one node") == (nodes == 1)


@dataclass(frozen=True)
class Profile:
    """A cluster: how jobs are asked for (``slurm``: directives by name), what runs first (``before``: lines of shell),
    what starts the ranks (``launch``: words), and what collbench is there (``collbench``: words; () is this Python).

    ``needs`` are directives that only the user knows. In ``slurm``, {gpus} stands for the GPUs of a node; such a
    directive is left out where there are none.
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


def folder() -> Path:
    """Where our profiles and the template are."""
    return shipped("jobs")


def names() -> list[str]:
    """Profiles that we have."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def find(name: str) -> Profile:
    """The profile of that name, or in the file of that name; UsageError with what is wrong otherwise."""
    if name.endswith(".toml") or "/" in name:
        return load(Path(name))
    return load(folder() / f"{pick('profile', name, names())}.toml")


def load(path: Path) -> Profile:
    """The profile in a file, with all that it takes over from the one that it is ``like``."""
    content = _read(path, ())
    if not content.get("launch"):
        raise UsageError(f'{path}: no `launch`, the words that start the ranks; for example launch = ["srun"].')
    return Profile(
        name=path.stem,
        about=content.get("about", ""),
        launch=tuple(content["launch"]),
        gpus_per_node=content.get("gpus_per_node", 0),
        ranks_per_node=content.get("ranks_per_node"),
        needs=tuple(content.get("needs", ())),
        before=tuple(content.get("before", ())),
        collbench=tuple(content.get("collbench", ())),
        slurm={name: value for name, value in content.get("slurm", {}).items() if value is not None},
        settings=tuple(content.get("variables", {}).values()),
    )


def _read(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says, over what the file says that it is ``like``. Tables are joined, all else is replaced."""
    content = _parsed(path)
    if "like" not in content:
        return content
    base = folder() / f"{pick('profile', content['like'], names())}.toml"
    if base.resolve() in (path.resolve(), *below):
        raise UsageError(f"{path}: like = {content['like']!r} leads back to itself.")
    above = _read(base, (*below, path.resolve()))
    joined = {key: {**above.get(key, {}), **content.get(key, {})} for key in ("slurm", "variables")}
    return {**above, **content, **joined}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"profile {path} does not exist; known: {', '.join(names())}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"profile {path} cannot be read: {error}.") from None
    for key, value in content.items():
        wanted = KEYS[pick(f"key in {path}", key, KEYS)]
        if not isinstance(value, wanted) or (isinstance(value, list) and not all(isinstance(x, str) for x in value)):
            kind = "a list of texts" if wanted is list else wanted.__name__
            raise UsageError(f"{path}: {key} = {value!r} is not {kind}.")
    for name in content.get("needs", ()):
        pick(f"directive that {path} needs", name, ASKED)
    content["slurm"] = {name: _directive(path, name, value) for name, value in content.get("slurm", {}).items()}
    content["variables"] = {name: _setting(path, name, told) for name, told in content.get("variables", {}).items()}
    return content


def _directive(path: Path, name: str, value: object) -> str | None:
    """A directive's value, "" for a flag, None where it is not to be given though the profile above gives it."""
    if not _DIRECTIVE.fullmatch(name):
        raise UsageError(f"{path}: {name!r} is no long option of sbatch.")
    if name in ("cluster", "clusters"):
        raise UsageError(
            f"{path}: {name} is for sbatch alone; export SLURM_CLUSTERS, which all of Slurm's commands read."
        )
    if isinstance(value, bool):
        return "" if value else None
    return str(value)


def _setting(path: Path, name: str, told: object) -> Setting:
    where = f"{path}: variable {name}"
    if not _VARIABLE.fullmatch(name):
        raise UsageError(f"{where}: no name for a variable.")
    if not isinstance(told, dict) or not told.keys() >= {"value", "why", "source", "confirmed"}:
        raise UsageError(f"{where}: give value, why, source and confirmed.")
    for key, value in told.items():
        wanted: type = SETTING_KEYS[pick(f"key in {where}", key, SETTING_KEYS)]
        if not isinstance(value, wanted) and not (key == "value" and value is False):
            raise UsageError(f"{where}: {key} = {value!r} is not {wanted.__name__}; numbers are written as texts.")
    place = pick(f"place of {where}", told.get("where", "anywhere"), PLACES)
    value = None if told["value"] is False else told["value"]
    return Setting(name, value, told["why"], told["source"], told["confirmed"], place)
