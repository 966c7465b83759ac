"""The network plugin that NCCL opens, found by NCCL's own rule: what is opened, as which network, and what is missing.

NCCL 2.28 to 2.31 (src/plugin/net.cc, plugin_open.cc): without NCCL_NET_PLUGIN it opens libnccl-net.so, nothing else.
Of each name in NCCL_NET_PLUGIN it opens NAME, then libnccl-net-NAME.so. A plugin is known by the name that it gives
itself, with which NCCL_NET is compared, but for case. Folders that libnccl itself names (RUNPATH) are not searched.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from collbench.host import procfs
from collbench.host.procfs import ROOT

DEFAULT = "libnccl-net.so"
STATIC = "STATIC_PLUGIN"  # a plugin that is linked into the program
OLDEST, NEWEST = 6, 12  # interfaces of plugins that NCCL 2.28 (up to 11) to 2.31 know
# In a process of its own, since loading runs code of the plugin. The first member of its structure is its name.
_OPEN = """
import ctypes, json, os, sys
found, (oldest, newest, *groups) = [], json.loads(sys.argv[1])
for group in groups:
    for name in group:
        try:
            library = ctypes.CDLL(name, mode=os.RTLD_NOW | os.RTLD_LOCAL)
        except OSError as error:
            found.append((name, "", str(error)))
            continue
        network = b""
        for version in range(newest, oldest - 1, -1):
            try:
                network = ctypes.c_char_p.in_dll(library, f"ncclNetPlugin_v{version}").value or b""
                break
            except ValueError:
                pass
        found.append((name, network.decode(errors="replace"), ""))
        break
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Attempt:
    """An attempt to open a library: the loader's ``error``, or else the ``network`` that it offers, "" if none that
    NCCL knows."""

    name: str
    network: str
    error: str

    @property
    def missing(self) -> str:
        """The library that this one needs and the loader does not find; "" if it is another error."""
        library, found, _ = self.error.partition(": cannot open shared object file")
        return library if found and library != self.name else ""


@dataclass(frozen=True)
class Plugin:
    """What NCCL finds: its variables, also of its files, what it tries to open, and plugins on LD_LIBRARY_PATH."""

    variables: Mapping[str, str]
    attempts: tuple[Attempt, ...]
    files: tuple[str, ...]

    @property
    def opened(self) -> tuple[Attempt, ...]:
        """The libraries that open and offer a network."""
        return tuple(each for each in self.attempts if each.network)


def variables_of(variables: Mapping[str, str], home: Path, root: Path = ROOT) -> dict[str, str]:
    """``variables`` with what NCCL's files add to them: NCCL_CONF_FILE or ~/.nccl.conf, and /etc/nccl.conf."""
    users = variables.get("NCCL_CONF_FILE")
    found = dict(variables)
    for path in (Path(users) if users else home / ".nccl.conf", root / "etc/nccl.conf"):
        for line in procfs.text(path).splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(name, value)
    return found


def names_to_open(wanted: str | None) -> list[list[str]]:
    """The names of libraries that NCCL tries for NCCL_NET_PLUGIN, of each group until one opens; None: it is unset."""
    if wanted is None:
        return [[DEFAULT]]
    if wanted.lower() == "none":
        return []
    return [[name, *_suffixed(name)] for name in wanted.split(",") if name]


def _suffixed(name: str) -> list[str]:
    is_library = name.startswith("lib") and name.endswith(".so")
    return [] if "/" in name or is_library else [f"libnccl-net-{name}.so"]


def find(variables: Mapping[str, str]) -> Plugin | None:
    """What NCCL would open in this environment; None where that cannot be said. Starts a process."""
    variables = variables_of(variables, _home())
    groups = names_to_open(variables.get("NCCL_NET_PLUGIN"))
    if any(STATIC.startswith(name.upper()) for group in groups for name in group):
        return None
    command = [sys.executable, "-P", "-c", _OPEN, json.dumps([OLDEST, NEWEST, *groups])]
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=30, check=True)
        attempts = tuple(Attempt(*each) for each in json.loads(ran.stdout.splitlines()[-1]))
        return Plugin(variables, attempts, files(variables))
    return None


def _home() -> Path:
    with suppress(KeyError):
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    return Path("/nonexistent")


def files(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Network plugins in the folders of LD_LIBRARY_PATH, whether NCCL opens them or not."""
    folders = [Path(folder) for folder in variables.get("LD_LIBRARY_PATH", "").split(":") if folder]
    return tuple(str(path) for folder in folders for path in sorted(folder.glob("libnccl-net*.so")))
