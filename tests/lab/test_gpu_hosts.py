"""Which links and launches lab.gpu_hosts measures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from lab import gpu_hosts
from lab.launch import options


def test_every_link_has_options_of_the_launcher_and_four_are_in_full() -> None:
    found = {name: options().parse_args([*words, "--", "sweep"]) for name, words in gpu_hosts.links().items()}
    assert len(found) == 12
    assert (found["0us"].delay_us, found["0us"].rate_mbit) == (0, None)
    assert (found["1ms-1g"].delay_us, found["1ms-1g"].rate_mbit) == (1000, 1000)
    assert set(gpu_hosts.IN_FULL) < set(found)


def test_a_file_is_continued_until_all_its_launches_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, codes = tmp_path / "hosts-1ms-1g.csv", [0, 3, *[0] * 20]
    job = [*gpu_hosts.hosts("0,1:2,3"), *gpu_hosts.links()["1ms-1g"]]

    def run(given: argparse.Namespace) -> int:
        assert (given.hosts, given.per_host, given.gpus, given.delay_us) == (2, 2, "0,1:2,3", 1000)
        assert given.words[-1] == str(path)
        path.with_suffix(".json").write_text(json.dumps({"launches": [{}] * (gpu_hosts.launches(path) + 1)}))
        return codes.pop(0)

    monkeypatch.setattr(gpu_hosts, "run", run)
    with pytest.raises(SystemExit) as ended:
        gpu_hosts.measure(path, job, gpu_hosts.FULL)
    assert (ended.value.code, gpu_hosts.launches(path)) == (3, 2)
    gpu_hosts.measure(path, job, gpu_hosts.FULL)
    gpu_hosts.measure(path, job, gpu_hosts.FULL)
    assert (gpu_hosts.launches(path), len(codes)) == (15, 7)
