"""Configuration files: every option by its long name, named sets, and one sentence for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from collbench.cli.config_file import Values, options_of, read, under, words_of
from collbench.cli.sweep import sweep
from collbench.errors import UsageError

FILE = """
ranks = 2
backend = ["mpi", "mpi-ring"]
sizes = ["4K:64K", 8]
max-seconds = 1
variant = ["a=mpi NCCL_X=1", "b=mpi NCCL_X=2"]
[big]
minbytes = "1M"
verify = false
in-place = true
variant = []
[llm]
llm = ["llama-3.1-8b:tp=2"]
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file in this folder."""
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(FILE, encoding="utf-8")
    return Path("s.toml")


def values(name: str | None = None) -> Values:
    """The options of the file with its set ``name``."""
    return read(click.Context(sweep), "s.toml", name, sweep).values


def test_words_are_those_that_a_user_would_give(path: Path) -> None:
    two = "--ranks 2 --max-seconds 1"
    assert " ".join(words_of(sweep, values())) == (
        f"--sizes 4K:64K,8 --backend mpi,mpi-ring --variant a=mpi NCCL_X=1 --variant b=mpi NCCL_X=2 {two}"
    )
    big = "--minbytes 1M --backend mpi,mpi-ring --in-place --ranks 2 --max-seconds 1 --no-verify"
    assert " ".join(words_of(sweep, values("big"))) == big, "an empty list is no option, and sizes are given otherwise"
    assert "--ranks" not in words_of(sweep, values("llm"))


def test_an_empty_list_leaves_out_what_stands_above(path: Path) -> None:
    path.write_text('sizes = "4K"\nbackend = []\nranks = 2\n[a]\nsizes = []\nranks = []\n', encoding="utf-8")
    assert values() == {"sizes": "4K", "ranks": "2"}
    assert values("a") == {}


def test_a_file_of_an_editor_of_windows_is_read(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfranks = 2\r\n[a]\r\nranks = 3\r\n")
    assert (values(), values("a")) == ({"ranks": "2"}, {"ranks": "3"})


def test_every_option_of_sweep_but_those_of_the_file_has_a_key(path: Path) -> None:
    shown = {parameter.name for parameter in sweep.params if isinstance(parameter, click.Option)}
    named = {option.name for option in options_of(sweep).values()}
    assert shown - named == {"contests", "configured_by", "config", "set_name"}
    assert {"minbytes", "no-verify", "verify", "llm", "resume"} - options_of(sweep).keys() == {"no-verify"}


@pytest.mark.parametrize(
    ("below", "above", "kept"),
    [
        ({"sizes": "8", "op": "sum"}, {"end": "8"}, ["op"]),
        ({"begin": "8", "end": "9"}, {"end": "8"}, ["begin"]),
        ({"begin": "8", "end": "9"}, {"sizes": "8"}, []),
        ({"gpus": "8", "nodes": "2"}, {"ranks": "8"}, ["nodes"]),
        ({"dtype": "int32", "backend": "mpi"}, {"specs": "x"}, ["backend"]),
        ({"specs": "x", "backend": "mpi"}, {"dtype": "int32"}, ["backend"]),
        ({"ranks": "8", "skew": "9us"}, {"pairs": True}, []),
        ({"ranks": "8", "pairs": True}, {"pairs": False}, ["ranks"]),
        ({"resume": True}, {"force": True}, []),
        ({"latex": True}, {"as_json": True}, []),
    ],
)
def test_an_option_replaces_those_that_cannot_be_given_with_it(
    below: dict[str, Any], above: dict[str, Any], kept: list[str]
) -> None:
    assert sorted(under(below, above)) == kept


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('sizs = "4K"', "unknown option in s.toml: 'sizs'; did you mean 'sizes'?"),
        ("max_seconds = 1", "did you mean 'max-seconds'?"),
        ('[a]\nbackends = "mpi"', "unknown option in s.toml, set a: 'backends'; did you mean 'backend'?"),
        ('contests = "x"', "unknown option in s.toml: 'contests'"),
        ('config = "s.toml"', "unknown option in s.toml: 'config'"),
        ('verify = "no"', "s.toml: verify = 'no' is not true or false."),
        ("in-place = 1", "s.toml: in-place = 1 is not true or false."),
        ('launches = "3"', "s.toml: launches = '3' is not a whole number."),
        ("launches = true", "s.toml: launches = true is not a whole number."),
        ("launches = 1.5", "s.toml: launches = 1.5 is not a whole number."),
        ('max-seconds = "1"', "s.toml: max-seconds = '1' is not a number."),
        ("output = 1", "s.toml: output = 1 is not a string."),
        ("sizes = 1.5", "s.toml: sizes = 1.5 is not a string, a whole number, or a list of them."),
        ("ranks = [1, true]", "is not a string, a whole number, or a list of them."),
        ("[a.b]\nranks = 2", "s.toml, set a: 'b'"),
        ("[a.ranks]\nx = 2", "s.toml, set a: ranks = {'x': 2} is not a string"),
        ("launches = 0", "s.toml: launches = 0: 0 is not in the range x>=1."),
        ("max-seconds = inf", "s.toml: max-seconds = inf: "),
        ('sizes = ["4K", "4X"]', "s.toml: sizes = '4K,4X': '4X' is not a valid size"),
        ('dtype = "int31"', "s.toml: dtype = 'int31': unknown dtype 'int31'; did you mean 'int32'?"),
        ('variant = "mpi"', "s.toml: variant = ['mpi']: "),
        ('["a b"]\nranks = 2', "s.toml: 'a b' is not a name of a set; use letters"),
        ("ranks = ", "s.toml is not TOML: "),
        ("ranks = 2\nranks = 3", "s.toml is not TOML: "),
    ],
)
def test_a_mistake_is_named_with_its_place(path: Path, text: str, words: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        values()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_sets_and_files_that_are_not_there(path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown set of s\.toml 'bgi'; did you mean 'big'\?"):
        values("bgi")
    path.write_bytes(b"sizes = '\xff'")
    with pytest.raises(UsageError, match=r"s\.toml is not TOML: .*utf-8"):
        values()
    path.write_text("", encoding="utf-8")
    assert values() == {}
    with pytest.raises(UsageError, match=r"s\.toml has no sets; add a table \[big\], or omit --set\."):
        values("big")
    path.unlink()
    with pytest.raises(UsageError, match=r"s\.toml cannot be read: No such file or directory; give a TOML file"):
        values()


def test_the_value_of_a_set_is_checked_when_it_is_chosen(path: Path) -> None:
    path.write_text('[a]\ndtype = "int31"\n[b]\ndtype = "int32"\n', encoding="utf-8")
    assert values("b") == {"dtype": "int32"}
    with pytest.raises(UsageError, match=r"s\.toml, set a: dtype = 'int31': unknown dtype"):
        values("a")
