"""The cache of what is compiled: where it is, and the message where it cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from collbench.kernels import cache as kernel_cache


def test_a_cache_that_cannot_be_written_is_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        kernel_cache.store(tmp_path / "file" / "entry", b"content")
    assert kernel_cache.load(tmp_path / "file" / "entry") is None
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "COLLBENCH_CACHE" in err


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("COLLBENCH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert kernel_cache.folder() == Path("/home/me/.cache/collbench")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert kernel_cache.folder() == Path("/scratch/collbench")
    monkeypatch.setenv("COLLBENCH_CACHE", "/here")
    assert kernel_cache.folder() == Path("/here")
