"""The configs of the guide, each with a server that speaks so (C44)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from dialects import Binance, Bitfinex, Coinbase, Dialect, speaking
from pages import GUIDE, Page

TEXT = Page("collecting", GUIDE).text
CONFIGS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def written(folder: Path, text: str, **changes: str) -> str:
    """Write a config with other values, and return its path."""
    for key, value in changes.items():
        line = re.compile(rf"^{key} = .*", re.MULTILINE)
        text, count = line.subn(f"{key} = {value}", text, count=1)
        assert count == 1, key
    path = folder / "trades.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def into_a_file(text: str) -> str:
    return text.split("[sink]")[0] + '[sink]\nto = "file"\npath = "out.jsonl"\n'


@pytest.mark.parametrize(
    ("number", "dialect", "id_of", "keys"),
    [
        (0, Binance, lambda data: data["data"]["t"], ["btcusdt@trade", "ethusdt@trade"]),
        (1, Coinbase, lambda data: data["sequence"], ["BTC-USD", "ETH-USD"]),
        (2, Bitfinex, None, ["trades tBTCUSD", "trades tETHUSD"]),
    ],
)
def test_a_config_collects(
    tmp_path: Path, run: Run, number: int, dialect: type[Dialect], id_of: Any, keys: list[str]
) -> None:
    """Each channel is asked for and acknowledged; its messages are stored, with key and id."""
    with speaking(dialect) as (url, connections):
        path = written(tmp_path, into_a_file(CONFIGS[number]), url=json.dumps(url))
        done = run("collect", path, "--count", "30")
    assert done.code == 0, done.text
    assert any("2 of 2 channels live" in line for line in done.err), done.text
    entries = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    of_key: dict[str, list[Any]] = defaultdict(list)
    for entry in entries:
        of_key[entry["key"]].append(entry["data"])
        assert entry["id"] == (f"{entry['key']}:{id_of(entry['data'])}" if id_of else "")
    assert sorted(of_key) == keys and len(connections) == 1
    for messages in of_key.values():
        numbers = [
            int(re.findall(r"\b\d{1,6}\b", json.dumps(it).replace("1.5", ""))[-1])
            for it in messages
        ]
        assert numbers == sorted(numbers)


def test_a_channel_that_is_refused_fails_alone(tmp_path: Path, run: Run) -> None:
    """And the line says what the server said."""
    text = into_a_file(CONFIGS[0].replace("batch = 200", "batch = 1"))
    channels = '["none@trade", "ethusdt@trade"]'
    with speaking(Binance) as (url, _):
        path = written(tmp_path, text, url=json.dumps(url), channels=channels, pace='"100/s"')
        done = run("collect", path, "--count", "100")
    assert done.code == 0, done.text
    assert "Invalid request" in done.text and "none@trade" in done.text
    keys = {json.loads(line)["key"] for line in (tmp_path / "out.jsonl").read_text().splitlines()}
    assert keys == {"ethusdt@trade"}


def test_the_plan_is_the_one_that_is_shown(tmp_path: Path, run: Run) -> None:
    shown = re.findall(r"```text\n(plan.*?)```", TEXT, re.DOTALL)[0]
    done = run("collect", written(tmp_path, CONFIGS[0]), "--check")
    assert (done.code, done.out) == (0, shown.splitlines())


def test_credential_and_place_of_the_examples(tmp_path: Path, run: Run) -> None:
    """What comes before the tables, and the tables, beside those of the first one."""
    carrier, auth = CONFIGS[3].split("[auth]")
    path = written(tmp_path, f"{carrier}{CONFIGS[0]}[auth]{auth}{CONFIGS[4]}")
    done = run("collect", path, "--check", environment={"FEED_TOKEN": "abc"})
    assert done.code == 0, done.text
    assert done.out[0] == "plan         2 channels on 2 sockets in 4 places, 1 each"
