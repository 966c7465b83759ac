"""The tuned table: what it is keyed by, which sizes it is believed for, and how it is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collbench.errors import UsageError
from collbench.tune.table import (
    Choice,
    Key,
    Table,
    choose,
    dump,
    key_of,
    load,
    merge,
    parse,
    read_tables,
    save,
    user_path,
)

ROOT = Path(__file__).parents[2]
H200 = Key(
    backend="nvrar", collective="all_reduce", dtype="bfloat16", op="sum", device="NVIDIA H200",
    fabric="nvlink-virtual", layout="2x2", driver="13.0", nccl="2.28", nvshmem="3.4",
)  # fmt: skip


def a_choice(size: int, spec: str = "nvrar-ll:blocks=8", us: float = 4.5) -> Choice:
    """A choice at ``size`` bytes that was 20 % faster than the default."""
    return Choice(size, spec, us, "nvrar-ll", us * 1.25, 5, "20260102T030405-here")


def a_table(*sizes: int) -> Table:
    """A table for one key; each spec names its size."""
    return {H200: tuple(a_choice(size, f"at-{size}") for size in sizes)}


def key_from(facts: dict[str, object], versions: dict[str, str]) -> Key:
    return key_of("nvrar", "all_reduce", "bfloat16", "sum", 2, 2, "nvlink-virtual", facts, versions)


def test_a_sidecar_gives_the_key_that_the_machine_gives() -> None:
    launch = json.loads((ROOT / "results" / "h200x4-modes.json").read_text(encoding="utf-8"))["launches"][0]
    assert key_from(launch["ranks"][0]["gpu"], launch["versions"]) == H200


@pytest.mark.parametrize(
    ("driver", "nccl", "nvshmem", "same"),
    [
        (13000, "2.28.3", "3.4.6", True),
        (13010, "2.28.9", "3.4.5", False),
        (13000, "2.29.1", "3.4.5", False),
        (13000, "2.28.9", "3.5.0", False),
    ],
)
def test_versions_count_to_the_minor_one(driver: int, nccl: str, nvshmem: str, same: bool) -> None:
    facts = {"name": "NVIDIA H200", "driver": driver, "nccl": nccl}
    assert (key_from(facts, {"nvidia-nvshmem-cu13": nvshmem}) == H200) is same


def test_a_cpu_has_no_driver() -> None:
    key = key_of("x", "all_reduce", "float32", "sum", 2, None, "shm", {"name": "Xeon"}, {"python": "3.12.3"})
    assert (key.device, key.driver, key.nccl, key.nvshmem, key.layout) == ("Xeon", "", "", "", "2xuneven")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (4096, "at-4096"),
        (5000, "at-4096"),
        (6000, "at-8192"),  # nearer in ratio, though not in bytes
        (2048, "at-4096"),
        (2047, None),
        (65536, "at-32768"),  # as near to 128 KiB: the smaller counts
        (262144, "at-131072"),
        (262145, None),
    ],
)
def test_the_nearest_size_in_ratio_is_chosen_within_a_factor_of_two(size: int, expected: str | None) -> None:
    assert choose([a_table(8192, 4096, 131072, 32768)], H200, size) == expected


@pytest.mark.parametrize("name", ["backend", "dtype", "op", "device", "fabric", "layout", "driver", "nccl", "nvshmem"])
def test_another_system_s_choice_is_not_believed(name: str) -> None:
    other: dict[str, Any] = {name: "other"}
    assert choose([a_table(4096)], replace(H200, **other), 4096) is None


def test_rows_of_another_length_have_choices_of_their_own() -> None:
    rows = replace(H200, hidden=4096)
    table: Table = {**a_table(4096), rows: (a_choice(4096, "fused"),)}
    assert choose([table], rows, 4096) == "fused"
    assert choose([table], replace(H200, hidden=8192), 4096) is None
    assert parse(dump(table), Path("here")) == table
    assert dump(table).count("hidden") == 1, "a table without rows is as before"


def test_the_first_table_that_has_a_size_wins() -> None:
    mine: Table = {H200: (a_choice(4096, "mine"),)}
    ours: Table = {H200: (a_choice(4096, "ours"), a_choice(65536, "ours"))}
    assert [choose([mine, ours], H200, size) for size in (4096, 8192, 65536)] == ["mine", "mine", "ours"]


def test_new_choices_replace_those_of_the_same_key_and_size() -> None:
    other = replace(H200, dtype="float32")
    old: Table = {H200: (a_choice(4096, "old"), a_choice(8192, "old")), other: (a_choice(4096, "old"),)}
    merged = merge(old, {H200: (a_choice(8192, "new"), a_choice(2048, "new"))})
    assert {choice.bytes: choice.spec for choice in merged[H200]} == {4096: "old", 8192: "new", 2048: "new"}
    assert merged[other] == old[other]


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tuned.toml"
    strange = replace(H200, device='A "strange" \\ µ-device\n')
    table: Table = {strange: (a_choice(8192),), H200: (a_choice(4096), a_choice(8192))}
    save(path, table)
    assert load(path) == table
    assert [each.name for each in path.parent.iterdir()] == ["tuned.toml"]


def test_its_text_is_sorted_and_has_a_line_for_each_size() -> None:
    text = dump(a_table(8192, 4096))
    assert text == dump(a_table(4096, 8192))
    assert text.splitlines()[-3:] == [
        '  { bytes = 4096, spec = "at-4096", us = 4.5, default = "nvrar-ll", default_us = 5.625, launches = 5, '
        'run = "20260102T030405-here" },',
        '  { bytes = 8192, spec = "at-8192", us = 4.5, default = "nvrar-ll", default_us = 5.625, launches = 5, '
        'run = "20260102T030405-here" },',
        "]",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema = ", "is not a tuned table"),
        ("", "is not a tuned table of collbench .'schema'.; fix or remove it"),
        ("schema = 2", "newer collbench"),
        ('schema = 1\n[[tuned]]\nbackend = "x"\nsizes = []\n', "is not a tuned table"),
        (dump(a_table(4096)).replace("4096,", "0,"), "bytes = 0"),
        (dump(a_table(4096)).replace("launches", "lunches"), "is not a tuned table"),
        (
            dump(a_table(4096)).replace("sizes =", 'hidden = "8"\nsizes ='),
            "table of collbench .hidden = .8.",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(text, Path("t.toml"))


def test_where_the_user_s_table_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COLLBENCH_TUNED", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert user_path() == Path("/home/me/.config/collbench/tuned.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/me")
    assert user_path() == Path("/etc/me/collbench/tuned.toml")
    monkeypatch.setenv("COLLBENCH_TUNED", str(tmp_path / "mine.toml"))
    assert user_path() == tmp_path / "mine.toml"
    assert read_tables()[0] == {}
    save(user_path(), a_table(4096))
    assert choose(read_tables(), H200, 4096) == "at-4096"


def test_a_table_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        save(tmp_path / "file" / "tuned.toml", a_table(4096))
