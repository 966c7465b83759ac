"""The variables of variants: which ones may be set, and whether they still reach the libraries that read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from collbench.errors import UsageError
from collbench.host.environment import SETTINGS, is_recorded
from collbench.host.maps import MAPS, mapped_files
from collbench.plan.variants import Variant

# Prefixes of variables that ranks of a launcher can set themselves, and the library that reads them: it loads after
# MPI. By then MPI, its fabrics and the launcher have read all others.
_READERS = {"NCCL_": "libnccl.so", "NVSHMEM_": "libnvshmem_host.so", "CUDA_": "libcuda.so"}


def check_variables(variants: Iterable[Variant], launcher: str) -> None:
    """Raise UsageError for a variable that no sidecar records, or that ranks of ``launcher`` ("" where collbench starts
    the ranks) cannot set early enough."""
    for variant in variants:
        for name, _ in variant.variables:
            if not is_recorded(name):
                raise UsageError(
                    f"variant {variant.label} sets {name}, which no sidecar would record; a variant may set {SETTINGS}."
                )
            if launcher and not name.startswith(tuple(_READERS)):
                raise UsageError(
                    f"variant {variant.label} sets {name}, which may have been read when ranks of {launcher} could set "
                    "it; set it on the launcher instead, in a sweep with another -o, or let collbench start the ranks."
                )


def too_late(variant: Variant, maps: Path = MAPS) -> str | None:
    """Why this process can no longer set the variables of a variant, None if it can: it has loaded what reads one."""
    loaded = {Path(path).name for path in mapped_files(maps)}
    for name, _ in variant.variables:
        for prefix, library in _READERS.items():
            if name.startswith(prefix) and any(each.startswith(library) for each in loaded):
                return (
                    f"{library} was loaded with MPI and may have read {name} of variant {variant.label}; set it on the "
                    "launcher instead, in a sweep with another -o"
                )
    return None
