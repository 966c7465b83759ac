"""Settings of a job: where profile and environment disagree, and what reached the ranks."""

from __future__ import annotations

import pytest

from collbench.doctor import settings
from collbench.doctor.findings import FINE, NOTE
from collbench.host.probes import Process
from collbench.host.settings import Conflict


def rank(**variables: str) -> Process:
    """A rank with these variables."""
    return Process("nid1", {}, (0,), 4, None, "boot", variables)


def test_a_disagreement_says_which_value_holds() -> None:
    assert settings.disagreement([]) is None
    disputed = [Conflict("NCCL_CROSS_NIC", "0", "1", False), Conflict("NCCL_DEBUG", "VERSION", "", False),
                Conflict("FI_PROVIDER", "efa", "cxi", True)]  # fmt: skip
    found = settings.disagreement(disputed)
    assert found is not None
    assert (found.grade, found.what) == (NOTE, "settings")
    assert found.found == (
        "NCCL_CROSS_NIC=0 of the environment gives way to 1; NCCL_DEBUG=VERSION of the environment is unset; "
        "FI_PROVIDER stays efa, the profile has cxi"
    )
    assert "keep = true" in found.cure
    many = settings.disagreement([Conflict(f"NCCL_{number}", "0", "1", False) for number in range(9)])
    assert many is not None
    assert many.found.endswith("; 3 more")


@pytest.mark.parametrize(
    ("given", "ranks", "words"),
    [
        ({"NCCL_NET": "x", "NCCL_DEBUG": ""}, [{"NCCL_NET": "x"}] * 2, None),
        ({"NCCL_NET": "x"}, [{"NCCL_NET": "x"}, {"NCCL_NET": "y"}], "NCCL_NET is y on 1 of 2 ranks, x in the script"),
        ({"NCCL_NET": "x"}, [{}, {}], "NCCL_NET is unset on every rank, x in the script"),
        ({}, [{"FI_PROVIDER": "cxi"}, {}], "FI_PROVIDER is cxi on 1 of 2 ranks, unset in the script"),
        ({}, [{"FI_SECRET_KEY": "cxi"}, {}], None),
    ],
)
def test_what_reached_the_ranks(given: dict[str, str], ranks: list[dict[str, str]], words: str | None) -> None:
    found = settings.arrival([rank(**each) for each in ranks], given)
    assert found is not None
    assert found.grade == (NOTE if words else FINE)
    assert found.found == (words or f"as the job's script set them ({len(given)} variable{'s' * (len(given) != 1)})")


def test_outside_a_job_there_is_nothing_to_compare() -> None:
    assert settings.arrival([rank(NCCL_NET="x")], None) is None
