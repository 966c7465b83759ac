"""Names and numbers of other tools in ours: collectives, types, reductions, numbers with decimal commas."""

from __future__ import annotations

import math
import re

from collbench.plan.dtypes import ALIASES, DTYPES

_COLLECTIVES = {
    "allreduce": "all_reduce", "allgather": "all_gather", "reducescatter": "reduce_scatter", "alltoall": "all_to_all",
    "alltoallsingle": "all_to_all", "allgatherbase": "all_gather", "reducescatterbase": "reduce_scatter",
    "reducescatterblock": "reduce_scatter", "broadcast": "broadcast", "bcast": "broadcast", "gather": "gather",
    "sendrecv": "send_recv",
}  # fmt: skip
REDUCING = ("all_reduce", "reduce_scatter")
# Types of other tools that none of ours is, by their bytes; the names of MPI and of frameworks for those that are.
OTHERS = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "uint32": 4, "uint64": 8, "float8_e4m3": 1, "float8_e5m2": 1}
_TYPES = {
    **ALIASES, "mpi_char": "int8", "mpi_byte": "uint8", "mpi_int": "int32", "mpi_float": "float32",
    "mpi_double": "float64", "char": "int8", "byte": "uint8", "f8e4m3": "float8_e4m3", "f8e5m2": "float8_e5m2",
    "fp8_e4m3": "float8_e4m3", "fp8_e5m2": "float8_e5m2", "bfloat": "bfloat16",
}  # fmt: skip
MOST_BYTES = 1 << 50
_GROUPED = re.compile(r"\d{1,3}(?:[,.']\d{3})+")
_SIZED = re.compile(r"(\d+(?:[.,]\d+)?)\s*([KMGT]?)i?B", re.IGNORECASE)


def collective_of(name: str) -> str:
    """Our name of a collective; "" for one that is none of ours."""
    return _COLLECTIVES.get(re.sub(r"[^a-z]", "", name.lower()), "")


def dtype_of(name: str) -> str:
    """Our name of a type; the tool's own for one that is none of ours."""
    word = name.strip().lower()
    return _TYPES.get(word, word)


def itemsize_of(dtype: str) -> int | None:
    """Bytes of an element; None for a type that is not known."""
    return DTYPES[dtype].itemsize if dtype in DTYPES else OTHERS.get(dtype)


def whole(text: str) -> int:
    """A whole number, in groups of three digits or not. Raises ValueError, also for one below 0 or of a size that no
    memory has."""
    value = int(re.sub(r"[,.']", "", text) if _GROUPED.fullmatch(text) else text)
    if not 0 <= value <= MOST_BYTES:
        raise ValueError(text)
    return value


def count(value: object) -> int:
    """A number of things, from what JSON has. Raises ValueError for what is none, and for none of them."""
    found = whole(str(value))
    if not found:
        raise ValueError(f"{value!r} counts nothing")
    return found


def number(text: str) -> float:
    """A number with a decimal point or comma; of both signs the last one is decimal. Raises ValueError for other text,
    and for what is not finite."""
    plain = text.strip()
    if "," in plain:
        plain = plain.replace(".", "") if plain.rfind(",") > plain.rfind(".") else plain.replace(",", "")
        plain = plain.replace(",", ".")
    value = float(plain)
    if "_" in plain or not math.isfinite(value):
        raise ValueError(text)
    return value


def wrongs(text: str) -> int:
    """A number of wrong elements, which tools print as ``7`` or ``1e+03``. Raises ValueError."""
    value = number(text)
    if value < 0 or not value.is_integer():
        raise ValueError(text)
    return int(value)


def positive(text: str) -> float:
    """A number above 0. Raises ValueError."""
    value = number(text)
    if value <= 0:
        raise ValueError(text)
    return value


def sized(text: str) -> int:
    """Bytes of a size such as ``24.0 KiB``. Raises ValueError for other text, and where the rounding of ``1.1 KiB``
    hides how many whole bytes they are."""
    match = _SIZED.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    value = number(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " ")
    if not value.is_integer():
        raise ValueError(text)
    return int(value)
