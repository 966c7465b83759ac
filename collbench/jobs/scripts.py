"""Job scripts: the template filled in from a profile and a sweep, with every value quoted."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from collbench.batch.job import Job, checked, with_numbers
from collbench.batch.known import SYSTEMS
from collbench.errors import UsageError
from collbench.jobs import profiles
from collbench.jobs.profiles import Profile, Setting

TEMPLATE = "job.sh"
_HOLE = re.compile(r"@([a-z]+)@")


def comment(text: str) -> str:
    """The text as comment lines of a script, wrapped at 118 columns."""
    return "\n".join(textwrap.wrap(checked(" ".join(text.split())), 118, initial_indent="# ", subsequent_indent="# "))


def words(values: Sequence[str]) -> str:
    """The values as elements of a shell array; those with a comma are quoted as well, for the reader and shellcheck."""
    quoted = [(checked(value), shlex.quote(value)) for value in values]
    return " ".join(f"'{value}'" if value == text and "," in value else text for value, text in quoted)


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
    system, site = SYSTEMS[profile.system], profile.site
    missing = [name for name in profile.needs if not job.asked.get(name) and not site.get(system.DIRECTIVES[name])]
    if missing:
        raise UsageError(f"profile {profile.name} needs --{missing[0]}; add it.")
    settings = _settings(job, profile)
    each = "node" if job.nodes == 1 else "nodes"
    filled = {
        "title": comment(f"{job.nodes} {each} of {profile.name}: {profile.about}"),
        "submit": system.SUBMIT,
        "directives": "\n".join(system.directives(job, site)),
        **system.shell(job),
        "before": "\n".join(profile.before) or "# (nothing)",
        "variables": "\n".join(map(_variable, settings)) or "# (nothing)",
        "names": " ".join(setting.name for setting in settings),
        "part": job.part,
        "launch": words([with_numbers(word, job) for word in profile.launch]),
        "collbench": words(profile.collbench or (sys.executable, "-P", "-m", "collbench")),
        "command": "check" if job.check else "sweep",
        "options": words(job.sweep if job.check else (*job.sweep, "--launches", str(job.launches))),
        "starts": str((job.check or job.launches) * job.legs),
    }
    template = (profiles.folder() / TEMPLATE).read_text(encoding="utf-8")
    return _HOLE.sub(lambda hole: filled[hole[1]], template)
