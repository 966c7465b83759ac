"""The command llm replay: one sentence for what cannot be replayed, before any rank is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import Here

from collbench.cli.llm_replay import parse_spin
from collbench.errors import UsageError

REPLAY = ("llm", "replay")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("llama-3.1-8b",), "this pass sends nothing: give the model several ranks, as in tp=8."),
        (("llama-3.1-8b:tp=2:output=1",), "has no decode step, since its output is one token; give output=2 or more."),
        (("llama-3.1-8b:tp=3",), "vLLM V1 refuses --tp 3"),
        (("llama-3.1-8b:tp=2:gpus=2",), "unknown key in 'llama-3.1-8b:tp=2:gpus=2': 'gpus'"),
        (("llama-3.1-8b:tp=2", "--spin", "10us"), "--spin is for --compute spin; give both."),
        (("llama-3.1-8b:tp=2", "--compute", "spin", "--spin", "10"), "'10' is not a time; write a number and its unit"),
        (("mixtral-8x7b:tp=2", "--compute", "gemm"), "--compute gemm has no products of experts and of MLA"),
        (
            ("llama-3.1-8b:tp=2", "--backend", "mpi,nccl"),
            "a replay is on GPUs or on CPU ranks, not on both: mpi",
        ),
        (("llama-3.1-8b:tp=2", "--rest", "nccl", "--backend", "mpi"), "not on both: mpi on the CPU, nccl on the GPU"),
        (("llama-3.1-8b:tp=2", "--resume"), "--resume continues a results file; name it with -o."),
        (("llama-3.1-8b:tp=2", "--backend", "nvra"), "did you mean 'nvrar'?"),
    ],
)
def test_bad_input_gets_a_sentence(here: Here, arguments: tuple[str, ...], words: str) -> None:
    ran = here(*REPLAY, *arguments)
    assert ran.code == 2
    assert words in " ".join(ran.err.split())
    assert not list(Path().rglob("*.csv"))


def test_a_file_is_not_replaced(here: Here) -> None:
    assert here("llm", "steps", "llama-3.1-8b", "-o", "r.csv").code == 0
    asked = (*REPLAY, "llama-3.1-8b:tp=2", "-o", "r.csv")
    assert "r.csv exists; give another -o" in here(*asked).err
    assert "was not written by collbench llm replay" in here(*asked, "--resume").err


def test_times_of_a_spin() -> None:
    assert [parse_spin(text) for text in ("10us", "1.5ms", "500ns", "2µs")] == pytest.approx([1e-5, 1.5e-3, 5e-7, 2e-6])
    for text in ("0us", "2s", "us", "-1us", "inf ms", "nanms"):
        with pytest.raises(UsageError):
            parse_spin(text)
