"""Options of a socket: checked when it is made, with the name of the argument in each error."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Any

import pytest
from extras import needs

from rxsocket import Backoff, Carried, Options, Request, Socket, header, query, standard
from rxsocket.testing import VirtualClock, fake, reject
from rxsocket.version import USER_AGENT

BAD_VALUES: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", " "),
    ("name", "two\nlines"),
    ("clean_close", "fail"),
    ("clean_close", None),
    ("stable_after", -1),
    ("auth_timeout", -1),
    ("linger", -0.5),
    ("linger", float("nan")),
    ("open_timeout", float("inf")),
    ("close_timeout", -1),
    ("ping_interval", -1),
    ("ping_timeout", -1),
    ("transport", "carrier pigeon"),
    ("compression", "gzip"),
    ("compression", True),
    ("max_size", 0),
    ("max_size", -1),
    ("proxy", "example.com"),
    ("proxy", "ftp://example.com"),
    ("proxy", "http://"),
    ("origin", "https://example.com\n"),
    ("origin", "https://bücher.example"),
    ("user_agent_header", "rx\r\nsocket"),
    ("additional_headers", {"X Y": "1"}),
    ("additional_headers", {"": "1"}),
    ("additional_headers", {"Host": "example.com"}),
    ("additional_headers", {"X-A": "1\n2"}),
    ("additional_headers", [("X-A", "ä")]),
    ("subprotocols", [""]),
    ("subprotocols", ["a b"]),
    ("ssl", ssl.create_default_context()),
]
BAD_TYPES: list[tuple[str, Any]] = [
    ("auth", 7),
    ("name", 7),
    ("carrier", 7),
    ("carrier", "query"),
    ("carrier", query),  # not called
    ("carrier", lambda: None),
    ("verdicts", standard),  # not called
    ("identity", lambda: None),
    ("rejected", lambda first, second: None),
    ("transport", 7),
    ("transport", None),
    ("verdicts", {1000: "complete"}),
    ("backoff", 2.0),
    ("loop", "loop"),
    ("stable_after", None),
    ("stable_after", "5"),
    ("auth_timeout", "10"),
    ("linger", None),
    ("linger", True),
    ("open_timeout", "10"),
    ("close_timeout", None),
    ("ping_interval", "20"),
    ("ping_timeout", [20]),
    ("max_size", "1MiB"),
    ("max_size", 1.5),
    ("max_size", True),
    ("proxy", False),
    ("proxy", 7),
    ("ssl", True),
    ("origin", 7),
    ("user_agent_header", 7),
    ("additional_headers", "X-A: 1"),
    ("additional_headers", ["X-A: 1"]),
    ("additional_headers", 7),
    ("additional_headers", {"X-A": 1}),
    ("additional_headers", {"X-A": None}),
    ("subprotocols", "graphql-ws"),
    ("subprotocols", 7),
    ("subprotocols", [7]),
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_a_bad_value(name: str, value: Any) -> None:
    """A ValueError that begins with the name of the argument."""
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        Socket("ws://host/", **{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_TYPES)
def test_a_bad_type(name: str, value: Any) -> None:
    """A TypeError that begins with the name of the argument."""
    with pytest.raises(TypeError, match=rf"^{name}\b"):
        Socket("ws://host/", **{name: value})


def test_a_name() -> None:
    """It stands before the address wherever people read of the socket (C28: without secrets)."""
    socket = Socket("ws://host/?token=secret", name="quotes")
    assert socket.name == "quotes" and Socket("ws://host/").name is None
    assert repr(socket) == "<Socket quotes ws://host/?token=***: idle>"
    assert socket.url == "ws://host/?token=***"


def test_a_name_in_the_log(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """One of fifty sockets at one address is told from the others."""
    peer = fake(reject(503))
    socket = Socket(peer.url, transport=peer, name="quotes")
    with socket:
        clock.advance(1)
    assert caplog.messages[0].startswith("quotes ws://fake.test/: cannot connect")


@pytest.mark.parametrize("value", ["secret ä", "secret\n"])
def test_a_header_is_not_shown(value: str) -> None:
    """A header may be a secret: its value is in no error."""
    with pytest.raises(ValueError, match=r"^additional_headers\['X-A'\]: ") as caught:
        Socket("ws://host/", additional_headers={"X-A": value})
    assert "secret" not in str(caught.value)


def test_a_proxy_is_not_shown() -> None:
    """A proxy's address may hold a password: neither an error nor a repr shows it."""
    with pytest.raises(ValueError, match=r"^proxy: ") as caught:
        Socket("ws://host/", proxy="ftp://user:secret@host")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Options(proxy="http://user:secret@host"))


GOOD: list[Any] = [
    {"auth_timeout": None, "open_timeout": None, "ping_interval": None, "ping_timeout": None},
    {"max_size": None, "compression": None, "proxy": None, "user_agent_header": None},
    {"stable_after": 0, "linger": 0, "close_timeout": 0},
    pytest.param({"proxy": "socks5h://user:password@host:1080"}, marks=needs("python_socks")),
    {"proxy": "http://host:3128"},
    {"additional_headers": [("X-A", "1"), ("X-A", "2")]},
    {"additional_headers": {}, "subprotocols": []},
    {"subprotocols": ("graphql-ws", "v2")},
    {"backoff": Backoff(first=0)},
]


@pytest.mark.parametrize("options", GOOD)
def test_a_good_value(options: dict[str, Any]) -> None:
    """What may be passed is taken."""
    Socket("ws://host/", **options)


def test_ssl_goes_with_wss() -> None:
    """A context is taken for an encrypted address only."""
    Socket("wss://host/", ssl=ssl.create_default_context())
    with pytest.raises(ValueError, match=r"^ssl: goes with a wss:// address"):
        Socket("ws://host/", ssl=ssl.create_default_context())


def test_arguments_go_by_name() -> None:
    """Only the address is positional; a misspelt name is Python's own TypeError."""
    with pytest.raises(TypeError):
        Socket("ws://host/", {"token": "a"})  # type: ignore[misc]
    with pytest.raises(TypeError, match="atuh"):
        Socket("ws://host/", atuh="a")  # type: ignore[call-arg]


def test_the_transport_is_told_everything(clock: VirtualClock) -> None:
    """Options arrive at the transport under their names, frozen."""
    requests: list[Request] = []
    peer = fake()

    def transport(request: Request) -> Any:
        requests.append(request)
        return peer(request)

    headers = {"X-A": "1"}
    socket = Socket(
        "ws://host/feed?room=1",
        auth={"token": "a"},
        transport=transport,
        additional_headers=headers,
        subprotocols=["v2"],
        compression=None,
        max_size=7,
        open_timeout=3,
        close_timeout=1,
        origin="https://example.com",
        proxy=None,
    )
    headers["X-A"] = "2"
    socket.connect()
    clock.advance(1.0)
    [request] = requests
    assert request.url == "ws://host/feed?room=1&token=a"
    assert request.options == Options(
        additional_headers=(("X-A", "1"),),
        subprotocols=("v2",),
        origin="https://example.com",
        user_agent_header=USER_AGENT,
        compression=None,
        max_size=7,
        open_timeout=3.0,
        close_timeout=1.0,
        proxy=None,
    )
    assert not request.anonymous
    [handshake] = peer.handshakes
    assert handshake.headers["X-A"] == "1" and handshake.headers["Origin"] == "https://example.com"
    assert handshake.headers["User-Agent"].startswith("rxsocket")
    socket.close()
    clock.advance(2.0)


def test_making_one_starts_nothing() -> None:
    """No loop is needed, and none is looked for (C1)."""
    socket = Socket("ws://host/", auth={"token": "secret"})
    assert repr(socket) == "<Socket ws://host/: idle>"
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


@pytest.mark.parametrize("data", [None, 7, {"a": 1}, object(), [1], ["a", b"b"]])
def test_send_takes_text_bytes_or_fragments(data: Any) -> None:
    """Anything else is a TypeError that names the argument."""
    with pytest.raises(TypeError, match=r"^send\(data\): pass (str or bytes|fragments)"):
        Socket("ws://host/").send(data)


@pytest.mark.parametrize("data", [[], "\ud800", ["a", "\ud800"]])
def test_send_refuses_what_is_no_message(data: Any) -> None:
    """No fragments at all, or text without an encoding, is a ValueError that names the argument."""
    with pytest.raises(ValueError, match=r"^send\(data\): "):
        Socket("ws://host/").send(data)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"code": 1001}, ValueError, "^code: "),
        ({"code": "1000"}, TypeError, "^code: "),
        ({"reason": "x" * 124}, ValueError, "^reason: "),
        ({"reason": None}, TypeError, "^reason: "),
    ],
)
def test_close_checks_what_it_sends(
    arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    """The error names the argument, and the socket goes on."""
    with pytest.raises(kind, match=message):
        Socket("ws://host/").close(**arguments)


@pytest.mark.parametrize(("timeout", "kind"), [(-1, ValueError), ("1", TypeError)])
def test_wait_checks_its_timeout(timeout: Any, kind: type[Exception]) -> None:
    """The error names the argument."""
    with pytest.raises(kind, match=r"^timeout: "):
        Socket("ws://host/").wait(timeout)


@pytest.mark.parametrize(
    "name", ["auth_timeout", "open_timeout", "ping_interval", "ping_timeout", "max_age"]
)
def test_0_seconds_are_not_for_ever(name: str) -> None:
    """0 may be meant as "off", which is ``None``."""
    zero: dict[str, Any] = {name: 0}
    with pytest.raises(ValueError, match=f"^{name}: pass a number of seconds that is more than 0"):
        Socket("ws://host/", **zero)


TWICE: list[tuple[str, dict[str, Any]]] = [
    (
        "carrier: sets the header 'Authorization', and so does additional_headers",
        {"carrier": header(), "additional_headers": {"authorization": "s3cret"}},
    ),
    (
        "carrier: sets the header 'X-Key', and so does additional_headers",
        {
            "carrier": header("X-Key", key="k", only="k") & query("q"),
            "additional_headers": {"x-KEY": "1"},
        },
    ),
    (
        "carrier: sets the header 'authorization', and so does additional_headers",
        {
            "carrier": lambda value: Carried(headers={"authorization": value["k"]}),
            "additional_headers": {"Authorization": "s3cret"},
        },
    ),
    (
        "additional_headers: sets the header 'authorization', twice",
        {"additional_headers": [("Authorization", "s3cret"), ("authorization", "b")]},
    ),
    (
        "additional_headers: sets the header 'ORIGIN', and so does origin",
        {"origin": "http://a", "additional_headers": {"ORIGIN": "http://b"}},
    ),
    (
        "additional_headers: Sec-WebSocket-Protocol is set from subprotocols=; pass that instead",
        {"additional_headers": {"Sec-WebSocket-Protocol": "v1"}},
    ),
]


@pytest.mark.parametrize(("text", "options"), TWICE)
def test_no_header_is_set_twice(text: str, options: dict[str, Any]) -> None:
    """A server would read either of them, or both."""
    with pytest.raises(ValueError, match="^" + re.escape(text)) as caught:
        Socket("ws://host/", auth={"k": "s3cret"}, **options)
    assert "s3cret" not in str(caught.value)


def test_user_info_is_a_header_too() -> None:
    """As it is sent as ``Authorization``; a provider's credential cannot be carried beside it."""
    with pytest.raises(
        ValueError, match=r"^carrier: sets the header 'Authorization', and so does url"
    ):
        Socket("ws://user:s3cret@host/", auth=lambda: "token", carrier=header())
