"""A model on an engine as one line of text: ``llama-3.1-70b:tp=8:batch=8:fuse-norms``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from collbench.errors import UsageError, pick
from collbench.llm.engines import ENGINES
from collbench.llm.listing import Listing
from collbench.llm.models import Model, find_model
from collbench.llm.parallel import Parallel
from collbench.llm.passes import Batch
from collbench.llm.steps import ALL_TO_ALLS, Deployment
from collbench.plan.dtypes import ALIASES, DTYPES
from collbench.plan.sizes import parse_sizes

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Spec:
    """The options of ``collbench llm``. ``model`` is the name of a built-in one or the path of a config; ``pad`` None
    stands for the engine's sizes, ``dtype`` None for the config's type, ``chunk`` None for prompts in one pass;
    ``draft`` is the model that makes the guesses, None where its passes do not count."""

    model: str
    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1
    gpus_per_node: int = 8
    batch: int = 1
    prompt: int = 128
    output: int = 128
    speculate: int = 0
    draft: str | None = None
    chunk: int | None = None
    engine: str = "vllm"
    sequence_parallel: bool = False
    fuse_norms: bool = False
    all2all: str = "naive"
    pad: Sizes | None = None
    dtype: str | None = None

    def __str__(self) -> str:
        """The shortest text that ``parse_spec`` reads as this."""
        given = ((each.name, getattr(self, each.name)) for each in fields(self)[1:] if not self._is_default(each.name))
        return ":".join([self.model, *(_text(name, value) for name, value in given)])

    def _is_default(self, name: str) -> bool:
        return bool(getattr(self, name) == getattr(type(self), name))

    def listing(self) -> Listing:
        """All passes with their collectives. Raises UsageError for what the engine refuses or is not known to do."""
        parallel = Parallel(self.tp, self.pp, self.dp, self.ep, self.gpus_per_node)
        return Listing(
            self._deployed(find_model(self.model), parallel),
            Batch(self.batch, self.prompt, self.output, self.chunk, self.speculate, bool(self.draft)),
            self._drafting(self.draft, replace(parallel, ep=1)) if self.draft else None,
        )

    def _drafting(self, draft: str, parallel: Parallel) -> Deployment:
        if self.pp > 1:
            raise UsageError(f"how a draft model runs beside --pp {self.pp} is not known; leave out --draft.")
        try:
            return self._deployed(find_model(draft), parallel)
        except UsageError as error:
            raise UsageError(f"--draft {draft}: {error}") from None

    def _deployed(self, model: Model, parallel: Parallel) -> Deployment:
        engine, dtype = ENGINES[self.engine], DTYPES[self.dtype] if self.dtype else model.dtype
        if dtype is None:
            raise UsageError(f"the config of {model.name} names no type that is known; give --dtype.")
        return Deployment(
            model=model,
            engine=engine,
            parallel=parallel,
            dtype=dtype,
            sizes=engine.captured if self.pad is None else self.pad,
            scatters=self.sequence_parallel,
            fuses=self.fuse_norms,
            all_to_all=self.all2all,
        )


def parse_engine(text: str) -> str:
    """The name of an engine; UsageError for any other text."""
    return pick("engine", text, ENGINES)


def parse_dtype(text: str) -> str:
    """The name of a floating-point type, by name or alias; UsageError for any other text."""
    return pick("type", ALIASES.get(text, text), (name for name, dtype in DTYPES.items() if dtype.is_float))


def parse_pad(text: str) -> Sizes | None:
    """Numbers of tokens, () for ``none`` and None for ``engine``; UsageError for any other text."""
    return {"engine": None, "none": ()}[text] if text in {"engine", "none"} else parse_sizes(text)


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):  # not all that int() reads: 1_0 would be 10
        raise UsageError(f"{text!r} is not a whole number.")
    return int(text)


_PARSERS: Mapping[str, Callable[[str], Any]] = MappingProxyType({
    "engine": parse_engine, "dtype": parse_dtype, "draft": str, "pad": lambda text: parse_pad(text.replace("/", ",")),
    "all2all": lambda text: pick("all2all", text, ALL_TO_ALLS),
})  # fmt: skip
_FLAGS = frozenset({"sequence_parallel", "fuse_norms"})
_KEYS = tuple(each.name.replace("_", "-") for each in fields(Spec)[1:])


def _text(name: str, value: object) -> str:
    key = name.replace("_", "-")
    if name in _FLAGS:
        return key
    return f"{key}={'/'.join(map(str, value)) or 'none'}" if isinstance(value, tuple) else f"{key}={value}"


def parse_spec(text: str) -> Spec:
    """The spec ``MODEL[:KEY=VALUE...]``, whose keys are the options of ``collbench llm steps``; numbers of tokens are
    separated by ``/``, and ``sequence-parallel`` and ``fuse-norms`` have no value. Raises UsageError."""
    model, *words = text.strip().split(":")
    if not model:
        raise UsageError(f"{text!r} names no model; write MODEL:tp=8:batch=8.")
    given: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        name = pick(f"key in {text!r}:", key, _KEYS).replace("-", "_")
        if name in given:
            raise UsageError(f"{text!r} gives {key} twice; give it once.")
        if (name in _FLAGS) is bool(sign) or (sign and not value):
            raise UsageError(f"{word!r} in {text!r} is not an option; write {key}{'' if name in _FLAGS else '=VALUE'}.")
        given[name] = True if name in _FLAGS else _PARSERS.get(name, _whole)(value)
    return Spec(model, **given)
