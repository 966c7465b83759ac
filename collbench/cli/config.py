"""The options ``--config`` and ``--set`` of ``sweep`` and ``submit``: words on the command line replace a file's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import click

from collbench.cli import config_file
from collbench.cli.config_file import File
from collbench.cli.params import Parsed
from collbench.errors import UsageError
from collbench.plan.origin import Origin, parse_origin

_FILE, _ORIGIN, _WORDS = "collbench.file", "collbench.origin", "collbench.words"  # keys in the meta of a context
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _note_origin(context: click.Context, _: click.Parameter, value: Origin | None) -> None:
    if value is not None:
        context.meta[_ORIGIN] = value


config_option: Decorator = click.option(
    "--config", metavar="FILE", type=click.Path(dir_okay=False), expose_value=False,
    help="TOML file with options of sweep by their long names; options given here replace them.",
)  # fmt: skip
set_option: Decorator = click.option(
    "--set", "set_name", metavar="NAME", expose_value=False, help="With --config: also the options in its table NAME."
)
# For the ranks and the jobs of a command with --config: they get the options of the file as words.
origin_option: Decorator = click.option(
    "--configured-by", hidden=True, expose_value=False, callback=_note_origin, type=Parsed("origin", parse_origin)
)


class Configured(click.Command):
    """A command with ``config_option`` and ``set_option``, for a file with options of the command ``file_of``, by
    default its own. The file's values are the defaults of those options that this command has."""

    def __init__(self, *arguments: Any, file_of: click.Command | None = None, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._file_of = file_of or self

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words with the options of the file as defaults. Raises UsageError for an invalid file."""
        given = _given(self, ctx, args)
        ctx.meta[_WORDS] = tuple(args)
        asked = self.get_help_option(ctx)
        if ctx.resilient_parsing or (asked and asked.name in given):  # completion and help read no file
            return super().parse_args(ctx, args)
        if "set_name" in given and "config" not in given:
            raise UsageError("--set names a set of a file; give the file with --config.")
        if "config" in given:
            file = config_file.read(ctx, given["config"], given.get("set_name"), self._file_of)
            ctx.meta.update({_FILE: file, _ORIGIN: file.origin})
            own = {parameter.name for parameter in self.params}
            values = config_file.under(file.values, given)
            ctx.default_map = {name: value for name, value in values.items() if name in own}
        return super().parse_args(ctx, args)


def origin_of(context: click.Context) -> Origin | None:
    """Where options of the command came from, None without a file."""
    origin: Origin | None = context.meta.get(_ORIGIN)
    return origin


def resolved(context: click.Context) -> list[str]:
    """The words of a `Configured` command, with the options of its file in place of the file."""
    words = _without(context.meta[_WORDS], ("--config", "--set", "--configured-by"))
    return resolved_for(context, context.command, words)


def resolved_for(context: click.Context, command: click.Command, words: Sequence[str]) -> list[str]:
    """The ``words`` for ``command``, after the options of the file but those that the command of ``context`` takes
    itself, if it is another one."""
    file: File | None = context.meta.get(_FILE)
    if file is None:
        return list(words)
    taken = {parameter.name for parameter in context.command.params} if command is not context.command else set()
    kept = config_file.under(file.values, _given(command, context, words))
    values = {name: value for name, value in kept.items() if name not in taken}
    return [*config_file.words_of(command, values), *words]


def _given(command: click.Command, context: click.Context, words: Iterable[str]) -> Mapping[str, Any]:
    """The options among the words, unparsed, by the names of their parameters."""
    found: Mapping[str, Any] = command.make_parser(context).parse_args(list(words))[0]
    return found


def _without(words: Iterable[str], options: Collection[str]) -> list[str]:
    """The words without these options and their values."""
    left, found = iter(words), []
    for word in left:
        if word in options:
            next(left)
        elif word.partition("=")[0] not in options:
            found.append(word)
    return found
