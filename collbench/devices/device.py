"""What measuring and proving need from the memory that a collective works on, be it of a CPU or of a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from collbench.plan.dtypes import Dtype

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from collbench.ranks.world import World

Array = Any  # numpy.ndarray or cupy.ndarray: cupy's types are not known to the type checker
Call = Callable[[], object]
PERIOD = 16381  # prime; fewer than the positive values of a 16-bit float from 1 up, so codes are unique in it
# Names of types, not types: `collbench list` loads every backend, and none of them needs numpy before it runs.
Values: TypeAlias = "NDArray[Any]"
Floats: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True)
class Region:
    """Equal stretches of an arena, one a slot: ``count`` elements at ``offset + slot * stride`` bytes."""

    offset: int
    stride: int
    slots: int
    count: int
    dtype: Dtype

    def first(self, slots: int) -> Region:
        """The same stretches of the first ``slots`` slots."""
        return Region(self.offset, self.stride, slots, self.count, self.dtype)

    def part(self, start: int, count: int) -> Region:
        """``count`` elements from element ``start`` on, in every slot."""
        return Region(self.offset + start * self.dtype.itemsize, self.stride, self.slots, count, self.dtype)


@dataclass(frozen=True)
class Errors:
    """What a check found: how many elements are wrong, where the first is, and the largest error in units of u."""

    wrong: int = 0
    slot: int = 0
    index: int = 0
    units: float = 0.0


@dataclass(frozen=True)
class Expectation:
    """What one period of output must be: within ``tolerance`` of ``middle``; exactly ``value`` where that is given.

    All arrays have shape (PERIOD,). ``units`` turns an absolute error into units of u times the sum of magnitudes.
    """

    middle: Floats
    tolerance: Floats
    units: Floats
    value: Values | None


def same(got: Values, want: Values) -> NDArray[np.bool_]:
    """Where two arrays hold the same number, or both NaN."""
    import numpy as np

    return np.asarray((got == want) | (np.isnan(got) & np.isnan(want)), np.bool_)


class Sampler(Protocol):
    """Times one backend on one case. ``sample`` returns this rank's seconds per call, and whether the host was
    late: then the sample holds the host's delay and must not count."""

    def sample(self) -> tuple[float, bool]:
        """Align the ranks, run, and return (seconds per call, late)."""

    def close(self) -> None:
        """Release what the sampler holds."""


class Recording(Protocol):
    """Calls that were recorded once, to be made again and again with whatever data their buffers hold then."""

    def launch(self) -> None:
        """Enqueue all of them, in their order."""

    def close(self) -> None:
        """Release it; the device has settled before."""


class Device(Protocol):
    """Memory, patterns and clocks of the processors that hold the buffers."""

    kind: str
    name: str
    hot_bytes: int
    cold_bytes: int

    def arena(self, size: int) -> Array:
        """``size`` bytes, the same for every backend that does not bring memory of its own."""

    def view(self, arena: Array, region: Region, slot: int) -> Array:
        """One slot of a region as an array of its type (16-bit patterns for bfloat16 on GPUs)."""

    def upload(self, values: Values) -> Array:
        """A table for ``fill``."""

    def expectation(self, expected: Expectation) -> Any:
        """A table for ``judge``."""

    def fill(self, arena: Array, region: Region, table: Array, start: int, step: int) -> None:
        """Element i of slot s becomes ``table[(start + s * step + i) % PERIOD]``."""

    def poison(self, arena: Array, region: Region) -> None:
        """Set every byte to 0xFF: NaN in every float type."""

    def judge(self, arena: Array, region: Region, expected: Any, start: int, step: int) -> Errors:
        """Compare element i of slot s with ``expected[(start + s * step + i) % PERIOD]``."""

    def download(self, arena: Array, region: Region, slot: int) -> Values:
        """One slot as a numpy array of its type."""

    def settle(self) -> None:
        """Wait until everything that was enqueued is done."""

    def sampler(self, world: World, calls: Sequence[Call], mode: str, cold: bool) -> Sampler:
        """A sampler that makes ``calls`` once a sample; throughput, chain or isolated as ``mode`` says."""

    def recorded(self, calls: Sequence[Call]) -> Recording:
        """``calls`` in a CUDA graph on a GPU; on a CPU nothing but themselves. RuntimeError where one cannot be
        captured."""

    def hold_back(self, seconds: float) -> None:
        """Whatever is enqueued next begins that much later."""

    def kernels(self, call: Call) -> tuple[str, ...]:
        """Names of the GPU kernels that ``call`` launches, found without running them; none on a CPU, and none where
        the call cannot be captured."""

    def throttled(self) -> str | None:
        """Why clocks are held down at this moment, or None."""

    def facts(self) -> dict[str, Any]:
        """What the sidecar says of this device."""

    def leave(self, world: World) -> None:
        """Release what samplers on ``world`` shared; collective over its members."""

    def close(self) -> None:
        """Release memory."""
