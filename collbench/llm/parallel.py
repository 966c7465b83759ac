"""How a model is spread over GPUs: the numbers of ranks, the groups that they form, and the nodes on which they are."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.errors import UsageError
from collbench.plan.layout import MOST_RANKS, Groups


@dataclass(frozen=True)
class Parallel:
    """Tensor, pipeline, data and expert parallelism, as numbers of ranks.

    Ranks are numbered through tensor parallelism first, then stages, then replicas (P: TensorRT-LLM mapping.py; vLLM
    and SGLang derived). Experts are spread over ``ep`` ranks; 1 means that each expert is split over the ranks of
    tensor parallelism. ``node`` is the number of GPUs of a node.
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    node: int = 8

    def __post_init__(self) -> None:
        for name in ("tp", "pp", "dp", "ep", "node"):
            if getattr(self, name) < 1:
                flag = "--gpus-per-node" if name == "node" else f"--{name}"
                raise UsageError(f"{flag} is {getattr(self, name)}; it must be at least 1.")
        if max(self.ranks, self.node) > MOST_RANKS:
            raise UsageError(
                f"{max(self.ranks, self.node)} GPUs are more than collbench lists; the most are {MOST_RANKS}."
            )

    @property
    def ranks(self) -> int:
        """GPUs in all."""
        return self.tp * self.pp * self.dp

    def rank(self, replica: int, stage: int, place: int) -> int:
        """The number of the rank at ``place`` in tensor parallelism."""
        return (replica * self.pp + stage) * self.tp + place

    def node_of(self, rank: int) -> int:
        """The number of the node of a rank."""
        return rank // self.node

    def tp_groups(self, stage: int) -> Groups:
        """The groups of tensor parallelism of a stage, one for each replica."""
        return tuple(tuple(self.rank(d, stage, i) for i in range(self.tp)) for d in range(self.dp))

    def dp_groups(self, stage: int) -> Groups:
        """The ranks of a stage that hold the same part of the model in every replica, for each such part."""
        return tuple(tuple(self.rank(d, stage, i) for d in range(self.dp)) for i in range(self.tp))

    def moe_groups(self, stage: int) -> Groups:
        """The group over which the experts of a stage are spread with data parallelism: all its ranks."""
        return (tuple(rank for group in self.tp_groups(stage) for rank in group),)

    def hops(self, stage: int) -> Groups:
        """Pairs of ranks that send from a stage to the next one, from the last to the first."""
        after = (stage + 1) % self.pp
        return tuple((self.rank(d, stage, i), self.rank(d, after, i)) for d in range(self.dp) for i in range(self.tp))

    def in_one_node(self, groups: Groups) -> bool:
        """Whether no group spans several nodes."""
        return all(len({self.node_of(rank) for rank in group}) == 1 for group in groups)
