"""Specs of backends with parameters."""

from __future__ import annotations

from collbench.backends._specs import split


def test_a_spec_is_a_name_and_parameters() -> None:
    assert split("nvrar-ll") == ("nvrar-ll", {})
    assert split("nvrar-ll:blocks=8:threads=256") == ("nvrar-ll", {"blocks": "8", "threads": "256"})
