"""A kernel with its parameters: the problems that it refuses, its launch shapes and its compile-time defines; pure."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from collbench.errors import UsageError, pick
from collbench.kernels import rows
from collbench.kernels.abi import CELL, Scratch, args_type, mark_enumerators
from collbench.kernels.formula import value
from collbench.kernels.header import MOST_BLOCKS, MOST_THREADS, KernelFile
from collbench.plan.problem import Problem
from collbench.plan.refusals import other_collective, uneven_nodes

Shape = Mapping[str, int]  # of a launch: blocks, threads, pdl and the kernel's own parameters
FEW_ROUNDS = 4
CHUNK = "COLL_CHUNK"  # KiB of a put, at most (common/nodes.cuh)
RANGES = {"blocks": range(1, MOST_BLOCKS + 1), "threads": range(1, MOST_THREADS + 1), "pdl": range(2)}
MOST_RANKS = 255  # gates in common/args.cuh
OUTBOX_SLACK = MOST_RANKS * CELL  # its boxes are as long as a shard, rounded up to whole cells
WIDEST_WITH_NAN = 4  # bytes of the elements whose sums leave a word for "not arrived" (common/cells.cuh)


def plain(define: str) -> str:
    """The user-facing name of a compile-time parameter: ``batch`` for ``COLL_BATCH``."""
    return define.removeprefix("COLL_").lower()


def chunk_cells(shape: Shape) -> int:
    """Cells of a put, at most, of kernels that put chunks; else 0."""
    return shape.get(CHUNK, 0) * 1024 // CELL


@dataclass(frozen=True)
class Kernel:
    """One kernel file with its fixed parameters; the others are chosen by message size."""

    file: KernelFile
    parameters: Mapping[str, int] = field(default_factory=dict)

    def configured(self, parameters: Mapping[str, str]) -> Kernel:
        """This kernel with ``blocks``, ``threads``, ``pdl`` (0 or 1) or its own parameters fixed; raises UsageError."""
        own = {plain(name): name for name in self.file.defines}
        chosen: dict[str, int] = {}
        for name, text in parameters.items():
            known = pick(f"parameter of {self.file.name}", name, [*RANGES, *own])
            if not text.isdecimal():
                raise UsageError(f"{self.file.name}: {name}={text!r} is not a whole number.")
            allowed = RANGES[known] if known in RANGES else self.file.defines[own[known]]
            if int(text) not in allowed:
                values = f"from {allowed[0]} to {allowed[-1]}" if known in RANGES else " or ".join(map(str, allowed))
                raise UsageError(f"{self.file.name}: {name}={text} is not {values}.")
            chosen[own.get(known, known)] = int(text)
        return replace(self, parameters=chosen)

    def refuses(self, problem: Problem) -> str | None:
        """Why the file's header excludes ``problem``, or None."""
        file = self.file
        return (
            other_collective(file.name, problem, file.collective)
            or self._unsupported(problem.dtype.name, file.dtypes)
            or (self._unsupported(problem.op, file.ops) if problem.op else None)
            or uneven_nodes(file.name, problem)
            or self._too_large(problem)
        )

    def _unsupported(self, asked: str, supported: Sequence[str]) -> str | None:
        return None if asked in supported else f"{self.file.name} does not support {asked}, only {', '.join(supported)}"

    def _too_large(self, problem: Problem) -> str | None:
        file = self.file
        most = min(file.max_ranks or MOST_RANKS, MOST_RANKS)
        if problem.layout.size > most:
            return f"{file.name} supports at most {most} ranks"
        if file.max_bytes and problem.bytes > file.max_bytes:
            return f"{file.name} supports messages up to {file.max_bytes} bytes"
        return None

    def wire_bytes(self, problem: Problem) -> float:
        """Bytes that one rank sends per call, flags included."""
        return self.formula(self.file.wire, problem, problem.bytes) * (2 if self.flagged(problem) else 1)

    def flagged(self, problem: Problem) -> bool:
        """Whether cells carry flags. Where words may have any bits, Lamport cells need notes on those that escape: not
        under headers without them, nor between nodes, which a note, a store, does not reach."""
        file, dtype = self.file, problem.dtype
        if file.cell == "ll" or not (file.escapes or dtype.is_float):
            return True
        any_bits = not (problem.collective.reduces and dtype.is_float and dtype.itemsize <= WIDEST_WITH_NAN)
        return file.nodes == "any" and any_bits

    def formula(self, text: str, problem: Problem, size: int) -> float:
        """The value of a header's formula for a message of ``size`` bytes, without flags."""
        layout = problem.layout
        return value(text, P=layout.size, G=layout.per_node or layout.size, N=layout.node_count, S=size)

    # ---- Launch shapes ----

    def cells(self, problem: Problem) -> int:
        """Cells of the message, or of a shard or a row, which the threads of a rank divide among them."""
        if problem.hidden:
            return rows.cells(problem)
        payload = 8 if self.flagged(problem) else 16
        return -(-problem.bytes // payload // self.parts(problem))

    def parts(self, problem: Problem) -> int:
        """Number of shards of the message."""
        if problem.collective.splits:
            return problem.layout.size
        return 1 if self.file.order == "flat" else problem.layout.per_node or 1

    def shape(self, problem: Problem) -> dict[str, int]:
        """Parameters of a launch: as given, else the fewest threads per block that handle the message in one round, and
        as many blocks as then have work."""
        shape = {name: values[0] for name, values in self.file.defines.items()} | dict(self.parameters)
        if problem.hidden:
            return shape | rows.shape(self.file, problem) | {"pdl": 1} | dict(self.parameters)
        cells, batch = self.cells(problem), self._batch(problem, shape)
        most = shape.get("blocks", max(self.file.blocks))
        chunk = chunk_cells(shape)
        useful = min(cells, chunk) if chunk else -(-cells // (batch * most))
        enough = (threads for threads in sorted(self.file.threads) if threads >= useful)
        shape.setdefault("threads", next(enough, max(self.file.threads)))
        shape.setdefault("blocks", max(1, min(most, -(-cells // (chunk or shape["threads"] * batch)))))
        shape.setdefault("pdl", 1)
        return shape

    def _batch(self, problem: Problem, shape: dict[str, int]) -> int:
        """Cells of a thread at once: as given, else two where parts are sent in more than a round of all threads."""
        many = self.cells(problem) > max(self.file.blocks) * max(self.file.threads)
        if many and problem.collective.splits and "COLL_BATCH" in shape and "COLL_BATCH" not in self.parameters:
            shape["COLL_BATCH"] = 2
        return shape.get("COLL_BATCH", 1)

    def candidates(self, problem: Problem) -> tuple[str, ...]:
        """Launch shapes to try: the default, then those that leave no block idle and in which no thread handles many
        cells in sequence while more blocks are available."""
        file = self.file
        shapes = []
        for blocks, threads, *values in product(file.blocks, file.threads, *file.defines.values()):
            own = dict(zip(file.defines, values, strict=True))
            if self._suits(problem, blocks, threads, own):
                shapes.append({"blocks": blocks, "threads": threads} | own)
        tails = [":".join(f"{plain(name)}={number}" for name, number in shape.items()) for shape in shapes]
        return (file.name, *(f"{file.name}:{tail}" for tail in tails))

    def _suits(self, problem: Problem, blocks: int, threads: int, own: Shape) -> bool:
        if problem.hidden and not rows.suits(threads, problem):
            return False
        chunk, cells = chunk_cells(own), self.cells(problem)
        if chunk // 2 >= cells and own[CHUNK] > min(self.file.defines[CHUNK]):
            return False  # a smaller one holds the message as well
        if chunk and blocks > 1 and blocks * chunk // 2 >= cells:
            return False
        at_once = blocks * threads * own.get("COLL_BATCH", 1)
        if problem.hidden:
            at_once, cells = blocks, rows.count(problem)
        busy = blocks == min(self.file.blocks) or at_once // 2 < cells
        return busy and (at_once * FEW_ROUNDS >= cells or 2 * blocks >= max(self.file.blocks))

    # ---- Compiling, and the scratch ----

    def defines(self, problem: Problem, shape: Mapping[str, int], scratch: Scratch) -> dict[str, str | int]:
        """The macros that it is compiled with for ``problem`` and the launch shape ``shape``."""
        layout = problem.layout
        own = {name: number for name, number in shape.items() if name in self.file.defines}
        return {
            "COLL_DTYPE": problem.dtype.name, "COLL_OP": problem.op or "none",
            "COLL_NODES": layout.node_count, "COLL_LOCAL": layout.per_node or 1,
            "COLL_FLAGGED": int(self.flagged(problem)), "COLL_THREADS": shape["threads"], "COLL_TILE": self.file.tile,
            "COLL_FLAGGED_HALF": scratch.flagged_half, "COLL_LAMPORT_HALF": scratch.lamport_half,
            "COLL_OUTBOX_HALF": scratch.outbox_half,
            "COLL_ARGS_BYTES": ctypes.sizeof(args_type(layout.size)),
            "COLL_PHASES": mark_enumerators(self.file.phases, layout.node_count),
            **({"COLL_PARTS": 1} if problem.collective.splits else {}), **own, **rows.defines(problem),
        }  # fmt: skip

    def tiles_bytes(self, problem: Problem) -> int:
        """The most bytes that rounding its slots up to whole tiles can cost: one tile per slot."""
        slots = self.formula(self.file.scratch, problem, 1) * self.parts(problem)
        return (math.ceil(slots) + 1) * self.file.tile * CELL

    def outbox_bytes(self, problem: Problem, size: int) -> float:
        """Bytes of the outbox that a message of ``size`` bytes takes, flags included."""
        flags = 2 if self.flagged(problem) else 1
        return flags * self.formula(self.file.outbox, problem, size) if self.file.outbox else 0

    def elements_at_once(self, problem: Problem, scratch: Scratch) -> int:
        """Elements that fit one launch with this scratch; 0 where it is too small."""
        half = scratch.flagged_half // 2 if self.flagged(problem) else scratch.lamport_half  # half of a cell is flag
        slack = max(scratch.slack, self.tiles_bytes(problem))
        size = max(0, half - slack) / self.formula(self.file.scratch, problem, 1)
        if packed := self.outbox_bytes(problem, 1):
            size = min(size, max(0, scratch.outbox_half - OUTBOX_SLACK) / packed)
        unit = 65536 if size >= 65536 else 1024
        return rows.whole(int(size) // unit * unit // problem.dtype.itemsize, problem)
