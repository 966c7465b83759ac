"""A configuration file: options of a command in TOML, by their long names, with tables as named sets.

Options of the chosen set replace those above the tables. Whatever stands above others replaces the same options there,
and those that cannot be given with it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from collbench.cli.params import Parsed
from collbench.cli.workloads import REPLACED
from collbench.errors import UsageError, pick
from collbench.plan.origin import Origin

# Options by the names of their parameters: one of the left cannot be given with one of the right.
RIVALS: Sequence[tuple[Collection[str], Collection[str]]] = (
    (("sizes",), ("begin", "end", "factor", "step")),
    (("ranks",), ("gpus",)),
    (("nodes",), ("layout",)),
    (("pairs",), ("ranks", "gpus", "nodes", "layout", "skew")),
    (("specs",), REPLACED),
    (("force",), ("resume",)),
    (("as_json",), ("markdown", "latex")),
    (("markdown",), ("latex",)),
)
_SET = re.compile(r"[A-Za-z0-9_-]+")
Values = Mapping[str, Any]  # by the names of parameters


@dataclass(frozen=True)
class File:
    """The options of the chosen set and of those above the sets, and what a sidecar records of the file."""

    values: Values
    origin: Origin


def read(context: click.Context, path: str, name: str | None, command: click.Command) -> File:
    """The file at ``path`` with its set ``name``, None for no set, as options of ``command``.

    Raises UsageError, which names the file and the key at fault, also for what is wrong in another set.
    """
    raw, content = _content(path)
    options = options_of(command)
    above = {key: value for key, value in content.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    common = _checked(path, above, options)
    sets = {key: _checked(_place(path, key), table, options) for key, table in tables.items()}
    if name is not None and not sets:
        raise UsageError(f"{path} has no sets; add a table [{name}], or omit --set.")
    chosen = {} if name is None else sets[pick(f"set of {path}", name, sets)]
    for place, values in ((path, common), (f"{path}, set {name}", chosen)):
        _convert(context, place, values, options)
    values = {key: value for key, value in {**under(common, chosen), **chosen}.items() if value != []}
    return File(values, Origin(path, hashlib.sha256(raw).hexdigest(), name or ""))


def under(below: Values, above: Values) -> dict[str, Any]:
    """The options ``below`` that are neither in ``above`` nor rivals of one that is on there."""
    on = {name for name, value in above.items() if value not in (False, [])}
    gone = set(above)
    for one, other in RIVALS:
        gone.update(other if on.intersection(one) else ())
        gone.update(one if on.intersection(other) else ())
    return {name: value for name, value in below.items() if name not in gone}


def words_of(command: click.Command, values: Values) -> list[str]:
    """Options of a file as words of a command line, in the order of the command's help."""
    named = [(key, option, values[option.name or ""]) for key, option in options_of(command).items()
             if option.name in values]  # fmt: skip
    return [word for each in named for word in _words(*each)]


def _words(key: str, option: click.Option, value: Any) -> list[str]:
    if option.is_flag:
        return [f"--{key}"] if value else option.secondary_opts[:1]
    values = value if option.multiple else [value]
    return [word for each in values for word in (f"--{key}", str(each))]


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options of a command that a file may set, by their long names."""
    found = (each for each in command.params if isinstance(each, click.Option) and not each.hidden)
    named = {next(name[2:] for name in each.opts if name.startswith("--")): each for each in found}
    return {name: each for name, each in named.items() if name not in ("config", "set")}


def _content(path: str) -> tuple[bytes, dict[str, Any]]:
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
        return raw, tomllib.loads(raw.decode("utf-8-sig"))  # Windows begins text with a mark
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give a TOML file with options of sweep.") from None
    except ValueError as error:  # of UTF-8 or of TOML
        raise UsageError(f"{path} is not TOML: {error}.") from None


def _place(path: str, name: str) -> str:
    """How errors name a set. Raises UsageError for a name that TOML would quote."""
    if not _SET.fullmatch(name):
        raise UsageError(f"{path}: {name!r} is not a name of a set; use letters, digits, - and _.")
    return f"{path}, set {name}"


def _checked(place: str, table: Mapping[str, Any], options: Mapping[str, click.Option]) -> dict[str, Any]:
    """The values of a table by the names of parameters. Raises UsageError for other keys and other types."""
    found = {}
    for key, value in table.items():
        option = options[pick(f"option in {place}:", key, options)]
        found[option.name or ""] = _value(f"{place}: {key} = {_shown(value)}", option, value)
    return found


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _value(what: str, option: click.Option, value: Any) -> Any:
    """The value, [] for an empty list; a list is joined by commas unless the option is repeated for each element."""
    if option.is_flag:
        return _typed(what, value, (bool,), "true or false")
    if isinstance(option.type, click.types.IntParamType):
        return _typed(what, value, (int,), "a whole number")
    if isinstance(option.type, click.types.FloatParamType):
        return _typed(what, value, (int, float), "a number")
    if not isinstance(option.type, Parsed):
        return _typed(what, value, (str,), "a string")
    wanted = "a string, a whole number, or a list of them"
    parts = value if isinstance(value, list) else [value]
    texts = [str(_typed(what, part, (str, int), wanted)) for part in parts]
    return texts if option.multiple or not texts else ",".join(texts)


def _typed(what: str, value: Any, types: tuple[type, ...], wanted: str) -> Any:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise UsageError(f"{what} is not {wanted}.")
    return value


def _convert(context: click.Context, place: str, values: Values, options: Mapping[str, click.Option]) -> None:
    """Raise UsageError for a value that its option refuses."""
    for key, option in options.items():
        value = values.get(option.name or "", [])
        try:
            if value != []:
                option.type_cast_value(context, value)
        except click.UsageError as error:
            raise UsageError(f"{place}: {key} = {_shown(value)}: {error.message}") from None
