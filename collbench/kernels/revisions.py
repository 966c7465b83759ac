"""Kernels as of a git revision: ours, and those of COLLBENCH_KERNELS folders that lie in a git checkout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from collbench.errors import UsageError
from collbench.host import git
from collbench.kernels import contract
from collbench.kernels.exports import exported
from collbench.kernels.files import Broken, find_kernels, own_folder
from collbench.kernels.header import KernelFile, kernel_name, read


@dataclass(frozen=True)
class Revision:
    """A commit of the checkout that holds a folder of kernels. ``label``: its hash as rows have it, abbreviated."""

    checkout: git.Checkout
    commit: str
    label: str

    def folder(self) -> Path:
        """The folder of kernels as of this revision, exported. Raises UsageError."""
        return exported(self.checkout, self.commit)


@lru_cache(maxsize=256)
def _checkout_of(folder: Path) -> git.Checkout:
    """``git.checkout_of``, asked once for a folder."""
    return git.checkout_of(folder)


@lru_cache(maxsize=256)
def revision_of(folder: Path, text: str) -> Revision:
    """The commit that ``text`` (a branch, a tag, a hash, HEAD~3) names in the checkout that tracks ``folder``, once for
    this process. Raises UsageError."""
    checkout = _checkout_of(folder)
    commit = git.commit_of(checkout.top, text)
    return Revision(checkout, commit, git.short_of(checkout.top, commit))


def own_revision(text: str) -> Revision:
    """The revision ``text`` of the kernels that come with collbench. Raises UsageError."""
    return revision_of(own_folder().resolve(), text)


def revision_of_kernel(name: str, text: str) -> Revision:
    """The revision ``text`` of the kernel ``name``. Raises UsageError."""
    return revision_of(_path(name).parent, text)


def kernel_at(name: str, text: str) -> KernelFile | Broken:
    """The kernel ``name`` as of the revision ``text``, with the headers of that revision; Broken where this host cannot
    use it. Its own name then has the revision's label: ``nvrar-lamport@5437c21``."""
    return _kernel_at(_path(name), text)


@lru_cache(maxsize=16)
def own_kernels(text: str) -> dict[str, KernelFile | Broken]:
    """All kernels of ours as of the revision ``text``, by their names without it. Raises UsageError."""
    names = sorted(path.name for path in own_revision(text).folder().glob("[!._]*.cu"))
    paths = {kernel_name(Path(name)): own_folder().resolve() / name for name in names}
    return {name: _kernel_at(path, text) for name, path in paths.items()}


def _path(name: str) -> Path:
    """Where the kernel ``name`` is now; of a kernel that is not, where it was if it was ours."""
    present = find_kernels().get(name)
    return present.path if present else own_folder().resolve() / f"{name.replace('-', '_')}.cu"


@lru_cache(maxsize=256)
def _kernel_at(path: Path, text: str) -> KernelFile | Broken:
    """The kernel that ``path`` was; failures are kept too, since every row looks its kernel up."""
    label = text
    try:
        revision = revision_of(path.parent, text)
        label = revision.label
        return _read(path, revision)
    except UsageError as error:
        return Broken(f"{kernel_name(path)}@{label}", path, str(error))


def _read(path: Path, revision: Revision) -> KernelFile:
    name = f"{kernel_name(path)}@{revision.label}"
    then = revision.folder() / path.name
    if not then.is_file():
        raise UsageError(f"{name} does not exist: revision {revision.label} has no file {path.name} in {path.parent}.")
    try:
        file = replace(read(then), name=name, headers=_headers(revision))
    except UsageError as error:
        raise UsageError(f"{name} is not a kernel that this collbench can read: {error}") from None
    contract.check(file)
    return replace(file, escapes=contract.escapes(file))


def _headers(revision: Revision) -> Path:
    """The folder of the headers that come with collbench, for a kernel of ``revision``: of the same revision where they
    are in the same checkout, else the present one."""
    try:
        ours = _checkout_of(own_folder().resolve())
    except UsageError:  # collbench is installed
        return own_folder()
    return exported(ours, revision.commit) if ours.top == revision.checkout.top else own_folder()
