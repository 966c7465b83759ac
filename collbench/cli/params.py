"""Parsers of option values, and the options that several commands share; imports nothing heavy, so that --help is
quick."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from collbench.cli.groups import Group
from collbench.errors import UsageError, pick
from collbench.plan.collectives import COLLECTIVES, OPS
from collbench.plan.dtypes import ALIASES, DTYPES
from collbench.plan.layout import parse_layout
from collbench.plan.rms_norm import CELL_ELEMENTS, DEFAULT_HIDDEN, MOST_HIDDEN
from collbench.plan.sizes import DEFAULT_SIZES, parse_size, parse_sizes
from collbench.plan.variants import Variant, parse_variant
from collbench.plan.worlds import Topology

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
NO_ALIASES: Mapping[str, str] = MappingProxyType({})
if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # takes no parameter before click 8.4


def backend_names() -> list[str]:
    """Names of all backends."""
    from collbench.registry import names

    return names()


class Parsed(_ParamType):
    """A parameter type whose values ``parse`` reads from text; reports UsageError as click's own error."""

    def __init__(self, name: str, parse: Callable[[str], Any], known: Callable[[], Sequence[str]] = tuple) -> None:
        self.name, self._parse, self._known = name, parse, known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except UsageError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        *before, last = incomplete.split(",")
        head = "".join(f"{part}," for part in before)
        return [CompletionItem(head + name) for name in self._known() if name.startswith(last)]


def complete_backend(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shell completion of a backend name."""
    return [CompletionItem(name) for name in backend_names() if name.startswith(incomplete)]


def names(what: str, known: Callable[[], Sequence[str]], aliases: Mapping[str, str] = NO_ALIASES) -> Parsed:
    """A parameter type for a comma-separated list of ``known`` names, or of ``aliases`` for them."""

    def parse(text: str) -> tuple[str, ...]:
        parts = [part.strip() for part in text.split(",")]
        return tuple(dict.fromkeys(pick(what, aliases.get(part, part), known()) for part in parts))

    return Parsed(f"{what},...", parse, known)


def backend_spec(text: str) -> str:
    """Check a backend's name, with or without label and parameters (``NAME@LABEL:KEY=VALUE:...``), and return it with
    a git revision as its commit. Raises UsageError; a rank gives an unknown commit its rows instead, since the command
    that started it may have known the commit."""
    from collbench.backends._specs import split
    from collbench.ranks.start import launch_of
    from collbench.registry import Unusable, canonical, find

    parts = split(text)
    pick("backend", parts.name, backend_names())
    try:
        return canonical(text)
    except UsageError:
        if launch_of(os.environ) and _COMMIT.fullmatch(parts.label) and isinstance(find(text), Unusable):
            return text
        raise


def canonical_words(words: Sequence[str]) -> list[str]:
    """The words of a command line, with each value of --backend as ``backend_spec`` gives it: ranks and jobs that start
    later then take the revisions of now."""
    return reworded(words, "--backend", lambda text: ",".join(_backends(text)))


def reworded(words: Sequence[str], option: str, change: Callable[[str], str]) -> list[str]:
    """The words of a command line, with each value of ``option`` changed."""
    found = list(words)
    for at, word in enumerate(words):
        if at and words[at - 1] == option:
            found[at] = change(word)
        elif word.startswith(f"{option}="):
            found[at] = f"{option}={change(word.partition('=')[2])}"
    return found


def _backends(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(backend_spec(part.strip()) for part in text.split(",")))


def _variant(text: str) -> Variant:
    found = parse_variant(text)
    backend_spec(found.backend)
    return found


def _counts(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    bad = next((part for part in parts if not re.fullmatch(r"0*[1-9]\d{0,17}", part)), None)
    if bad is not None:
        raise UsageError(f"{bad!r} is not a count; write positive whole numbers such as 2,4,8.")
    return tuple(dict.fromkeys(map(int, parts)))


def _hidden(text: str) -> tuple[int, ...]:
    found = _counts(text)
    bad = next((each for each in found if each % CELL_ELEMENTS or each > MOST_HIDDEN), None)
    if bad is not None:
        raise UsageError(f"a row of {bad} is not a multiple of {CELL_ELEMENTS} up to {MOST_HIDDEN} elements.")
    return found


def hidden_for(collectives: Sequence[str], given: tuple[int, ...] | None) -> tuple[int, ...]:
    """The lengths of rows of a sweep of these collectives, () for the default and where none has rows. Raises
    UsageError for lengths that none of them has."""
    if given and not any(COLLECTIVES[name].normalises for name in collectives):
        having = ", ".join(name for name, each in COLLECTIVES.items() if each.normalises)
        raise UsageError(f"--hidden is for {having}; add it to --collective, or omit --hidden.")
    return given or ()


def _layouts(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(dict.fromkeys(parse_layout(part) for part in text.split(",")))


def _condition(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"{text!r} is not a condition; write COLUMN=VALUE, for example mode=chain.")
    return name.strip(), value.strip()


def _margin(text: str) -> float:
    """A relative change from ``2%`` or ``0.02``."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        raise UsageError(f"{text!r} is not a margin; write a percentage such as 2%.") from None
    if not percent and 1 <= value < math.inf:
        raise UsageError(f"a margin of {text} would be {100 * value:g}%; write {text}%, or a fraction such as 0.02.")
    if not 0 < value <= 10:
        raise UsageError(f"a margin of {text} is not above 0 and at most 1000%; write one such as 2%.")
    return value


def results_file(output: Path | None, force: bool, resume: bool) -> Path | None:
    """The results file of ``-o``, if given, without symlinks. Raises UsageError for options that contradict each other,
    and for a name that no results file has."""
    from collbench.results.files import check_name

    if resume and output is None:
        raise UsageError("--resume continues a results file; name it with -o.")
    if resume and force:
        raise UsageError("--resume continues a file and --force replaces it; give one of them.")
    if output is None:
        return None
    check_name(output)
    return Path(os.path.realpath(output)) if output.is_symlink() else output


COUNTS = Parsed("N,...", _counts)
HIDDEN = Parsed("N,...", _hidden)
SIZE = Parsed("size", parse_size)
SIZES = Parsed("sizes", parse_sizes)
BACKENDS = Parsed("backend,...", _backends, backend_names)
VARIANT = Parsed("LABEL='BACKEND VARIABLE=VALUE ...'", _variant)
MARGIN = Parsed("percent", _margin)


class Seconds(click.FloatRange):
    """A positive, finite number."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return number


POSITIVE = Seconds()

only = click.option(
    "--only",
    multiple=True,
    type=Parsed("COLUMN=VALUE", _condition),
    help="Select rows with this value. Repeatable: values of one column are alternatives, columns must all match.",
)
sizes = click.option(
    "--sizes", type=SIZES, help=f"Sizes: 4K:64M, 4K:64M:x4, 1M:8M:+1M or 8,4K,1.5M.  [default: {DEFAULT_SIZES}]"
)
dtype = click.option(
    "--dtype",
    type=names("dtype", lambda: list(DTYPES), ALIASES),
    help=f"Element types: {', '.join(DTYPES)}.  [default: bfloat16 on GPUs and where rows are normalised, else "
    "float32]",
)
variant = click.option(
    "--variant",
    multiple=True,
    type=VARIANT,
    help="Also time a backend under these environment "
    "variables, as BACKEND@LABEL, in processes of its own in every launch. Repeatable.",
)
op = click.option(
    "--op", default="sum", show_default=True, type=names("op", lambda: OPS), help=f"Reductions: {', '.join(OPS)}."
)
hidden = click.option(
    "--hidden",
    type=HIDDEN,
    help=f"Elements in a row, of all_reduce_rms_norm: multiples of {CELL_ELEMENTS} up to {MOST_HIDDEN}.  "
    f"[default: {DEFAULT_HIDDEN}]",
)


@dataclass(frozen=True)
class WorldOptions:
    """The options that select worlds; () for those not given."""

    ranks: tuple[int, ...]
    gpus: tuple[int, ...]
    nodes: tuple[int, ...]
    layout: tuple[tuple[int, int], ...]

    @property
    def topology(self) -> Topology:
        """The requested worlds. Raises UsageError for options that contradict each other."""
        if self.gpus and self.ranks:
            raise UsageError("--gpus and --ranks both set the world size; give one of them.")
        if self.layout and self.nodes:
            raise UsageError("--layout and --nodes both set the nodes; give one of them.")
        return Topology(self.ranks or self.gpus, self.nodes, self.layout, on_gpus=bool(self.gpus))

    @property
    def pairs(self) -> Topology:
        """Every pair of hosts. Raises UsageError for options that ask for other worlds."""
        given = {"--ranks": self.ranks, "--gpus": self.gpus, "--nodes": self.nodes, "--layout": self.layout}
        other = next((name for name, value in given.items() if value), None)
        if other:
            raise UsageError(f"--pairs takes all ranks of two hosts at a time; omit {other}.")
        return Topology(pairs=True)


@dataclass(frozen=True)
class OrderingOptions:
    """The seed of all random orders, and the timeout of a job in seconds."""

    seed: int
    timeout: float


worlds = Group("worlds", WorldOptions, [
    click.option("--ranks", default=(), type=COUNTS, help="World sizes, in ranks.  [default: all ranks]"),
    click.option("--gpus", default=(), type=COUNTS, help="World sizes, in GPUs; one rank per GPU."),
    click.option("--nodes", default=(), type=COUNTS, help="Node counts of the worlds.  [default: as many as needed]"),
    click.option("--layout", default=(), type=Parsed("NxG", _layouts), metavar="NxG,...",
                 help="Worlds of N nodes with G ranks each; the nodes are virtual on a single host."),
])  # fmt: skip
timeout = click.option("--timeout", default=120.0, show_default=True, type=POSITIVE,
                       help="Seconds without progress after which the job ends.")  # fmt: skip
ordering = Group("ordering", OrderingOptions, [
    click.option("--seed", default=1, show_default=True, type=int, help="Random seed for the order of cases."),
    timeout,
])  # fmt: skip
