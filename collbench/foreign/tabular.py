"""Tables of values with a heading: CSV with commas, semicolons or tabs, and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from collbench.errors import UsageError
from collbench.foreign.source import Source

PARQUET = b"PAR1"
Cells = Mapping[str, str]


def header_of(source: Source) -> tuple[str, ...]:
    """The columns in the first line of a file of text, or of a Parquet file; () for other files."""
    if source.content.startswith(PARQUET):
        return tuple(_frame(source).columns)
    first = source.text.lstrip().partition("\n")[0].strip("\r")
    return tuple(cell.strip().strip('"') for cell in first.split(_separator(first)))


def rows_of(source: Source) -> Iterator[tuple[int, Cells]]:
    """The number of the line and the cells of each row by their columns; of a Parquet file, the number of the row."""
    if source.content.startswith(PARQUET):
        frame = _frame(source)
        for number, values in enumerate(frame.itertuples(index=False, name=None), start=1):
            yield number, {name: str(value) for name, value in zip(frame.columns, values, strict=True)}
        return
    text = source.text
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text.lstrip().partition("\n")[0]))
    header: list[str] = []
    for cells in reader:
        if not any(cells):
            continue
        if not header:
            header = [cell.strip() for cell in cells]
        elif len(cells) == len(header):
            yield reader.line_num, dict(zip(header, map(str.strip, cells), strict=True))


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _frame(source: Source):  # type: ignore[no-untyped-def]
    try:
        import pandas as pd

        return pd.read_parquet(io.BytesIO(source.content))
    except ImportError:
        raise UsageError(
            f"{source.path} is a Parquet file, which needs pyarrow; install it with pip install 'collbench[parquet]'."
        ) from None
    except Exception as error:  # pyarrow's own kinds of errors
        raise UsageError(f"{source.path} cannot be read as a Parquet file: {error}.") from None
