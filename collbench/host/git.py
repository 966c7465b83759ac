"""What git knows of source files: their revision, and their content as of another one, without touching the work tree.

Raises UsageError with one sentence where git cannot answer.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError

SECONDS = 60.0  # limit of one question; a partial clone may have to fetch
SHORTEST = 7  # digits of an abbreviated hash
# GIT_DIR, GIT_WORK_TREE, GIT_INDEX_FILE and others select a repository whatever the folder; these two do not.
_HARMLESS = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
# Messages as they are matched here, the objects that hashes name, and no writes.
_FIXED = {"LC_ALL": "C", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0"}
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REGULAR = ("100644", "100755")


def git_revision(folder: Path) -> str | None:
    """The git revision of the tree that tracks the files in ``folder``, with ``+`` where modified; None where none
    does, as for a package that is installed inside another project's checkout."""
    try:
        _git(folder, "ls-files", "--error-unmatch", "--", ".", seconds=5)
        named = _git(folder, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*", seconds=5)
        return named.decode().strip()
    except (OSError, subprocess.SubprocessError):
        return None


@dataclass(frozen=True)
class Described:
    """A commit by the nearest version's tag before it, "" for none, the number of commits since, and its hash;
    ``modified``: files differ from it."""

    tag: str
    since: int
    commit: str
    modified: bool


def git_described(folder: Path) -> Described | None:
    """The commit of the tree that tracks the files in ``folder``, by its tags ``v*``; None where `git_revision` is."""
    named = git_revision(folder)
    if named is None:
        return None
    commit, modified = named.rstrip("+"), named.endswith("+")
    try:
        text = _git(folder, "describe", "--tags", "--long", "--match=v[0-9]*", seconds=5).decode()
        tag, since, _ = text.rsplit("-", 2)
        return Described(tag, int(since), commit, modified)
    except subprocess.SubprocessError:  # no tag
        return Described("", int(_git(folder, "rev-list", "--count", "HEAD", seconds=5)), commit, modified)


@dataclass(frozen=True)
class Checkout:
    """A work tree at ``top`` that tracks files of the folder ``inside`` it, "" for all of it."""

    top: Path
    inside: str


@dataclass(frozen=True)
class Blob:
    """The content of a regular file in git: its hash, and its size in bytes."""

    id: str
    bytes: int


def checkout_of(folder: Path) -> Checkout:
    """The work tree that tracks files in ``folder``."""
    top = _answer(folder, "rev-parse", "--show-toplevel")
    try:
        _git(folder, "ls-files", "--error-unmatch", "--", ".")
    except subprocess.CalledProcessError:
        raise UsageError(f"{folder} has no revisions, since git does not track it; omit @REV.") from None
    return Checkout(Path(top), _answer(folder, "rev-parse", "--show-prefix").rstrip("/"))


def commit_of(top: Path, revision: str) -> str:
    """The full hash of the commit that ``revision`` names (a branch, a tag, a hash, HEAD~3)."""
    named = "" if revision.startswith("-") else _found(top, revision)  # alone: a suffix could become a part of it
    found = _found(top, f"{named}^{{commit}}")
    if not _HASH.fullmatch(found):
        shallow = _answer(top, "rev-parse", "--is-shallow-repository") == "true"
        cure = "fetch the others first: git fetch --unshallow" if shallow else "give a branch, a tag or a hash"
        kind = "shallow clone" if shallow else "checkout"
        raise UsageError(f"the {kind} {top} has no revision {revision!r}; {cure}.")
    return found


def short_of(top: Path, commit: str) -> str:
    """The shortest hash of ``commit`` that names it alone, of at least SHORTEST digits; where a branch or tag has that
    name, the full hash."""
    short = _answer(top, "rev-parse", f"--short={SHORTEST}", commit)
    return short if _found(top, f"{short}^{{commit}}") == commit else commit


def tree_of(checkout: Checkout, commit: str) -> str:
    """The hash of the tree of the checkout's folder as of ``commit``."""
    found = _found(checkout.top, f"{commit}:{checkout.inside}")
    if not _HASH.fullmatch(found):
        raise UsageError(f"revision {commit[:12]} of {checkout.top} has no folder {checkout.inside}.")
    return found


def blobs_of(top: Path, tree: str) -> dict[str, Blob]:
    """The regular files of ``tree`` by their paths in it; without symbolic links and submodules."""
    lines = _asked(top, "ls-tree", "-r", "-l", "-z", "--full-tree", tree).split(b"\0")
    found = {}
    for line in filter(None, lines):
        head, _, path = line.partition(b"\t")
        mode, _, name, size = head.decode().split()
        if mode in _REGULAR:
            found[os.fsdecode(path)] = Blob(name, int(size))
    return found


def contents_of(top: Path, blobs: Iterable[Blob]) -> list[bytes]:
    """The contents of ``blobs``, as they are stored: no filter, line ending or attribute changes them."""
    wanted = list(blobs)
    text = _asked(top, "cat-file", "--batch", given="".join(f"{blob.id}\n" for blob in wanted).encode())
    found, at = [], 0
    for blob in wanted:
        head = f"{blob.id} blob {blob.bytes}\n".encode()
        if not text.startswith(head, at):
            raise UsageError(f"{top} lacks files of this revision, as a partial clone may; fetch them: git fetch.")
        at += len(head)
        found.append(text[at : at + blob.bytes])
        at += blob.bytes + 1
    return found


def _found(top: Path, name: str) -> str:
    """The hash of the object ``name``; "" where there is none."""
    try:
        return _git(top, "rev-parse", "--verify", "--quiet", name).decode().strip()
    except subprocess.CalledProcessError:
        return ""
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UsageError(_why(top, error)) from None


def _answer(folder: Path, *arguments: str) -> str:
    return os.fsdecode(_asked(folder, *arguments)).rstrip("\n")


def _asked(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    try:
        return _git(folder, *arguments, given=given)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(_why(folder, error)) from None


def _why(folder: Path, error: Exception) -> str:
    """Why git did not answer about ``folder``, and the cure."""
    if isinstance(error, FileNotFoundError):
        return "kernels of a revision need git, which is not installed here; install it, or omit @REV."
    said = error.stderr.decode(errors="replace").strip() if isinstance(error, subprocess.CalledProcessError) else ""
    if found := re.search(r"dubious ownership in repository at '(.*)'", said):
        cure = f"if you trust it, run git config --global --add safe.directory {found[1]}"
        return f"git refuses the repository {found[1]}, which belongs to another user; {cure}."
    if "not a git repository" in said:
        return f"{folder} is not in a git checkout and has no revisions; use one of collbench, or omit @REV."
    first = said.splitlines()[0] if said else str(error)
    return f"git cannot say what {folder} holds: {first.rstrip('.')}."


def _git(folder: Path, *arguments: str, given: bytes = b"", seconds: float = SECONDS) -> bytes:
    variables = {name: value for name, value in os.environ.items() if name in _HARMLESS or not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    environment = {**variables, **_FIXED}
    return subprocess.run(
        command, capture_output=True, input=given, timeout=seconds, check=True, env=environment
    ).stdout
