"""The config of ``rxsocket collect``: what it describes, and what its errors say (C44)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from configs import CONFIG, settings_from
from deadlines import stretched

from rxsocket.auth.credentials import Secret
from rxsocket.cli.collect.reading import read_config
from rxsocket.cli.credentials import UsageError


def told(folder: Path, text: str) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(UsageError) as raised:
        settings_from(folder, text)
    return [line.removeprefix(f"{folder}/") for line in str(raised.value).splitlines()]


def changed(old: str, new: str) -> str:
    assert old in CONFIG
    return CONFIG.replace(old, new)


TOP = ""
"""Stands for what comes before all tables."""


def with_keys(table: str, *keys: str) -> str:
    """The config with more in a table."""
    lines = "\n".join(keys)
    if table == TOP:
        return f"{lines}\n{CONFIG}"
    header = f"[{table}]"
    if header in CONFIG:
        return CONFIG.replace(header, f"{header}\n{lines}")
    return f"{CONFIG}\n{header}\n{lines}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # No TOML.
        ("url = \n", "1: no TOML: invalid value"),
        ("a = 1\na = 2\n", "2: no TOML: cannot overwrite a value"),
        ('[channel]\nkey = "a', "2: no TOML: "),
        # Keys.
        ("", "1: url: is missing: pass an address such as 'wss://example.com/feed'"),
        (
            changed("subscribe =", "subscrbe ="),
            "5: channel.subscrbe: [channel] has no such key; did you mean subscribe?",
        ),
        (changed("[sink]", "[snik]"), "8: snik: a config has no such key; did you mean sink?"),
        (
            with_keys("limits", "zzz = 1"),
            "12: limits.zzz: [limits] has no such key; it has pace, burst,",
        ),
        (
            changed('key = "symbol"\n', ""),
            "4: channel.key: is missing: pass where it is in a message",
        ),
        # Types.
        (
            with_keys("limits", 'batch = "many"'),
            "12: limits.batch: pass a whole number, such as 200, not this text",
        ),
        (
            with_keys("limits", "batch = true"),
            "12: limits.batch: pass a whole number, such as 200, not true",
        ),
        (changed('"ETH"', "7"), "2: channels: pass a list of keys, or 'file:PATH'"),
        (
            changed('to = "stdout"', 'to = "kafka"'),
            "9: sink.to: pass 'jetstream', 'redis_streams', 'file' or 'stdout'",
        ),
        (with_keys(TOP, "limits = 5"), "1: limits: pass a table: [limits]"),
        (
            with_keys("socket", "ping_interval = true"),
            "12: socket.ping_interval: pass a number of seconds, or false for none, not tru",
        ),
        (with_keys("run", 'on = "mars"'), "12: run.on: pass 'loop', 'processes' or 'ray'"),
        # What the library says of its arguments.
        (
            with_keys("limits", 'pace = "fast"'),
            "12: limits.pace: pass '5/s', '300/5min', or a number of messages a second, not",
        ),
        (
            with_keys("limits", "burst = 2"),
            "12: limits.burst: goes with pace=, without which nothing waits",
        ),
        (
            with_keys("limits", "lifetime = 0"),
            "12: limits.lifetime: pass a number of seconds that is more than 0",
        ),
        (
            with_keys("socket", "open_timeout = -1"),
            "12: socket.open_timeout: pass a number of seconds that is 0 or more",
        ),
        (with_keys("socket", "stale_after = 0"), "12: socket.stale_after: "),
        (changed("wss://example.com/feed", "http://example.com"), "1: url: "),
        (
            with_keys("channel", "acknowledged_within = 5"),
            "5: channel.acknowledged_within: goes with acknowledged=",
        ),
        # Messages and places.
        (
            changed('["{key}"]', '"{keys}"'),
            '5: channel.subscribe: write ["{key}"] instead of {keys}',
        ),
        (
            changed('["{key}"]', '"{symbol}"'),
            "5: channel.subscribe: there is no {symbol}; pass one of {key},",
        ),
        (changed('["{key}"]', '["BTC"]'), "5: channel.subscribe: has no {key}; such as in"),
        (
            changed('{op = "subscribe", args = ["{key}"]}', '"hello"'),
            "5: channel.subscribe: pass the message as a table or a list, or 'module:functi",
        ),
        (
            changed('["{key}"]', '"{key}"') + "[limits]\nbatch = 5\n",
            "11: limits.batch: the subscribe message is for one key, so leave this at 1, no",
        ),
        (
            changed('"symbol"', '"data..s"'),
            "6: channel.key: pass the place of a field in a message",
        ),
        (changed('"symbol"', "[]"), "6: channel.key: pass at least one place"),
        (
            with_keys("channel", "accepted = {}"),
            "5: channel.accepted: is empty; pass what the message has",
        ),
        (with_keys("channel", 'answered = "s"'), "5: channel.answered: goes with accepted"),
        (
            with_keys("channel", "accepted = {a = 1}", 'assigned = "s"'),
            "6: channel.assigned: goes with answered",
        ),
        (
            with_keys("channel", "accepted = {a = 1}", 'acknowledged = "json:loads"'),
            "5: channel.accepted: the function in acknowledged says that; leave it out",
        ),
        # Functions.
        (
            changed('"symbol"', '"no_such_module:key"'),
            "6: channel.key: cannot import no_such_module: ModuleNotFoundError",
        ),
        (changed('"symbol"', '"json:no_such"'), "6: channel.key: json has no no_such"),
        (changed('"symbol"', '"json:__name__"'), "6: channel.key: json:__name__ is not a function"),
        (with_keys(TOP, 'codec = "xml"'), "1: codec: pass 'json', 'messagepack' or 'module:codec'"),
        (
            with_keys(TOP, 'codec = "json:loads"'),
            "1: codec: json:loads is no object with encode(value) and decode(data)",
        ),
        # Channels.
        (changed('["BTC", "ETH"]', "[]"), "2: channels: pass at least one key"),
        (changed('["BTC", "ETH"]', '[" "]'), "2: channels: a key is empty"),
        (
            changed('["BTC", "ETH"]', '"BTC"'),
            "2: channels: pass a list of keys, or 'file:PATH' with one a line",
        ),
        (
            changed('["BTC", "ETH"]', '"file:none.txt"'),
            "2: channels: cannot read none.txt: No such file or directory",
        ),
        # Credentials.
        (
            with_keys("auth", 'token = "env:NOT_SET"'),
            "12: auth.token: the environment variable NOT_SET is not set",
        ),
        (
            with_keys("auth", 'token = "file:none"'),
            "12: auth.token: cannot read none: No such file or directory",
        ),
        (with_keys(TOP, 'carrier = "header"'), "1: carrier: goes with [auth]"),
        (with_keys(TOP, 'carrier = "pigeon"'), "1: carrier.kind: pass 'query', 'header'"),
        (
            with_keys(TOP, 'carrier = {kind = "query", scheme = "x"}', "auth = {t = 'env:HOME'}"),
            "1: carrier.scheme: is not for kind = 'query'; it takes name",
        ),
        (
            with_keys(TOP, 'carrier = {kind = "first_message"}', "auth = {t = 'env:HOME'}"),
            "1: carrier.message: pass a message such as",
        ),
        (
            with_keys(
                TOP,
                'carrier = {kind = "first_message", message = {a = "{key}"}}',
                "auth = {t = 'env:HOME'}",
            ),
            "1: carrier.message: the first message is about no channel",
        ),
        (
            with_keys(TOP, 'carrier = ["header", "header"]', "auth = {token = 'env:HOME'}"),
            "1: carrier: two of the combined carriers set the header 'Authorization'",
        ),
        # Sinks.
        (
            changed('to = "stdout"', 'to = "jetstream"'),
            "8: sink.server: is missing: pass the address of the broker",
        ),
        (
            changed('to = "stdout"', 'to = "stdout"\nstream = "T"'),
            "10: sink.stream: is not for to = 'stdout'",
        ),
        (
            with_keys("run", "shards = 2"),
            "12: run.shards: goes with on = 'processes' or on = 'ray'",
        ),
        (
            with_keys("run", 'on = "processes"', "egress = 'a'"),
            "13: run.egress: goes with on = 'ray'; leave it out",
        ),
        (
            with_keys("run", 'on = "processes"', "shards = 0"),
            "13: run.shards: Processes(count): pass 1 or more",
        ),
        (with_keys("run", 'on = "ray"', "resources = {CPU = -1}"), "13: run.resources: pass "),
        (with_keys("limits", "bytes = 100"), "12: limits.bytes: goes with channel.weight"),
        (with_keys("channel", "weight = 5"), "5: channel.weight: goes with limits.bytes"),
    ],
)
def test_an_error_has_file_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    """And says what to pass."""
    lines = told(tmp_path, text)
    assert any(line.startswith(f"collect.toml:{said}") for line in lines), lines


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    """In the order of their lines."""
    text = changed("subscribe =", "subscrbe =") + '\n[limits]\nbatch = "many"\n'
    assert [line.split(": ")[0] for line in told(tmp_path, text)] == [
        "collect.toml:4",
        "collect.toml:5",
        "collect.toml:12",
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "collect.toml"
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        read_config(str(path))
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        read_config(str(path))


def test_places_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are relative to the config; a key is there once, without spaces around it."""
    (tmp_path / "keys.txt").write_text("# all of them\n\nBTC\n ETH \nBTC\ntrades   tX\n")
    (tmp_path / "token").write_text("from a file\n")
    monkeypatch.setenv("FEED_KEY", "from the environment")
    monkeypatch.setenv("FEED_URL", "wss://example.com/?key=1")
    settings = settings_from(
        tmp_path,
        changed('["BTC", "ETH"]', '"file:keys.txt"').replace(
            '"wss://example.com/feed"', '"env:FEED_URL"'
        )
        + '\n[auth]\ntoken = "file:token"\nkey = "env:FEED_KEY"\n',
    )
    assert settings.keys == ("BTC", "ETH", "trades tX")
    assert settings.url == "wss://example.com/?key=1"
    assert {name: secret.reveal() for name, secret in settings.auth.items()} == {
        "token": "from a file",
        "key": "from the environment",
    }
    assert settings.read_auth is not None
    (tmp_path / "token").write_text("another")
    assert settings.read_auth()["token"] == Secret("another")
    (tmp_path / "token").unlink()
    with pytest.raises(UsageError, match=r"auth\.token: cannot read token"):
        settings.read_auth()


def test_functions_may_be_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "venue_of_test.py").write_text("def key(message):\n    return message['s']\n")
    settings = settings_from(tmp_path, changed('"symbol"', '"venue_of_test:key"'))
    by = settings.channel.arguments()["by"]
    assert by(settings.options["codec"].decode('{"s": "BTC"}')) == "BTC"


CANARY = "c4n4ry-S3cret-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        with_keys("auth", f'token = "{CANARY}"'),
        with_keys("auth", f'token = ["{CANARY}"]'),
        with_keys("auth", f"token = '{CANARY}' oops"),
        with_keys(TOP, f'auth = "{CANARY}"'),
        changed("wss://example.com/feed", f"wss://u:{CANARY}@exa mple.com/"),
        changed("wss://example.com/feed", f"http://u:{CANARY}@example.com/?key={CANARY}"),
        changed('to = "stdout"', f'to = "{CANARY}"'),
        changed('to = "stdout"', f'to = "jetstream"\nserver = "http://u:{CANARY}@h"\nstream="T"'),
        changed('to = "stdout"', f'to = "jetstream"\nserver = "nats://u:{CANARY}@h"\nstream="T"'),
        with_keys("socket.additional_headers", f'"X-Key" = "{CANARY}\\n"'),
        with_keys("socket", f'proxy = "bad://u:{CANARY}@h"'),
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    """A canary, also where it is in the wrong place."""
    lines = told(tmp_path, text)
    assert CANARY not in "\n".join(lines)
    assert all(line.startswith("collect.toml:") for line in lines)


def test_a_password_of_a_broker_is_not_in_the_file(tmp_path: Path) -> None:
    text = f'to = "redis_streams"\nserver = "redis://:{CANARY}@h"\nstream = "T"'
    (line,) = told(tmp_path, changed('to = "stdout"', text))
    why = "it holds a user or a password: pass env:NAME or file:PATH, where the address is"
    assert line.endswith(f"sink.server: {why}")


def test_settings_show_no_secret(tmp_path: Path) -> None:
    """A canary."""
    (tmp_path / "secret").write_text(CANARY)
    (tmp_path / "broker").write_text(f"nats://u:{CANARY}@h")
    settings = settings_from(
        tmp_path,
        changed("wss://example.com/feed", f"wss://u:{CANARY}@example.com/?key={CANARY}").replace(
            'to = "stdout"', 'to = "jetstream"\nserver = "file:broker"\nstream = "T"'
        )
        + '\n[auth]\ntoken = "file:secret"\n'
        + '\n[socket]\nadditional_headers = {X-Key = "file:secret"}\n',
    )
    assert settings.auth["token"].reveal() == CANARY
    assert CANARY not in repr(settings)


READS = """
import sys
for name in ("nats", "redis", "ray"):
    sys.modules[name] = None
sys.path.insert(0, {!r})
from rxsocket.cli.collect.reading import read_config
from rxsocket.cli.collect.settings import settings_of
settings_of(read_config({!r}))
print(sorted({{"typer", "rich"}} & set(sys.modules)))
"""


def test_a_config_is_read_without_brokers_and_engines(tmp_path: Path) -> None:
    path = tmp_path / "collect.toml"
    sink = 'to = "jetstream"\nserver = "nats://127.0.0.1"\nstream = "T"'
    path.write_text(changed('to = "stdout"', sink) + '\n[run]\non = "ray"\nshards = 2\n')
    command = [sys.executable, "-c", READS.format(str(Path.cwd()), str(path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=stretched(20))
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_no_other_command_imports_it() -> None:
    program = "import sys, rxsocket.cli.app; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=stretched(20))
    assert done.returncode == 0, done.stderr
    dear = ("rxsocket.fleet", "rxsocket.sinks", "rxsocket.cli.collect", "nats", "redis", "ray")
    assert [name for name in done.stdout.split() if name.startswith(dear)] == []
