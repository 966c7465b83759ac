"""The part of a compiler's log that is shown."""

from __future__ import annotations

from collbench.kernels.sources import error_lines


def test_long_logs_are_cut_and_warnings_left_out() -> None:
    log = "f.cu(1): warning: w\n  x\n\n" + "\n\n".join(f"f.cu({line}): error: e\n  y\n  ^" for line in range(10))
    lines = error_lines(log)
    assert lines[0] == "f.cu(0): error: e"
    assert lines[-1] == "... and 10 more lines"
    assert error_lines("what\never") == ["what", "ever"]
    assert error_lines("") == []
