"""NVSHMEM's transport over TCP between hosts of the lab: built here, preloaded into ranks."""

from __future__ import annotations

from pathlib import Path

from lab.building import built

ABI = 3
# What NVSHMEM opens, and what the file is called: by its name, collbench knows the network.
SONAME, NAME = f"nvshmem_transport_ibrc.so.{ABI}", f"nvshmem_transport_tcp.so.{ABI}"
FLAGS = ("-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread", f"-Wl,-soname,{SONAME}", "-ldl")
# NVSHMEM and NCCL between hosts of the lab: by that transport and by sockets, over the lab's network, and without what
# this machine would offer in their place. Modules are loaded at once, since kernels spin when others would be loaded.
SETTINGS = {
    "CUDA_MODULE_LOADING": "EAGER",
    "NVSHMEM_REMOTE_TRANSPORT": "ibrc",
    "NVSHMEM_BOOTSTRAP_UID_SOCK_IFNAME": "eth0",
    "NVSHMEM_DISABLE_MNNVL": "1",
    "NVSHMEM_DISABLE_GDRCOPY": "1",
    "NVSHMEM_DISABLE_NVLS": "1",
    "NCCL_NET": "Socket",
    "NCCL_IB_DISABLE": "1",
    "NCCL_SOCKET_IFNAME": "eth0",
    "NCCL_NVLS_ENABLE": "0",
}


def headers() -> Path | None:
    """The folder of NVSHMEM's headers, or None where it is not installed."""
    from cuda import pathfinder

    found = pathfinder.find_nvidia_header_directory("nvshmem")
    return Path(found) if found else None


def plugin_abi(include: Path) -> int | None:
    """The plugin ABI of the NVSHMEM whose headers lie in ``include``, by the names of its own transports."""
    named = [path.suffix for path in (include.parent / "lib").glob("nvshmem_transport_ibrc.so.*")]
    return int(named[0][1:]) if named else None


def plugin() -> Path:
    """The transport, compiled, whatever the version of NVSHMEM. Raises RuntimeError."""
    return built("tcp_transport.cpp", NAME, [*FLAGS, f"-I{_installed()}"])


def _installed() -> Path:
    include = headers()
    if include is None:
        raise RuntimeError("NVSHMEM is not installed; pip install 'collbench[compiler]'")
    return include


def settings() -> dict[str, str]:
    """The variables of ranks that ``rank`` starts and that send over the lab's network.

    Raises RuntimeError where NVSHMEM's transports are of another plugin ABI, or where it or a compiler is missing.
    """
    include = _installed()
    abi = plugin_abi(include)
    if abi != ABI:
        raise RuntimeError(
            f"the NVSHMEM in {include.parent} has transports of plugin ABI {abi}, and the lab's is of ABI {ABI}; "
            "pip install nvidia-nvshmem-cu13==3.4.5"
        )
    return {**SETTINGS, "LAB_PRELOAD": str(plugin())}
