"""Options of ``sweep`` and how their texts become values; imports nothing heavy, so that --help is quick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from collbench.errors import UsageError, pick
from collbench.plan.collectives import COLLECTIVES, OPS
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import parse_layout
from collbench.plan.problem import CACHES, MODES
from collbench.plan.sizes import DEFAULT_SIZES, parse_size, parse_sizes


def backend_names() -> list[str]:
    """Names of all backends."""
    from collbench.registry import names

    return names()


class Parsed(click.ParamType[Any]):
    """A text that ``parse`` turns into a value; UsageError becomes click's own error."""

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
    """Completion of one backend name."""
    return [CompletionItem(name) for name in backend_names() if name.startswith(incomplete)]


def names(what: str, known: Callable[[], Sequence[str]]) -> Parsed:
    """The type of an option that takes some of the ``known`` names, joined by commas."""

    def parse(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(pick(what, part.strip(), known()) for part in text.split(",")))

    return Parsed(f"{what},...", parse, known)


def backend_spec(text: str) -> str:
    """A backend's name, or its name with parameters (``NAME:KEY=VALUE:...``); UsageError where there is none."""
    from collbench.backends._specs import split

    pick("backend", split(text)[0], backend_names())
    return text


def _backends(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(backend_spec(part.strip()) for part in text.split(",")))


def _counts(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    bad = next((part for part in parts if not part.isdecimal() or int(part) == 0), None)
    if bad is not None:
        raise UsageError(f"{bad!r} is not a count; write positive whole numbers such as 2,4,8.")
    return tuple(dict.fromkeys(map(int, parts)))


def _layouts(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(dict.fromkeys(parse_layout(part) for part in text.split(",")))


@dataclass(frozen=True)
class Given:
    """The options of ``sweep`` as they were given; None where nothing was."""

    collective: tuple[str, ...]
    sizes: tuple[int, ...] | None
    begin: int | None
    end: int | None
    factor: int | None
    step: int | None
    backend: tuple[str, ...] | None
    contests: Path | None
    dtype: tuple[str, ...] | None
    op: tuple[str, ...]
    mode: tuple[str, ...]
    cache: tuple[str, ...]
    in_place: bool
    ranks: tuple[int, ...]
    gpus: tuple[int, ...]
    nodes: tuple[int, ...]
    layout: tuple[tuple[int, int], ...]
    warmup: int
    samples: int | None
    max_seconds: float
    launches: int
    seed: int
    timeout: float
    verify: bool
    phases: bool
    output: Path | None
    force: bool
    resume: bool
    as_json: bool
    dry_run: bool


def _condition(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"{text!r} is no condition; write COLUMN=VALUE, for example mode=chain.")
    return name.strip(), value.strip()


ONLY = click.option(
    "--only",
    multiple=True,
    type=Parsed("COLUMN=VALUE", _condition),
    help="Only rows with this value; may be repeated: several values of one column are alternatives.",
)
COUNTS = Parsed("N,...", _counts)
_SIZE = Parsed("size", parse_size)
POSITIVE = click.FloatRange(min=0, min_open=True)
BACKENDS = Parsed("backend,...", _backends, backend_names)

SIZES = click.option(
    "--sizes",
    type=Parsed("sizes", parse_sizes),
    help=f"4K:64M, 4K:64M:x4, 1M:8M:+1M, 8,4K,1.5M.  [default: {DEFAULT_SIZES}]",
)
DTYPE = click.option(
    "--dtype",
    type=names("dtype", lambda: list(DTYPES)),
    help=f"Element types: {', '.join(DTYPES)}.  [default: bfloat16 on GPUs, float32 on CPU ranks]",
)
OP = click.option(
    "--op", default="sum", show_default=True, type=names("op", lambda: OPS), help=f"Reductions: {', '.join(OPS)}."
)
WORLDS: list[Callable[[Any], Any]] = [
    click.option("--ranks", default=(), type=COUNTS, help="World sizes.  [default: all ranks]"),
    click.option("--gpus", default=(), type=COUNTS, help="The same, where every rank has a GPU."),
    click.option("--nodes", default=(), type=COUNTS, help="Node counts to sweep.  [default: as many as needed]"),
    click.option("--layout", default=(), type=Parsed("NxG", _layouts), help="N nodes of G ranks; virtual where a host "
                 "has them all."),
]  # fmt: skip
ORDER: list[Callable[[Any], Any]] = [
    click.option("--seed", default=1, show_default=True, type=int, help="Of the order of cases."),
    click.option("--timeout", default=120.0, show_default=True, type=POSITIVE,
                 help="Seconds without progress that end the job."),
]  # fmt: skip

SWEEP: list[Callable[[Any], Any]] = [
    click.option("--collective", default="all_reduce", show_default=True, help="What to time.",
                 type=names("collective", lambda: list(COLLECTIVES))),
    SIZES,
    click.option("-b", "begin", type=_SIZE, help="First size, as in nccl-tests."),
    click.option("-e", "end", type=_SIZE, help="Last size, as in nccl-tests."),
    click.option("-f", "factor", type=click.IntRange(min=2), help="Factor between sizes, as in nccl-tests."),
    click.option("-i", "step", type=_SIZE, help="Bytes between sizes, as in nccl-tests."),
    click.option("--backend", type=BACKENDS, help="Who is timed: names, with parameters where one takes some "
                 "(NAME:KEY=VALUE:...).  [default: all that can run here: on GPUs where there are some, else on CPU "
                 "ranks]"),
    click.option("--contests", hidden=True, type=click.Path(path_type=Path, dir_okay=False),
                 help="Who is timed on what, instead of --backend: a file that tune wrote."),
    DTYPE,
    OP,
    click.option("--mode", default="chain", show_default=True, type=names("mode", lambda: MODES),
                 help="isolated: one call at a time; chain: a graph of calls; throughput: calls back to back."),
    click.option("--cache", default="hot", show_default=True, type=names("cache", lambda: CACHES),
                 help="hot: buffers stay in the cache; cold: none was touched before."),
    click.option("--in-place", is_flag=True, help="Output over input."),
    *WORLDS,
    click.option("--warmup", default=10, show_default=True, type=click.IntRange(min=0),
                 help="Calls before timing, at least."),
    click.option("--samples", type=click.IntRange(min=1), help="Samples a case.  [default: until the median is known "
                 "within 1 %]"),
    click.option("--max-seconds", default=1.0, show_default=True, type=POSITIVE, help="Cap for timing one case."),
    click.option("--launches", default=1, show_default=True, type=click.IntRange(min=1),
                 help="Fresh launches, one file."),
    *ORDER,
    click.option("--verify/--no-verify", default=True, help="Prove every answer.  [default: verify]"),
    click.option("--phases", is_flag=True, help="Also time the phases of kernels that tell them, into params."),
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Results file.  "
                 "[default: results/<time>-<machine>-<ranks>r.csv]"),
    click.option("--force", is_flag=True, help="Replace the results file."),
    click.option("--resume", is_flag=True, help="Go on with the results file: finished cases are not run again."),
    click.option("--json", "as_json", is_flag=True, help="Rows as JSON on stdout instead of the table."),
    click.option("--dry-run", is_flag=True, help="Print the cases and run nothing."),
]  # fmt: skip


def sizes_of(given: Given) -> tuple[int, ...]:
    """Sizes from ``--sizes``, or from ``-b -e -f -i`` with the meaning and the defaults of nccl-tests."""
    flags = (given.begin, given.end, given.factor, given.step)
    if all(flag is None for flag in flags):
        return given.sizes or parse_sizes(DEFAULT_SIZES)
    if given.sizes:
        raise UsageError("--sizes and -b/-e/-f/-i say the same thing twice; give one of them.")
    begin = given.begin or 32 << 20
    end = given.end or begin
    if begin > end:
        raise UsageError(f"-b {begin} is above -e {end}; swap them.")
    step = f"x{given.factor}" if given.factor else f"+{given.step or 1 << 20}"
    return parse_sizes(f"{begin}:{end}:{step}")
