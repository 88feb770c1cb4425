"""Configs of ``rxsocket collect`` that tests change."""

from __future__ import annotations

from pathlib import Path

from rxsocket.cli.collect.reading import read_config
from rxsocket.cli.collect.settings import Settings, settings_of

CONFIG = """\
url = "wss://example.com/feed"
channels = ["BTC", "ETH"]

[channel]
subscribe = {op = "subscribe", args = ["{key}"]}
key = "symbol"

[sink]
to = "stdout"
"""


def settings_from(folder: Path, text: str) -> Settings:
    """What a config with this text describes.

    Raises:
        UsageError: If it cannot be used.
    """
    path = folder / "collect.toml"
    path.write_text(text, encoding="utf-8")
    return settings_of(read_config(str(path)))
