"""The types of ``plot`` and ``frame`` of ``rxsocket.notebook``, as mypy and pyright see them."""

from __future__ import annotations

from typing import Any, assert_type

from reactivex import Observable

from rxsocket.notebook import Frame, Plot, frame, plot


def shown(stream: Observable[Any]) -> None:
    assert_type(plot(stream), Plot)
    assert_type(plot(stream, "ts", ["bid", float], by="symbol", window=None), Plot)
    assert_type(plot(stream, y=float, by=str).svg(), str)
    assert_type(frame(stream, 10, key="symbol"), Frame)
    assert_type(frame(stream, key=str).df, Any)
    plot(stream, by=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    frame(stream, key=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
