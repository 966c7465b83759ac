"""What the script of a job notes for its ranks, as Python reads it."""

from __future__ import annotations

from collbench.host.settings import Conflict, conflicts, given, seen

NOTED = {
    "COLLBENCH_CONFLICTS": "NCCL_CROSS_NIC\t0\t1\toverruled\nFI_PROVIDER\tcxi;ofi_rxm\tcxi\tkept\nFI_A_KEY\tx\ty\tkept",
    "COLLBENCH_GIVEN": "NCCL_NET\tAWS Libfabric\nNCCL_DEBUG\t\nCUDA_VISIBLE_DEVICES\t0\nbroken",
}


def test_conflicts_are_read_by_name_and_secrets_are_not() -> None:
    assert conflicts(NOTED) == (
        Conflict("FI_PROVIDER", "cxi;ofi_rxm", "cxi", True),
        Conflict("NCCL_CROSS_NIC", "0", "1", False),
    )
    assert conflicts({}) == conflicts({"COLLBENCH_CONFLICTS": ""}) == ()


def test_what_the_script_gave_is_compared_with_what_is_seen() -> None:
    assert given(NOTED) == {"NCCL_NET": "AWS Libfabric", "NCCL_DEBUG": ""}
    assert given({}) is None
    assert seen({"NCCL_NET": "AWS\tLibfabric\n", "NCCL_A": "1", "PATH": "/bin"}) == {
        "NCCL_NET": "AWS Libfabric ", "NCCL_A": "1",
    }  # fmt: skip
