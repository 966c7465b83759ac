"""What kernels and host must agree on, compared between the headers of a git revision and the present ones.

Declarations are compared as text, without comments and white space, wherever a header has them: that needs no compiler,
so a command refuses a revision before anything runs, on a login node too, and it sees what sizes and offsets do not,
such as two fields exchanged or another meaning of the scratch's parts. Equal layouts that are written differently are
refused as well, which costs a sentence, while a layout that passes by mistake would let a kernel write anywhere. What
declarations do not show, the proof of answers does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError
from collbench.kernels.files import own_folder
from collbench.kernels.header import KernelFile
from collbench.kernels.sources import KernelError, include_folders, texts

ENTRY = "collbench.cuh"
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_SPACE_AROUND = re.compile(r" ?([^\w ]) ?")
_CONSTANTS = ("GATES_AT", "GATES_BYTES", "FLAGGED_AT", "LAMPORT_AT", "HALF", "TICKS", "CELL", "PAYLOAD", "EMPTY")


@dataclass(frozen=True)
class Term:
    """A part of the contract: its name, and the pattern of its declaration in a normalised text, up to its body.
    ``grows``: what only the present headers have in its body does no harm."""

    name: str
    pattern: str
    grows: bool = False


TERMS = (
    *(Term(f"struct {name}", rf"struct {name}(?={{)") for name in ("Args", "State", "Stuck")),
    *(Term(name, rf"\b{name}=(?!=)[^,;]+") for name in _CONSTANTS),
    Term("enum Phase", r"enum Phase:u32(?={)"),
    Term("the place of a mark", r"a\.marks\+[^;]+"),
)
# What a kernel of another collective than all_reduce gets besides.
GIVEN = Term("struct Given", r"struct Given:Args(?={)")
# What the runtime of CPU ranks and the emulator declare to kernels: the files under machine/, by machine.
RUNTIME = {"cpu": ("host.h", "cuda.h", "cpu.h"), "emulated": ("host.h", "cuda.h", "emulated.h")}
RUNTIME_TERMS = (
    *(Term(f"struct {name}", rf"struct {name}(?={{)") for name in ("Index", "Self")),
    Term("HOST", r"#define HOST\(name\)\w+"),
    Term('extern "C"', r'extern"C"(?={)', grows=True),
)


def check(file: KernelFile) -> None:
    """Raise UsageError unless the headers of ``file``, of a git revision, declare what this host passes to kernels."""
    ours, theirs = _headers(file)
    terms = TERMS if file.collective == "all_reduce" else (*TERMS, GIVEN)
    if name := _differs(terms, ours.values(), theirs.values()):
        raise UsageError(f"{file.name} cannot run here: {_words(name)}.")


def check_runtime(file: KernelFile, machine: str) -> None:
    """Raise KernelError unless the headers of ``file`` declare the runtime of ``machine`` ("cpu" or "emulated") as it
    is; nothing to do for a file of no git revision."""
    if file.headers is None:
        return
    mine, other = (_of_machine(each, machine) for each in _headers(file))
    if name := _differs(RUNTIME_TERMS, mine, other):
        where = "on CPU ranks" if machine == "cpu" else "in the emulator"
        raise KernelError(f"{file.name} cannot run {where}: {_words(name)}")


def escapes(file: KernelFile) -> bool:
    """Whether Lamport cells hold any bits under the headers of ``file``; earlier revisions send integers in flagged
    cells."""
    _, theirs = _headers(file)
    return any("bool ESCAPES" in text for text in theirs.values())


def _headers(file: KernelFile) -> tuple[dict[Path, str], dict[Path, str]]:
    """The texts of our present headers, and of those that ``file`` includes."""
    theirs = texts(file.path, include_folders(file))
    theirs.pop(file.path.resolve())  # may give its own variables any names
    return texts(own_folder() / ENTRY, (own_folder(),)), theirs


def _words(name: str) -> str:
    return f"its revision declares {name} otherwise than this collbench; run it with the collbench of that revision"


def _of_machine(found: Mapping[Path, str], machine: str) -> list[str]:
    return [text for path, text in found.items() if path.name in RUNTIME[machine]]


def _differs(terms: Iterable[Term], ours: Iterable[str], theirs: Iterable[str]) -> str | None:
    """The name of the first term that theirs do not declare as ours do, or None."""
    here, there = ([normalised(text) for text in side] for side in (ours, theirs))
    return next((term.name for term in terms if not _alike(term, declared(term, here), declared(term, there))), None)


def _alike(term: Term, ours: list[str], theirs: list[str]) -> bool:
    if not term.grows:
        return ours == theirs
    present, earlier = ({one for text in side for one in re.split("[{;}]", text)} for side in (ours, theirs))
    return len(ours) == len(theirs) and earlier <= present


def normalised(text: str) -> str:
    """C++ without comments, and with white space only between words."""
    return _SPACE_AROUND.sub(r"\1", re.sub(r"\s+", " ", _COMMENT.sub(" ", text)))


def declared(term: Term, found: Iterable[str]) -> list[str]:
    """All declarations of ``term`` in normalised texts, with their bodies in braces, sorted."""
    return sorted(match[0] + _body(text[match.end() :]) for text in found for match in re.finditer(term.pattern, text))


def _body(rest: str) -> str:
    """What ``rest`` begins with in braces; "" where it begins otherwise."""
    depth = 0
    for at, mark in enumerate(rest):
        depth += (mark == "{") - (mark == "}")
        if depth == 0:
            return rest[: at + 1] if at else ""
    return rest
