"""Findings about NCCL's network plugin, without which it uses TCP on Slingshot, or ends."""

from __future__ import annotations

from pathlib import Path

from collbench.doctor.findings import Finding, bad, fine, note
from collbench.doctor.traps import FABRICS
from collbench.host.nccl_plugin import DEFAULT, Attempt, Plugin

WHAT = "NCCL's plugin"
INTERNAL = ("ib", "socket")  # networks that NCCL has without a plugin


def finding(plugin: Plugin | None, network: str, nodes: int | None) -> Finding | None:
    """Whether NCCL opens the plugin that this network and the settings ask for; None where none is asked for.

    ``nodes`` of the job, None if unknown: within one node a missing plugin does no harm.
    """
    if plugin is None:
        return None
    wanted = plugin.variables.get("NCCL_NET", "")
    if wanted.lower() in INTERNAL:
        return _internal(wanted, network, nodes)
    names = [each.network for each in plugin.opened]
    if wanted and wanted.lower() not in map(str.lower, names):
        words = f"{_state(plugin)}: with NCCL_NET={wanted}, NCCL ends, since it has no such network"
        return bad(WHAT, words, _cure(plugin))
    if not names or (network == "slingshot" and not any(map(_is_for_slingshot, names))):
        return _without(plugin, network, nodes)
    if wanted and nodes == 1 and network == "slingshot":
        words = f"NCCL_NET={wanted} in a job of one node, for which Slingshot need not be set up"
        return note(WHAT, words, "unset NCCL_NET there (HPE, shs-ccl-docs)")
    return fine(WHAT, _state(plugin))


def _internal(wanted: str, network: str, nodes: int | None) -> Finding | None:
    """NCCL is to use one of its own networks, whatever plugin it opens."""
    if wanted.lower() == "ib":
        words = f"NCCL_NET={wanted}, but Slingshot has no verbs: NCCL ends"
        return bad(WHAT, words, "NCCL_NET='AWS Libfabric', or unset it") if network == "slingshot" else None
    if network not in FABRICS or nodes == 1:
        return None
    words = f"NCCL_NET={wanted}: NCCL uses TCP although the hosts have {network}"
    return (bad if nodes else note)(WHAT, words, "unset NCCL_NET")


def _is_for_slingshot(name: str) -> bool:
    """Whether a plugin uses libfabric; those of NVIDIA's images, for verbs and UCX, have nothing for Slingshot."""
    return "libfabric" in name.lower() or name.lower() == "ofi"


def _without(plugin: Plugin, network: str, nodes: int | None) -> Finding | None:
    """NCCL opens no plugin, and no setting makes it insist on one."""
    wanted = plugin.variables.get("NCCL_NET_PLUGIN", "none").lower() != "none"
    there = any(map(_is_broken, plugin.attempts))
    if network == "slingshot":
        grade = bad if nodes and nodes > 1 else note
        return grade(WHAT, f"{_state(plugin)}: NCCL would use TCP sockets on Slingshot", _cure(plugin))
    return note(WHAT, f"{_state(plugin)}: NCCL uses its own transport", _cure(plugin)) if wanted or there else None


def _state(plugin: Plugin) -> str:
    """What NCCL opens, or why it opens nothing."""
    if plugin.opened:
        return ", ".join(f"{each.name} opens and calls itself {each.network}" for each in plugin.opened)
    if not plugin.attempts:
        return "NCCL_NET_PLUGIN=none"
    broken = [each for each in plugin.attempts if _is_broken(each)]
    if broken:
        return "; ".join(_fault(each) for each in broken)
    return f"NCCL finds no {' or '.join(each.name for each in plugin.attempts)}"


def _is_broken(attempt: Attempt) -> bool:
    """Whether the library is there, but is of no use."""
    return bool(attempt.missing) or not attempt.error.startswith(f"{attempt.name}: cannot open shared object file")


def _fault(attempt: Attempt) -> str:
    if not attempt.error:
        return f"{attempt.name} opens, but has no interface that NCCL knows"
    return f"{attempt.name} needs {attempt.missing}, which is missing" if attempt.missing else attempt.error


def _cure(plugin: Plugin) -> str:
    missing = sorted({each.missing for each in plugin.attempts if each.missing})
    if missing:
        return f"put the folder of {' and '.join(missing)} on LD_LIBRARY_PATH, or load the module that has it"
    if any(_is_for_slingshot(each.network) for each in plugin.opened):
        return f"NCCL_NET={plugin.opened[0].network}, or unset it"
    tried = {each.name for each in plugin.attempts}
    other = next((path for path in plugin.files if not tried & {path, Path(path).name}), None)
    if other and Path(other).name == DEFAULT:
        return f"unset NCCL_NET_PLUGIN: NCCL then opens {other}"
    if other:
        return f"NCCL_NET_PLUGIN={other}, since NCCL opens no other name by itself than {DEFAULT}"
    return "load the site's module with aws-ofi-nccl, or give the full path of its library in NCCL_NET_PLUGIN"
