"""The commands ``llm``: what inference of large language models asks of collectives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from collbench.cli import forms, params
from collbench.cli.groups import Decorator, Group
from collbench.cli.llm_replay import replay
from collbench.cli.predict import predict
from collbench.llm.engines import ENGINES
from collbench.llm.spec import Spec, parse_dtype, parse_engine, parse_pad
from collbench.llm.steps import ALL_TO_ALLS
from collbench.printer.forms import printed


@dataclass(frozen=True)
class Spread:
    """The options that say how a model is spread over GPUs."""

    tp: int
    pp: int
    ep: int
    dp: int
    gpus_per_node: int


@dataclass(frozen=True)
class Load:
    """The options that say what is asked of a model."""

    batch: int
    prompt: int
    output: int
    speculate: int
    draft: str | None
    chunk: int | None


@dataclass(frozen=True)
class Ways:
    """The options that say what an engine does."""

    engine: str
    sequence_parallel: bool
    fuse_norms: bool
    all2all: str
    pad: tuple[int, ...] | None
    dtype: str | None


def _count(flag: str, default: int, words: str) -> Decorator:
    return click.option(flag, type=int, default=default, show_default=True, help=words)


spread = Group("spread", Spread, [
    _count("--tp", 1, "Ranks of tensor parallelism."),
    _count("--pp", 1, "Stages of pipeline parallelism."),
    _count("--ep", 1, "Ranks over which experts are spread; 1 splits every expert over all of them."),
    _count("--dp", 1, "Replicas, each with a batch of its own."),
    _count("--gpus-per-node", 8, "GPUs of a node; ranks fill one node after another."),
])  # fmt: skip
load = Group("load", Load, [
    _count("--batch", 1, "Requests at once."),
    _count("--prompt", 128, "Tokens of each prompt."),
    _count("--output", 128, "Tokens that each request yields."),
    _count("--speculate", 0, "Guessed tokens that a pass verifies beside the next one."),
    click.option("--draft", metavar="MODEL", help="Model that makes the guesses, with --tp as the other; its passes "
                 "count too."),
    click.option("--chunk", type=int, help="The most tokens of a pass.  [default: the prompts in one pass]"),
])  # fmt: skip
ways = Group("ways", Ways, [
    click.option("--engine", type=params.Parsed("engine", parse_engine, lambda: list(ENGINES)), default="vllm",
                 show_default=True, help=f"One of {', '.join(ENGINES)}."),
    click.option("--sequence-parallel", is_flag=True, help="Reduce-scatter and all-gather instead of all-reduce."),
    click.option("--fuse-norms", is_flag=True,
                 help="All-reduce, residual add and RMSNorm in one kernel where the engine can."),
    click.option("--all2all", type=click.Choice(ALL_TO_ALLS), default="naive", show_default=True,
                 help="How experts exchange tokens with --dp of 2 or more."),
    click.option("--pad", type=params.Parsed("sizes", parse_pad), default="engine", show_default=True,
                 help="Numbers of tokens for which there are CUDA graphs, as in 1,2,4,8:512:+8, or none; engine: of "
                 "vLLM V1 those it has for 256 requests and more, of others none."),
    click.option("--dtype", type=params.Parsed("type", parse_dtype),
                 help="Type of hidden states.  [default: the config's]"),
])  # fmt: skip


@click.group()
def llm() -> None:
    """What inference of large language models asks of collectives."""


@llm.command(short_help="List the collectives of a prefill and of a decode step.")
@click.argument("model")
@spread
@load
@ways
@click.option("-o", "output_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a CSV file with a row for each collective of each pass.")  # fmt: skip
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Draw calls, message steps and volumes of every split of these GPUs into tensor and pipeline "
              "parallelism, into a .png, .svg or .pdf file.")  # fmt: skip
@forms.form
def steps(
    model: str,
    spread: Spread,
    load: Load,
    ways: Ways,
    output_path: Path | None,
    chart: Path | None,
    form: forms.FormOptions,
) -> None:
    """List which collectives an engine runs in a prefill and in a decode step of MODEL, and what they send.

    MODEL is a config.json of Hugging Face, a folder with one, or one of llama-3.2-3b, llama-3.1-8b, llama-3.1-70b,
    llama-3.1-405b, llama-2-13b, qwen3-8b, qwen3-32b, qwen3-235b-a22b, mixtral-8x7b and deepseek-v3. Nothing is run.
    What was not read in an engine's source but follows from it is marked as derived; what is not known is refused.
    """
    from collbench.cli.tabular import write_table
    from collbench.llm.listing import data, page, table

    spec = Spec(model, **vars(spread), **vars(load), **vars(ways))
    listing = spec.listing()
    if output_path:
        write_table(output_path, table(listing), "llm steps")
    if chart:
        _draw(spec, chart)
    shown = page(listing)
    click.echo(printed(shown, data(listing) if form.as_json else None, form.chosen))
    forms.publish(f"collbench llm steps: {listing.deployment.model.name}", shown, os.environ)


def _draw(spec: Spec, chart: Path) -> None:
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not exist here; no chart is shown, so none is used
    from collbench.predict.characterisation import draw_spreads

    draw_spreads(spec, chart)


llm.add_command(predict)
llm.add_command(replay)
