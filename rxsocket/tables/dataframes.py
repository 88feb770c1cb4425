"""Messages as a DataFrame of pandas or polars, a table of Arrow, and a file of Parquet.

Each of these libraries is imported only when it is asked for.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, cast

from rxsocket.tables.rows import Arrival, columns_of, json_text, own_names

Library: TypeAlias = Literal["pandas", "polars", "arrow"]

LIBRARIES: dict[str, str] = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}
"""The modules of the libraries, in the order in which they are looked for."""


def library_or_default(name: str, value: Any) -> Library:
    """Check the argument ``library`` of a function, or find one that is installed.

    Raises:
        ValueError: If there is no such library.
        ModuleNotFoundError: If it is not installed.
    """
    if value is not None and (not isinstance(value, str) or value not in LIBRARIES):
        raise ValueError(f"{name}(library): pass 'pandas', 'polars' or 'arrow', not {value!r}")
    for library in LIBRARIES if value is None else (value,):
        try:
            importlib.import_module(LIBRARIES[library])
        except ImportError:
            continue
        return cast(Library, library)
    if value is not None:
        raise ModuleNotFoundError(
            f"{name}(library={value!r}): it needs {LIBRARIES[value]}; run pip install "
            f"{LIBRARIES[value]}"
        )
    raise ModuleNotFoundError(
        f"{name}: it needs pandas, polars or pyarrow; run pip install 'rxsocket[notebook]'"
    )


def table(arrivals: Sequence[Arrival], library: Library, first: int = 0) -> Any:
    """Messages as a table, with the columns of :func:`rxsocket.tables.rows.row`.

    Args:
        arrivals: The messages.
        library: The library whose table it is.
        first: The number of the first message, for the index in pandas.
    """
    columns = columns_of(arrival.value for arrival in arrivals)
    arrived, connection = own_names(columns)
    times = [datetime.fromtimestamp(one.at, UTC) for one in arrivals]
    own: dict[str, list[Any]] = {arrived: times}
    if any(one.epoch is not None for one in arrivals):
        own[connection] = [one.epoch for one in arrivals]
    make = {"pandas": _pandas, "polars": _polars, "arrow": _arrow}[library]
    return make(own | columns, arrived, first)


def to_parquet(arrivals: Iterable[Arrival], path: str | os.PathLike[str]) -> None:
    """Write messages to a file.

    Raises:
        ModuleNotFoundError: If there is neither polars nor pyarrow.
        OSError: If it cannot be written.
    """
    rows = list(arrivals)
    for library, write in (("polars", _write_polars), ("arrow", _write_arrow)):
        try:
            importlib.import_module(LIBRARIES[library])
        except ImportError:
            continue
        write(table(rows, cast(Library, library)), os.fspath(path))
        return
    raise ModuleNotFoundError("to_parquet: it needs polars or pyarrow; run pip install polars")


def _write_polars(made: Any, path: str) -> None:
    made.write_parquet(path)


def _write_arrow(made: Any, path: str) -> None:
    importlib.import_module("pyarrow.parquet").write_table(made, path)


def _pandas(columns: dict[str, list[Any]], arrived: str, first: int) -> Any:
    pandas: Any = importlib.import_module("pandas")
    count = len(columns[arrived])
    series = {name: _pandas_column(pandas, column) for name, column in columns.items()}
    if count == 0:
        series[arrived] = pandas.to_datetime([], utc=True)
    return pandas.DataFrame(series).set_axis(pandas.RangeIndex(first, first + count))


def _pandas_column(pandas: Any, column: list[Any]) -> Any:
    """A column whose integers stay integers where some are missing."""
    kinds: set[type[Any]] = {value.__class__ for value in column}
    missing = type(None) in kinds
    kinds.discard(type(None))
    if missing and kinds == {int} and all(abs(value or 0) < 2**63 for value in column):
        return pandas.array(column, dtype="Int64")
    if missing and kinds == {bool}:
        return pandas.array(column, dtype="boolean")
    return column


def _polars(columns: dict[str, list[Any]], arrived: str, first: int) -> Any:
    polars: Any = importlib.import_module("polars")

    def series(column: list[Any]) -> Any:
        return polars.Series(values=column, strict=True)

    made = polars.DataFrame({
        name: _uniform(column, series, polars.exceptions.PolarsError)
        for name, column in columns.items()
    })  # fmt: skip
    if not columns[arrived]:
        return made.with_columns(polars.col(arrived).cast(polars.Datetime("us", "UTC")))
    return made


def _arrow(columns: dict[str, list[Any]], arrived: str, first: int) -> Any:
    arrow: Any = importlib.import_module("pyarrow")
    made = {
        name: _uniform(column, arrow.array, arrow.lib.ArrowException)
        for name, column in columns.items()
    }
    if not columns[arrived]:
        made[arrived] = arrow.array([], arrow.timestamp("us", "UTC"))
    return arrow.table(made)


def _uniform(column: list[Any], make: Callable[[list[Any]], Any], error: type[Exception]) -> Any:
    """A column of one type: integers beside floats as floats, and what is mixed as JSON."""
    kinds: set[type[Any]] = {value.__class__ for value in column if value is not None}
    if kinds == {int, float}:
        column = [None if value is None else float(value) for value in column]
        kinds = {float}
    is_simple = len(kinds) <= 1 and not kinds & {dict}
    try:
        if is_simple or (kinds == {dict} and all(column)):
            return make(column)
    except (error, TypeError, ValueError, OverflowError):
        pass
    return make([None if value is None else json_text(value) for value in column])
