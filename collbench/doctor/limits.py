"""Limits of memory, files and folders that would end a sweep: pure functions from facts to findings."""

from __future__ import annotations

from collbench.doctor.findings import Finding, bad, fine, note
from collbench.host.limits import Limits
from collbench.host.memory import show_bytes

# Of one rank. Memory: a sweep up to messages of 64 MiB. Shared memory: MPICH's queues and our kernels' scratch.
MEMORY, SHARED, FILES = 512 << 20, 16 << 20, 256
_MORE_MEMORY = {
    "in this cgroup": "request more memory (Slurm: --mem, Docker: --memory), or sweep smaller --sizes",
    "on this host": "end other processes, start fewer ranks, or sweep smaller --sizes",
    "under ulimit -v": "ulimit -v unlimited",
    "under ulimit -d": "ulimit -d unlimited",
}


def findings(limits: Limits) -> list[Finding]:
    """Findings about every limit; those that a sweep does not meet are left out, except memory."""
    found = (_memory(limits), _shared(limits), _files(limits), _temporary(limits))
    return [each for each in found if each]


def _memory(limits: Limits) -> Finding:
    room = limits.memory
    words = f"{show_bytes(room.bytes)} are free for each rank {room.where}"
    if room.bytes >= MEMORY:
        return fine("memory", words)
    cure = _MORE_MEMORY.get(room.where, "start fewer ranks, or sweep smaller --sizes")
    return note("memory", f"{words}; messages of 64 MiB need about {show_bytes(MEMORY)}", cure)


def _shared(limits: Limits) -> Finding | None:
    room, needed = limits.shared, limits.ranks * SHARED
    if room is None or room.bytes >= needed:
        return None
    words = f"the ranks need about {show_bytes(needed)} {room.where}, {show_bytes(room.bytes)} are free"
    larger = "docker run --shm-size=1g, or mount -o remount,size=1g /dev/shm"
    return bad("shared memory", words, f"remove what ended jobs left there, or enlarge it: {larger}")


def _files(limits: Limits) -> Finding | None:
    if limits.files is None or limits.files >= FILES:
        return None
    words = f"a rank may open {limits.files}, and needs up to {FILES}"
    return bad("open files", words, "ulimit -n 4096; docker run --ulimit nofile=4096")


def _temporary(limits: Limits) -> Finding | None:
    if limits.temporary is None:
        return bad("temporary files", "no folder for them can be written", "name one in TMPDIR")
    if limits.executable:
        return None
    words = f"{limits.temporary} is mounted noexec: our kernels cannot be loaded on CPU ranks"
    return note("temporary files", words, "name a folder on another file system in TMPDIR")
