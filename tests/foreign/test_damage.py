"""Damaged files of every format end in rows that are sound, or in a sentence, and never in a traceback."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from foreign_logs import a_result, nccl_json, nccl_tests, read_text

from collbench.errors import UsageError
from collbench.foreign.rows import Given, imported
from collbench.results.records import dump, flaw_of, parse

OSU = """\
# OSU MPI Allreduce Latency Test v7.4
# Size       Avg Latency(us)   Min Latency(us)   Max Latency(us)  Iterations
4                      10.51             10.02             11.75        1000
"""
IMB = """\
# Benchmarking Allreduce
# #processes = 2
       #bytes #repetitions  t_min[usec]  t_max[usec]  t_avg[usec]
            4         1000         1.03         1.25         1.13
"""
PARAM = "\tCOMMS-RES-all_reduce-float32    1048576    262144   61.0  61.5  62.0  60.5  62.1   17.190  32.231\n"
MSCCLPP = """\
{"name":"allreduce", "kernel":6, "ranks":8, "ranksPerNode":8, "algBw":3.98, "busBw":6.96, "size":24576, "time":6.18}
| Size (fp16) | Time (us) | AlgBW (GB/s) | Correctness | NCCL Time (us) | NCCL AlgBW | NCCL Correctness | Speed Up |
|  2.0 KiB  |  5.42  |  0.38  |  PASS  |  12.10  |  0.17  |  FAIL  |  2.23  |
"""
RCCL = """\
{"name":"AllReduce", "nodes":1, "ranks":2, "ranksPerNode":2, "gpusPerRank":1, "size":1024, "type":"float", \
"redop":"sum", "inPlace":1, "time":12.5, "algBw":0.08, "busBw":0.08, "wrong":"0"}
"""
AIC = """\
framework,version,device,op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency
TRTLLM,2.29.2,NVIDIA H100 80GB HBM3,all_gather,NCCL,half,2,256,0.00531
"""
FILES = {
    "nccl-tests": nccl_tests(), "json": nccl_json([a_result(64, 3.0), a_result(128, 4.0)]), "osu": OSU, "imb": IMB,
    "param": PARAM, "mscclpp": MSCCLPP, "rccl": 4 * RCCL, "aiconfigurator": AIC,
}  # fmt: skip
NOISE = ("\n", "0", "-1", "nan", " ", "#", "9" * 30, "|", ",", "{", "}", '"', "\0", "é", "[0] ", "1e400", "N/A")


def damaged(text: str, rng: random.Random) -> str:
    """The text with one to four parts lost, doubled or taken from another file."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        other = rng.choice(list(FILES.values()))
        begin = rng.randrange(len(other))
        put = rng.choice(["", rng.choice(NOISE), other[begin : begin + rng.randint(1, 200)]])
        text = text[:at] + put + text[at + rng.choice([0, 1, 30]) :]
    return text


GIVEN = {
    "osu": Given(ranks=2, nodes=1), "imb": Given(nodes=1), "rccl": Given(mode="chain"),
    "param": Given(ranks=8, nodes=2, mode="isolated"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_damage_ends_in_sound_rows_or_in_a_sentence(name: str) -> None:
    survived = 0
    for seed in range(120):
        text = damaged(FILES[name], random.Random(f"{name} {seed}"))
        with suppress(UsageError):
            runs = imported([read_text(text, backend="x")], GIVEN.get(name, Given()))
            rows = [record for each in runs for record, _ in each.rows]
            assert [flaw_of(row) for row in rows] == [""] * len(rows)
            assert parse(dump(rows), Path("a.csv")) == rows
            survived += 1
    assert survived > 3
