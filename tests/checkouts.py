"""Git checkouts for tests: of kernels, and of all of collbench, whose older revision differs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import collbench
from collbench.kernels import revisions
from collbench.kernels.files import own_folder


def git(folder: Path, *arguments: str) -> str:
    """Output of git in a folder, for an author of its own."""
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *author, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Tree:
    """A checkout at ``top``, whose kernels are those of collbench."""

    top: Path

    @property
    def kernels(self) -> Path:
        return self.top / "kernels"

    def commit(self, message: str = "next") -> str:
        """Commit all; returns the hash. This process forgets what HEAD was."""
        for known in (revisions.revision_of, revisions.own_kernels, revisions._kernel_at):
            known.cache_clear()
        git(self.top, "add", "--all")
        git(self.top, "commit", "--quiet", "--message", message)
        return git(self.top, "rev-parse", "HEAD")

    def change(self, file: str, old: str, new: str) -> None:
        """Replace the only ``old`` in a file of the kernels."""
        path = self.kernels / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def a_tree(top: Path, whole: bool = False) -> Tree:
    """A checkout of our kernels, with the package where it is ``whole``; nothing is committed."""
    top.mkdir(parents=True)
    shutil.copytree(own_folder(), top / "kernels")
    if whole:
        package = Path(collbench.__file__).parent
        shutil.copytree(package, top / "collbench")  # with what Python compiled, or ranks would compile it anew
    git(top, "init", "--quiet")
    (top / ".git" / "info" / "exclude").write_text("__pycache__\n")
    return Tree(top)
