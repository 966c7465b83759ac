"""Reads a cubin without a driver: the resources that its kernel needs, and whether it uses NVSHMEM.

A cubin is an ELF file. The section ``.nv.info`` holds attributes of its functions; their numbers are the
EIATTR_* that ``cuobjdump -elf`` prints.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SYMBOL_TABLE, NO_BITS = 2, 8  # kinds of ELF sections
FUNCTION, ENTRY = 2, 0x10  # kind of an ELF symbol; the bit of its st_other that marks an entry point
REGCOUNT, FRAME_SIZE = 0x2F, 0x11
SIZED = 4  # the format of an attribute whose value follows it
DEVICE_STATE = "nvshmemi_device_state_d"
RESERVED_MARK, RESERVED_BYTES = ".nv.reservedSmem.offset0", 1024  # from sm_90 on, before a kernel's own


class CubinError(RuntimeError):
    """Bytes that are not a cubin, or a cubin whose number of entry points is not one."""


@dataclass(frozen=True)
class Resources:
    """Resources of an entry point: registers per thread; bytes of local memory per thread (spilled registers and
    arrays indexed at run time, not the frames of functions that it calls); bytes of static shared memory per block
    (without the 1 KiB that the system reserves from sm_90 on).
    """

    entry: str
    registers: int
    local_bytes: int
    shared_bytes: int


@dataclass(frozen=True)
class _Section:
    name: str
    kind: int
    data: bytes
    size: int
    link: int


@dataclass(frozen=True)
class _Symbol:
    name: str
    kind: int
    other: int


def resources(cubin: bytes) -> Resources:
    """The resources of the only entry point of ``cubin``; raises CubinError."""
    try:
        return _resources(_sections(cubin))
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise CubinError(f"not a readable cubin ({error!r})") from error


def uses_nvshmem(cubin: bytes) -> bool:
    """Whether ``cubin`` must be registered with NVSHMEM, since it has NVSHMEM's device state; raises CubinError."""
    try:
        return any(symbol.name == DEVICE_STATE for symbol in _symbols(_sections(cubin)))
    except (struct.error, IndexError, ValueError) as error:
        raise CubinError(f"not a readable cubin ({error!r})") from error


def _resources(sections: list[_Section]) -> Resources:
    symbols = _symbols(sections)
    entries = [index for index, symbol in enumerate(symbols) if symbol.kind == FUNCTION and symbol.other & ENTRY]
    if len(entries) != 1:
        names = ", ".join(symbols[index].name for index in entries) or "none"
        raise CubinError(f"a kernel file must define one entry point (__global__); this one has {names}")
    (entry,) = entries
    name = symbols[entry].name
    info = next(section.data for section in sections if section.name == ".nv.info")
    facts = {kind: value for kind, symbol, value in _attributes(info) if symbol == entry}
    return Resources(name, facts[REGCOUNT], facts[FRAME_SIZE], _shared(name, sections, symbols))


def _shared(entry: str, sections: list[_Section], symbols: list[_Symbol]) -> int:
    size = next((section.size for section in sections if section.name == f".nv.shared.{entry}"), 0)
    reserves = any(symbol.name == RESERVED_MARK for symbol in symbols)
    return max(0, size - RESERVED_BYTES) if reserves else size


def _sections(cubin: bytes) -> list[_Section]:
    if cubin[:5] != b"\x7fELF\x02":
        raise ValueError("it is not a 64-bit ELF file")
    (start,) = struct.unpack_from("<Q", cubin, 40)
    step, count, names = struct.unpack_from("<HHH", cubin, 58)
    heads = [struct.unpack_from("<IIQQQQIIQQ", cubin, start + index * step) for index in range(count)]
    texts = cubin[heads[names][4] :]
    return [_section(cubin, _text(texts, head[0]), head) for head in heads]


def _section(cubin: bytes, name: str, head: tuple[int, ...]) -> _Section:
    _, kind, _, _, offset, size, link, *_ = head
    return _Section(name, kind, b"" if kind == NO_BITS else cubin[offset : offset + size], size, link)


def _symbols(sections: list[_Section]) -> list[_Symbol]:
    table = next((section for section in sections if section.kind == SYMBOL_TABLE), None)
    if table is None:
        raise ValueError("it has no symbol table")
    texts = sections[table.link].data
    return [
        _Symbol(_text(texts, name), info & 0xF, other)
        for name, info, other, *_ in struct.iter_unpack("<IBBHQQ", table.data)
    ]


def _text(texts: bytes, start: int) -> str:
    return texts[start : texts.index(b"\0", start)].decode()


def _attributes(info: bytes) -> Iterator[tuple[int, int, int]]:
    """(attribute, symbol index, value) of each attribute that consists of these two words."""
    at = 0
    while at < len(info):
        form, kind, size = struct.unpack_from("<BBH", info, at)
        if form == SIZED and size == 8:
            yield kind, *struct.unpack_from("<II", info, at + 4)
        at += 4 + (size if form == SIZED else 0)
