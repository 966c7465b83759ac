"""Reads the declarations in the header block of a kernel file, without a compiler.

The first comment of a kernel file is its header: ``/* collbench``, lines of TOML, ``*/``.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from collbench.errors import UsageError, pick
from collbench.kernels.formula import at, value
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES

# P ranks, G ranks on each of N nodes, S message bytes. Formulas tend to fail for one node and for one rank per node.
SAMPLES: tuple[Mapping[str, float], ...] = (
    {"P": 8, "G": 8, "N": 1, "S": 4096},
    {"P": 3, "G": 1, "N": 3, "S": 4096},
    {"P": 24, "G": 4, "N": 6, "S": 1 << 26},
)
CHOICES = {
    "collective": ("all_reduce", "reduce_scatter", "all_gather", "all_reduce_rms_norm"),
    "dtypes": tuple(DTYPES),
    "ops": ("sum", "min", "max"),
    "order": ("flat", "nodes", "nvrar"),
    "nodes": ("one", "any"),
    "cell": ("ll", "lamport"),
}
OF_ROWS = {"order": ("flat", "nvrar"), "cell": ("lamport",)}  # the choices where rows are normalised
# Keywords of C++17, with - for _: a phase becomes an enumerator in the kernel's source.
_KEYWORD = re.compile(
    "and|and-eq|asm|auto|bitand|bitor|bool|break|case|catch|char|class|compl|const|const-cast|constexpr|continue|"
    "decltype|default|delete|do|double|dynamic-cast|else|enum|explicit|export|extern|false|float|for|friend|goto|if|"
    "inline|int|long|mutable|namespace|new|noexcept|not|not-eq|nullptr|operator|or|or-eq|private|protected|public|"
    "register|reinterpret-cast|return|short|signed|sizeof|static|static-assert|static-cast|struct|switch|template|this|"
    "throw|true|try|typedef|typeid|typename|union|unsigned|using|virtual|void|volatile|while|xor|xor-eq"
)
MOST_PHASES = 7  # with the doubling steps of 255 nodes, they fit the marks of a block
USUAL_TILE = 128
MOST_THREADS = 1024  # per block, on every GPU
MOST_BLOCKS = 4096  # TICKS in common/epoch.cuh
# Reserved: collbench sets these. A parameter cannot have such a name, with or without COLL_, in upper or lower case.
TAKEN = ("name", "dtype", "op", "nodes", "local", "blocks", "threads", "tile", "pdl", "parts", "hidden", "epsilon")
_HEADER = re.compile(r"\A\s*/\*[ \t]*collbench[ \t]*\r?\n(?P<toml>.*?)\*/", re.DOTALL)
T = TypeVar("T")


@dataclass(frozen=True)
class KernelFile:
    """A kernel file and the declarations of its header.

    ``order``: its order of additions, where that is documented. "flat": the contributions of all ranks in rank order,
    16-bit floats in fp32 with one rounding; "nodes": node sums, then the sum of these in order, each rounded; "nvrar":
    node sums, then recursive doubling, as ``backends.mpi_nvrar`` emulates it. ``nodes``: "one" where every rank must
    reach every other by loads and stores. ``wire`` and ``scratch`` are formulas (see ``formula.value``): bytes that one
    rank sends per call, and bytes that it occupies in one half of the scratch; ``outbox``: bytes of its outbox that it
    packs, where it uses that. ``cell``: the kind of cells that it uses. ``defines``: further compile-time parameters,
    each with its default first. ``blocks`` and ``threads``: launch shapes to try. ``tile``: contiguous cells of a slot.
    ``max_bytes``: its longest message. ``phases``: the phases that end at marks 1, 2, ...; "doubling" stands for
    floor(log2(N)) of them. ``headers``: the folder of the headers that come with collbench, of a git revision; None for
    the present ones. ``escapes``: whether Lamport cells of these headers hold any bits, those of integers included.
    """

    name: str
    path: Path
    summary: str
    collective: str
    dtypes: tuple[str, ...]
    ops: tuple[str, ...]
    nodes: str
    wire: str
    scratch: str
    outbox: str | None
    cell: str
    blocks: tuple[int, ...]
    threads: tuple[int, ...]
    tile: int
    order: str | None
    max_ranks: int | None
    max_bytes: int | None
    defines: Mapping[str, tuple[int, ...]] = field(hash=False)
    phases: tuple[str, ...]
    headers: Path | None = None
    escapes: bool = True

    @property
    def symbol(self) -> str:
        """The name of its entry point."""
        return self.path.stem


FIELDS = tuple(each.name for each in fields(KernelFile) if each.name not in ("name", "path", "headers", "escapes"))


def kernel_name(path: Path) -> str:
    """``nvrar-ll`` for ``kernels/nvrar_ll.cu``."""
    return path.stem.replace("_", "-")


def read(path: Path) -> KernelFile:
    """The kernel in the file ``path``; raises UsageError with the file and its error."""
    try:
        return _declared(path, _header(path))
    except (UsageError, OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error


def _header(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    match = _HEADER.match(text)
    if match is None:
        raise UsageError("a kernel file must begin with its header block: /* collbench, lines of TOML, */.")
    above = text[: match.start("toml")].count("\n")
    return tomllib.loads("\n" * above + match["toml"])  # so that line numbers in TOML errors are those of the file


def _declared(path: Path, table: Mapping[str, Any]) -> KernelFile:
    if not re.fullmatch(r"[A-Za-z]\w*", path.stem, re.ASCII):
        raise UsageError("a kernel file must be named with letters, digits and underscores, like its entry point.")
    for name in table:
        pick("field", name, FIELDS)
    return KernelFile(
        name=kernel_name(path),
        path=path,
        summary=_one(table, "summary", str, "a line of text"),
        collective=_choice(table, "collective"),
        dtypes=_choices(table, "dtypes"),
        ops=_ops(table),
        nodes=_choice(table, "nodes"),
        wire=_formula(table, "wire"),
        scratch=_formula(table, "scratch"),
        outbox=_formula(table, "outbox") if "outbox" in table else None,
        cell=_choice_for(table, "cell"),
        blocks=_counts(table, "blocks", MOST_BLOCKS),
        threads=_counts(table, "threads", MOST_THREADS),
        tile=_limit(table, "tile") or USUAL_TILE,
        order=_order(table),
        max_ranks=_limit(table, "max_ranks"),
        max_bytes=_limit(table, "max_bytes"),
        defines=_parameters(table.get("defines", {})),
        phases=_phases(table),
    )


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _one(table: Mapping[str, Any], name: str, kind: type[T], what: str) -> T:
    if name not in table:
        raise UsageError(f"the field {name!r} is missing; it is {what}.")
    value: T = table[name]
    if not _is(value, kind) or not value:
        raise UsageError(f"the field {name!r} must be {what}, not {value!r}.")
    return value


def _many(table: Mapping[str, Any], name: str, kind: type[T], what: str) -> tuple[T, ...]:
    values = _one(table, name, list, what)
    if not all(_is(each, kind) for each in values) or len(set(values)) < len(values):
        raise UsageError(f"the field {name!r} must be {what}, without duplicates, not {values!r}.")
    return tuple(values)


def _choice(table: Mapping[str, Any], name: str) -> str:
    text = _one(table, name, str, f"one of {', '.join(CHOICES[name])}")
    return pick(f"value of {name!r}:", text, CHOICES[name])


def _choice_for(table: Mapping[str, Any], name: str) -> str:
    """A choice that the collective must allow."""
    text, collective = _choice(table, name), COLLECTIVES[_choice(table, "collective")]
    if collective.normalises and text not in OF_ROWS[name]:
        allowed = " or ".join(OF_ROWS[name])
        raise UsageError(f"the field {name!r} must be {allowed} for {collective.name}, not {text!r}.")
    return text


def _ops(table: Mapping[str, Any]) -> tuple[str, ...]:
    collective = COLLECTIVES[_choice(table, "collective")]
    if collective.reduces:
        return _choices(table, "ops")
    if "ops" in table:
        raise UsageError(f"the field 'ops' is that of reductions, and {collective.name} has none; omit it.")
    return ()


def _order(table: Mapping[str, Any]) -> str | None:
    if "order" not in table:
        return None
    collective = COLLECTIVES[_choice(table, "collective")]
    if not collective.reduces:
        raise UsageError(f"the field 'order' is that of additions, and {collective.name} has none; omit it.")
    return _choice_for(table, "order")


def _choices(table: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = _many(table, name, str, f"a list of values from {', '.join(CHOICES[name])}")
    return tuple(pick(f"value in {name!r}:", text, CHOICES[name]) for text in texts)


def _counts(table: Mapping[str, Any], name: str, most: int) -> tuple[int, ...]:
    values = _many(table, name, int, f"a list of integers from 1 to {most}")
    if not 1 <= min(values) <= max(values) <= most:
        raise UsageError(f"the field {name!r} must be a list of integers from 1 to {most}, not {list(values)}.")
    return values


def _limit(table: Mapping[str, Any], name: str) -> int | None:
    if name not in table:
        return None
    value = _one(table, name, int, "a positive integer")
    if value < 1:
        raise UsageError(f"the field {name!r} must be a positive integer, not {value}.")
    return value


def _parameters(table: object) -> dict[str, tuple[int, ...]]:
    if not isinstance(table, dict):
        raise UsageError(f"the field 'defines' must be a table of lists of integers, not {table!r}.")
    for name in table:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name.removeprefix("COLL_").lower() in TAKEN:
            raise UsageError(f"the parameter {name!r} in 'defines' is reserved or not a C identifier; rename it.")
    return {name: _many(table, name, int, "a list of integers") for name in table}


def _phases(table: Mapping[str, Any]) -> tuple[str, ...]:
    names = _many(table, "phases", str, "a list of names") if "phases" in table else ()
    if len(names) > MOST_PHASES or not all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names):
        raise UsageError(f"the field 'phases' must be at most {MOST_PHASES} names of lowercase letters and hyphens.")
    for name in names:
        if _KEYWORD.fullmatch(name):
            raise UsageError(f"the phase {name!r} in 'phases' is a C++ keyword; rename it.")
    return names


def _formula(table: Mapping[str, Any], name: str) -> str:
    text = _one(table, name, str, "a formula in P, G, N and S")
    for sample in SAMPLES:
        try:
            result = value(text, **sample)
        except UsageError as error:
            raise UsageError(f"the field {name!r}: {error}") from error
        if not 0 <= result < math.inf:
            raise UsageError(f"the field {name!r}: {text!r} is {result:g} bytes {at(sample)}.")
    return text
