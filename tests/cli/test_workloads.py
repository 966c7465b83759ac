"""The option --llm of sweep: what its help shows is accepted."""

from __future__ import annotations

import re

from running import Here


def test_the_spec_in_the_help_is_planned(here: Here) -> None:
    text = here("sweep", "--help").out
    specs = re.findall(r"\S+:tp=\d\S*", text, re.IGNORECASE)
    assert specs
    for spec in specs:
        assert here("sweep", "--llm", spec.strip(",."), "--backend", "mpi", "--dry-run").code == 0
