"""The command ``llm predict``: time per token from latencies of collectives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collbench.cli import forms, params
from collbench.cli.groups import Group
from collbench.errors import UsageError, pick
from collbench.llm.spec import Spec, parse_spec
from collbench.plan.layout import MOST_RANKS
from collbench.predict.compute import EFFICIENCY
from collbench.predict.gpus import GPUS
from collbench.printer.forms import printed

if TYPE_CHECKING:
    from collbench.fit.estimate import Latencies
    from collbench.predict.compute import Compute
    from collbench.predict.study import Question, Study


@dataclass(frozen=True)
class Rates:
    """The options that say how long collectives take."""

    sources: tuple[str, ...]
    rest: str | None
    prefill: str | None
    faster: tuple[float, ...]


@dataclass(frozen=True)
class Chips:
    """The options that say how long a GPU computes."""

    gpu: str | None
    efficiency: float
    compute: str | None


rates = Group("rates", Rates, [
    click.option("--source", "sources", multiple=True, metavar="[LABEL=]SOURCE",
                 help="Latencies of collectives; speed-ups are over the first. Repeatable. csv:FILE#BACKEND of a "
                 "results file, fit:FILE#BACKEND of a law fitted to it, fit:PROFILE#BACKEND of nvlink, slingshot-11 or "
                 "infiniband-ndr, engine:vllm, sglang or trtllm, or forecast:GPU:channels=C:width=GB/s of NCCL."),
    click.option("--rest", metavar="SOURCE",
                 help="Prices the collectives, sizes and worlds that a --source has not.  [default: they are refused]"),
    click.option("--prefill", metavar="SOURCE",
                 help="Prices all passes that read prompts, as where an engine uses a kernel in decode alone.  "
                 "[default: each --source its own]"),
    click.option("--faster", type=float, multiple=True, metavar="TIMES",
                 help="Also the first --source with all-reduces of 128 KiB to 2 MiB between nodes this many times as "
                 "fast. Repeatable; arXiv 2511.09557 has 1.9 to 3.6."),
])  # fmt: skip
chips = Group("chips", Chips, [
    click.option("--gpu", type=params.Parsed("gpu", lambda text: pick("GPU", text, GPUS), lambda: list(GPUS)),
                 help=f"Compute times from the data sheet of one of {', '.join(GPUS)}; splits that do not fit into its "
                 "memory are refused."),
    click.option("--efficiency", type=float, default=EFFICIENCY, show_default=True,
                 help="Share of the data sheet's peaks that products reach; assumed."),
    click.option("--compute", metavar="[TP=]TIME,...|FILE",
                 help="Time that a GPU computes for a layer in a decode step instead: 12.3us at the tp of SPEC, or "
                 "4=20us,8=12us; --gpu then serves prefills. Or a .csv file of llm replay --compute gemm, to which "
                 "--gpu adds attention."),
])  # fmt: skip


@click.command(short_help="Predict the time per token over nodes, and the share of communication.")
@click.argument("spec", type=params.Parsed("MODEL[:KEY=VALUE...]", parse_spec))
@click.option("--nodes", type=params.COUNTS, default="1,2,4,8,16", show_default=True, help="Numbers of nodes.")
@click.option("--batch", "batches", type=params.COUNTS, default=(), help="Requests at once.  [default: SPEC's]")
@rates
@chips
@click.option("-o", "output_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a CSV file with a row for each split and source.")  # fmt: skip
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for charts, which are drawn.")
@click.option("--claims", is_flag=True,
              help="Also print under which f, alpha and beta the claims of arXiv 2511.09557 come out, and what is "
              "predicted for the measurements of arXiv 2507.14392 with SPEC's model.")  # fmt: skip
@forms.form
def predict(
    spec: Spec,
    nodes: tuple[int, ...],
    batches: tuple[int, ...],
    rates: Rates,
    chips: Chips,
    output_path: Path | None,
    plots: Path | None,
    claims: bool,
    form: forms.FormOptions,
) -> None:
    """Predict TPOT, TTFT and latency of SPEC for every split into tensor and pipeline parallelism over whole nodes.

    SPEC is a model with options of llm steps: llama-3.1-70b:batch=8:gpus-per-node=4:engine=vllm. A tp or pp other than
    1 in it is kept. Every collective of a pass costs what a source says for its size, ranks and nodes, every product
    what --gpu or --compute says; nothing overlaps, one batch is in flight. Numbers are labelled measured, modelled or
    assumed after the weakest part, and f, the share of communication, stands beside every speed-up.
    """
    from collbench.cli.tabular import write_table
    from collbench.predict.records import data, table
    from collbench.predict.report import page
    from collbench.predict.study import study

    found = study(_question(spec, nodes, batches or (spec.batch,), rates, chips))
    if output_path:
        write_table(output_path, table(found), "llm predict")
    shown = page(found, claims)
    click.echo(printed(shown, data(found) if form.as_json else None, form.chosen))
    forms.publish(f"collbench llm predict: {spec.model}", shown, os.environ)
    if plots:
        _draw(found, plots)


def _question(spec: Spec, nodes: tuple[int, ...], batches: tuple[int, ...], rates: Rates, chips: Chips) -> Question:
    from collbench.fit.sources import parse_source
    from collbench.predict.sources import Backed, Faster, named
    from collbench.predict.study import Question

    if not rates.sources:
        raise UsageError(
            f"no --source says how long collectives take; for example: collbench llm predict {spec} --source "
            "fit:infiniband-ndr#nccl --source fit:infiniband-ndr#nvrar --gpu h200."
        )
    if nodes and max(nodes) * spec.gpus_per_node > MOST_RANKS:
        raise UsageError(f"--nodes {max(nodes)} has more than {MOST_RANKS} GPUs, the most that collbench lists.")
    rest = parse_source(rates.rest) if rates.rest else None

    def backed(source: Latencies) -> Latencies:
        return Backed(source, rest) if rest else source

    sources = [backed(named(text)) for text in rates.sources]
    return Question(
        spec,
        sorted(nodes),
        sorted(batches),
        [*sources, *(Faster(sources[0], times) for times in rates.faster)],
        _compute(chips, spec, batches),
        backed(parse_source(rates.prefill)) if rates.prefill else None,
        GPUS[chips.gpu] if chips.gpu else None,
    )


def _compute(chips: Chips, spec: Spec, batches: tuple[int, ...]) -> Compute:
    from collbench.predict.compute import PrefillBy, Roofline, parse_times
    from collbench.predict.replayed import replayed

    gpu = GPUS[chips.gpu] if chips.gpu else None
    roofline = Roofline(gpu, chips.efficiency) if gpu else None
    if chips.compute and chips.compute.endswith(".csv"):
        return replayed(Path(chips.compute), roofline)
    if chips.compute and len(batches) > 1:
        raise UsageError("--compute gives the times of one batch; give --batch one number.")
    given = parse_times(chips.compute, spec.tp) if chips.compute else None
    if given and roofline:
        return PrefillBy(given, roofline)
    if found := given or roofline:
        return found
    raise UsageError(
        f"how long a GPU computes is unknown; give --gpu, one of {', '.join(GPUS)}, or --compute with the time of a "
        "layer, such as 12.3us."
    )


def _draw(found: Study, folder: Path) -> None:
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not exist here; no chart is shown, so none is used
    from collbench.predict.charts import draw_all

    for path in draw_all(found, folder):
        click.echo(path, err=True)
