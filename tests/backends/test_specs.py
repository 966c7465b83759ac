"""Specs of backends with labels and parameters."""

from __future__ import annotations

import pytest

from collbench.backends._specs import Spec, split
from collbench.errors import UsageError


def test_a_spec_is_a_name_a_label_and_parameters() -> None:
    assert split("nvrar-ll") == Spec("nvrar-ll", "", {})
    assert split("nvrar-ll:blocks=8:threads=256") == Spec("nvrar-ll", "", {"blocks": "8", "threads": "256"})
    assert split("nccl@tree-ll") == Spec("nccl", "tree-ll", {})
    assert split("nvrar-ll@v1.2:blocks=8") == Spec("nvrar-ll", "v1.2", {"blocks": "8"})


def test_nothing_after_an_at_sign_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="nothing after @"):
        split("nvrar@")
