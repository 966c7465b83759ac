"""Numbers in several locales, and names of types and collectives in those of ours."""

from __future__ import annotations

import pytest

from collbench.foreign.words import collective_of, dtype_of, itemsize_of, number, positive, sized, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [("12.5", 12.5), ("12,5", 12.5), ("1.234,5", 1234.5), ("1,234.5", 1234.5), ("0e+00", 0.0), ("1e3", 1000.0)],
)
def test_numbers_have_a_decimal_point_or_comma(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "N/A", "nan", "inf", "1_000", "1.2.3", "12us"])
def test_other_text_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r".?"):
        number(text)


@pytest.mark.parametrize("text", ["0", "-1", "0.00"])
def test_a_latency_is_positive(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        positive(text)


@pytest.mark.parametrize(
    ("text", "value"), [("1024", 1024), ("1,048,576", 1 << 20), ("1.048.576", 1 << 20), ("1'024", 1024)]
)
def test_whole_numbers_may_be_grouped(text: str, value: int) -> None:
    assert whole(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("24.0 KiB", 24576), ("1.5 MiB", 3 << 19), ("512.0 B", 512), ("1,5 MiB", 3 << 19)]
)
def test_sizes_with_units(text: str, value: int) -> None:
    assert sized(text) == value


def test_a_size_that_was_rounded_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.1 KiB"):
        sized("1.1 KiB")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("Allreduce", "all_reduce"), ("Reduce_scatter", "reduce_scatter"), ("Bcast", "broadcast"), ("Reduce", ""),
     ("alltoall", "all_to_all"), ("all_gather_base", "all_gather"), ("sendrecv", "send_recv"), ("scatter", "")],
)  # fmt: skip
def test_collectives(theirs: str, ours: str) -> None:
    assert collective_of(theirs) == ours


@pytest.mark.parametrize(
    ("theirs", "ours", "size"),
    [("half", "float16", 2), ("bfloat16", "bfloat16", 2), ("MPI_FLOAT", "float32", 4), ("MPI_CHAR", "int8", 1),
     ("f8e4m3", "float8_e4m3", 1), ("uint64", "uint64", 8), ("odd", "odd", None)],
)  # fmt: skip
def test_types(theirs: str, ours: str, size: int | None) -> None:
    assert (dtype_of(theirs), itemsize_of(dtype_of(theirs))) == (ours, size)
