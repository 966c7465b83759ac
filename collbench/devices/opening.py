"""Opens the device of a rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collbench.devices.device import Device

if TYPE_CHECKING:
    from collbench.ranks.world import World


def open_device(kind: str, world: World) -> Device:
    """The device of this rank: the CPU, or for ``gpu`` the GPU that its local rank selects."""
    if kind == "gpu":
        from collbench.devices.gpu import Gpu

        return Gpu(world)
    from collbench.devices.cpu import Cpu

    return Cpu()
