"""The protocols that every device implements: memory, test patterns, samplers and recordings, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from collbench.host.memory import Room
from collbench.plan.dtypes import Dtype

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from collbench.ranks.world import World

Array = Any  # numpy.ndarray or cupy.ndarray; cupy has no types for mypy
Call = Callable[[], object]
PERIOD = 16381  # prime; fewer than the positive values of a 16-bit float from 1 up, so codes are unique in it
# As strings: `collbench list` imports every backend, and numpy should not be imported before a backend runs.
Values: TypeAlias = "NDArray[Any]"
Floats: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True)
class Region:
    """Equal ranges of an arena, one per slot: ``count`` elements at ``offset + slot * stride`` bytes."""

    offset: int
    stride: int
    slots: int
    count: int
    dtype: Dtype

    def first(self, slots: int) -> Region:
        """The region limited to its first ``slots`` slots."""
        return Region(self.offset, self.stride, slots, self.count, self.dtype)

    def part(self, start: int, count: int) -> Region:
        """``count`` elements from element ``start`` in every slot."""
        return Region(self.offset + start * self.dtype.itemsize, self.stride, self.slots, count, self.dtype)


@dataclass(frozen=True)
class Errors:
    """The result of a check: number of wrong elements, slot and index of the first, largest error in units of u."""

    wrong: int = 0
    slot: int = 0
    index: int = 0
    units: float = 0.0


@dataclass(frozen=True)
class Expectation:
    """One period of correct output: within ``tolerance`` of ``middle``, or exactly ``value`` where that is given.

    All arrays have shape (PERIOD,). ``units`` turns an absolute error into units of u times the sum of magnitudes.
    """

    middle: Floats
    tolerance: Floats
    units: Floats
    value: Values | None


@dataclass(frozen=True)
class Rows:
    """Normalised rows to judge: ``normalised`` and ``residual`` are whole rows of ``hidden`` elements, in as many
    slots, of a type of 16 bits. ``roundings``: the relative error allowed, in units of u; 0: the bits of
    ``plan.rms_norm`` (any NaN for a NaN)."""

    normalised: Region
    residual: Region
    hidden: int
    roundings: int


def same(got: Values, want: Values) -> NDArray[np.bool_]:
    """Elementwise: whether both arrays hold the same number or both hold NaN."""
    import numpy as np

    return np.asarray((got == want) | (np.isnan(got) & np.isnan(want)), np.bool_)


class Sampler(Protocol):
    """Times one backend on one case. A sample for which the host was late includes the host's delay and must be
    discarded."""

    def sample(self) -> tuple[float, bool]:
        """Align the ranks, run, and return (this rank's seconds per call, whether the host was late)."""

    def skewed(self, delay: float) -> tuple[float, float, bool]:
        """Align the ranks, hold this one back for ``delay`` seconds, run, and return (seconds from the aligned start to
        this rank's arrival at the first call, seconds from there to the end of the last, whether the host was late).

        The arrival is measured: a rank may be later than it was asked to be.
        """

    def close(self) -> None:
        """Release the sampler's resources."""


class Recording(Protocol):
    """Calls recorded once for repeated launches; each launch uses the data that the buffers then hold."""

    def launch(self) -> None:
        """Enqueue all recorded calls in order."""

    def close(self) -> None:
        """Release the recording; the caller has waited for the device."""


class Device(Protocol):
    """Memory, test patterns and clocks of the processor that holds the buffers."""

    kind: str
    name: str
    hot_bytes: int
    cold_bytes: int

    def room(self, ranks: int) -> Room:
        """Memory that this rank, one of ``ranks`` on its host, may still allocate for buffers."""

    def arena(self, size: int) -> Array:
        """``size`` bytes of memory, shared by all backends that do not allocate their own."""

    def view(self, arena: Array, region: Region, slot: int) -> Array:
        """One slot of a region as an array of its type (16-bit patterns for bfloat16 on GPUs)."""

    def upload(self, values: Values) -> Array:
        """``values`` as a table for ``fill``."""

    def expectation(self, expected: Expectation) -> Any:
        """``expected`` as a table for ``judge``."""

    def fill(self, arena: Array, region: Region, table: Array, start: int, step: int) -> None:
        """Set element i of slot s to ``table[(start + s * step + i) % PERIOD]``."""

    def poison(self, arena: Array, region: Region) -> None:
        """Set every byte to 0xFF: NaN in every float type."""

    def judge(self, arena: Array, region: Region, expected: Any, start: int, step: int) -> Errors:
        """Compare element i of slot s with ``expected[(start + s * step + i) % PERIOD]``."""

    def judge_rows(self, arena: Array, rows: Rows, weights: Array, start: int, step: int) -> Errors:
        """Compare normalised rows with those of the residual beside them, whose weight of element i of a row of slot s
        is ``weights[(start + s * step + i) % PERIOD]``, a table from ``upload``. An index counts elements of a slot."""

    def download(self, arena: Array, region: Region, slot: int) -> Values:
        """One slot as a numpy array of its type."""

    def settle(self) -> None:
        """Wait until all enqueued work is complete."""

    def sampler(self, world: World, calls: Sequence[Call], mode: str, cold: bool) -> Sampler:
        """A sampler that makes ``calls`` once per sample; ``mode`` is throughput, chain or isolated."""

    def recorded(self, calls: Sequence[Call]) -> Recording:
        """``calls`` as a CUDA graph on a GPU, as a plain sequence on a CPU; raises RuntimeError where one cannot be
        captured."""

    def hold_back(self, seconds: float) -> None:
        """Delay all work that is enqueued after this call by ``seconds``."""

    def kernels(self, call: Call) -> tuple[str, ...]:
        """Names of the GPU kernels that ``call`` launches, found without running them; empty on a CPU and where the
        call cannot be captured."""

    def throttled(self) -> str | None:
        """Why the clocks are throttled now, or None."""

    def facts(self) -> dict[str, Any]:
        """This device's entry in the sidecar."""

    def leave(self, world: World) -> None:
        """Release what the samplers on ``world`` shared; collective over its members."""

    def close(self) -> None:
        """Release the arena."""
