"""The sidecar of a launch: whole, JSON, without secrets."""

from __future__ import annotations

import json
import os

from collbench.measure.sidecar import launch_facts


def test_the_sidecar_is_json_and_holds_what_it_is_given() -> None:
    content = launch_facts(["sweep"], ranks=[{"rank": 0, "host": "here"}])
    there = json.loads(json.dumps(content))
    assert there == content
    assert there["argv"] == ["sweep"]
    assert there["ranks"] == [{"rank": 0, "host": "here"}]
    assert there["machine"]["cores"] == len(os.sched_getaffinity(0))
