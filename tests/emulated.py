"""What tests of the emulator share: layouts by name, kernels with a mistake put in."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from collbench import registry
from collbench.backends._kernels import KernelBackend
from collbench.kernels import host_compiler
from collbench.kernels.files import own_folder
from collbench.kernels.header import read
from collbench.kernels.kernel import Kernel
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout, parse_layout, virtual_layout
from collbench.verify.casts import Build, Cast, scratch_for

needs_compiler = pytest.mark.skipif(host_compiler.missing() is not None, reason=str(host_compiler.missing()))
KERNELS = ("nvrar-lamport", "nvrar-ll", "nvrar-put", "oneshot")


def a_layout(text: str) -> Layout:
    """Nodes times ranks on each, as in ``3x2``."""
    nodes, each = parse_layout(text)
    return virtual_layout(nodes, each, ["here"] * (nodes * each))


def kernel(name: str) -> Kernel:
    """One of our kernels."""
    found = registry.find(name)
    assert isinstance(found, KernelBackend), found
    return found.kernel


@dataclass(frozen=True)
class Draws:
    """What scenes are drawn from: one type, operation and number of threads, since a kernel is compiled for each; for
    ``others`` too, which share its communicators. ``sizes`` in bytes; ``own``: its own parameters."""

    kernel: str
    layout: str
    dtype: str
    sizes: tuple[int, ...]
    op: str = "sum"
    threads: int = 64
    own: tuple[tuple[str, int], ...] = ()
    others: tuple[str, ...] = ()


def cast_for(lead: Kernel, draws: Draws) -> Cast:
    """The cast of these scenes, with ``lead`` for their kernel."""
    layout = a_layout(draws.layout)
    kernels = [Kernel(lead.file, dict(draws.own) or lead.parameters), *map(kernel, draws.others)]
    one, *others = (Build(each, DTYPES[draws.dtype], draws.op, draws.threads) for each in kernels)
    return Cast(layout, (one,), tuple(others), draws.sizes, scratch_for(kernels, layout, max(draws.sizes)))


@dataclass(frozen=True)
class Patch:
    """A change of a source file in kernels/."""

    file: str
    old: str
    new: str


def patched(patches: Iterable[Patch], name: str, folder: Path) -> Kernel:
    """Our kernel ``name`` and all that it includes, changed, in ``folder``, which comes first where headers are looked
    for."""
    shutil.copytree(own_folder(), folder, dirs_exist_ok=True)
    for patch in patches:
        path = folder / patch.file
        text = path.read_text(encoding="utf-8")
        assert text.count(patch.old) == 1, f"{patch.old!r} is {text.count(patch.old)} times in {patch.file}"
        path.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
    return Kernel(read(folder / kernel(name).file.path.name))
