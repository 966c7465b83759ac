"""NVLink multicast (NVLS), by which a switch adds or copies: whether a GPU has it, and what switches it off."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

ATTRIBUTE = 132  # CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED, cuda.h
# NCCL reads a whole number (src/misc/param.cc), NVSHMEM the first letter of a truth value (src/host/util/env_vars.cpp).
_NOT_ZERO = re.compile(r"\s*[+-]?(0*[1-9]|0[xX]0*[1-9a-fA-F])")
_NO = ("0", "n", "N", "f", "F")


def supported(index: int, cuda: Any = None) -> bool | None:
    """Whether CUDA's GPU ``index`` has multicast; None where the driver does not say. ``cuda`` is the driver's library,
    by default that of this machine. Only asks: nothing is created on the GPU."""
    with suppress(OSError, AttributeError):
        driver = ctypes.CDLL("libcuda.so.1") if cuda is None else cuda
        device, found = ctypes.c_int(), ctypes.c_int()
        failed = (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(device), index)
            or driver.cuDeviceGetAttribute(ctypes.byref(found), ATTRIBUTE, device)
        )
        return None if failed else found.value != 0
    return None


def switched_off(variables: Mapping[str, str]) -> dict[str, str]:
    """The libraries that these variables keep from multicast, each with the setting that does it."""
    nccl, nvshmem = (variables.get(name, "") for name in ("NCCL_NVLS_ENABLE", "NVSHMEM_DISABLE_NVLS"))
    found = {}
    if nccl and not _NOT_ZERO.match(nccl):
        found["nccl"] = f"NCCL_NVLS_ENABLE={nccl}"
    if nvshmem and not nvshmem.startswith(_NO):
        found["nvshmem"] = f"NVSHMEM_DISABLE_NVLS={nvshmem}"
    return found


def facts(index: int, variables: Mapping[str, str]) -> dict[str, Any]:
    """What the sidecar says of multicast on GPU ``index``: ``supported``, and by library, what switches it ``off``."""
    return {"supported": supported(index), "off": switched_off(variables)}


def unused_by(ranks: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The libraries that were kept from multicast where the GPU has it, on any of these ranks of a sidecar."""
    found = (rank.get("gpu", {}).get("multicast", {}) for rank in ranks)
    return frozenset(library for each in found if each.get("supported") for library in each["off"])


def reader_of(backend: str) -> str:
    """The library whose collectives a backend runs, by its name: ``nccl`` for ``nccl-symm``."""
    return re.split("[-@:]", backend, maxsplit=1)[0]
