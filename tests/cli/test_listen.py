"""``rxsocket listen``."""

from __future__ import annotations

import json
import re
import ssl
from pathlib import Path

import pytest
import trustme
from conftest import Run
from issuing import issue, serving
from terminal import Terminal

from rxsocket.testing import accept, reject, server

CANARY = "c4n4ry-7f3a"
ENV = {"CANARY": CANARY}
AUTH = ("--auth", "token=env:CANARY")


def test_messages_go_to_stdout_alone_and_events_to_stderr() -> None:
    """A pipe gets the messages and nothing else."""
    with server(accept().send("one", "two").close(1000)) as s:
        with Terminal("listen", s.url) as terminal:
            assert terminal.end() == 0
        assert terminal.out == ["one", "two"]
        for name in ("Connecting", "Opened", "Closed", "Ended"):
            assert any(re.match(rf"\d\d:\d\d:\d\d  {name} ", line) for line in terminal.err)


def test_the_last_line_says_what_there_was_in_all(run: Run) -> None:
    """C45: the numbers of the socket, on stderr; not among JSON."""
    with server(accept().send("one", "twö").close(1000)) as s:
        done = run("listen", s.url)
        assert done.out == ["one", "twö"]
        last = r"\d\d:\d\d:\d\d  Notice +2 messages, 7 bytes, 1 connection, \d\.\d s without one"
        assert re.fullmatch(last, done.err[-1])
        s.script(accept().send("one").close(1000))
        done = run("listen", "--json", s.url)
    assert not any("Notice" in line for line in (*done.out, *done.err))


def test_bytes_are_shown_by_length_and_hex(run: Run) -> None:
    """A binary message does no harm to a terminal."""
    with server(accept().send(b"\x1b\x00\xff", b"a" * 40).close(1000)) as s:
        done = run("listen", s.url)
    assert done.code == 0
    assert done.out[0] == "<3 bytes: 1b 00 ff>"
    assert done.out[1].startswith("<40 bytes: 61 61 ") and done.out[1].endswith(" ...>")


def test_a_line_of_stdin_changes_the_credential() -> None:
    """The outcome of each change is told, and no value of it."""
    with (
        server(tokens=[CANARY, "second"]) as s,
        Terminal("listen", s.url, *AUTH, environment={**ENV, "SECOND": "second"}) as terminal,
    ):
        terminal.until("connection 1")
        terminal.say("")
        terminal.say("token=second")
        terminal.until("in effect on connection 2")
        assert s.handshakes[-1].credential == "second"
        terminal.say("logout")
        terminal.until("logged out")
        terminal.say("token=env:CANARY device=7")
        terminal.until("in effect on connection 3")
        assert s.handshakes[-1].query == {"token": CANARY, "device": "7"}
        terminal.say("token=wrong-one")
        terminal.until("the new credential was refused")
        terminal.say("token=env:SECOND")
        terminal.until("in effect on connection 5")
        assert terminal.process.poll() is None
        terminal.interrupt()
        terminal.end()
        for secret in (CANARY, "wrong-one", "token=second"):
            assert secret not in terminal.text


def test_what_is_to_be_sent_goes_on_each_connection(run: Run) -> None:
    """--send, for servers that are asked by message."""
    first = accept().expect("ask").send("one").close(1012)
    with server(first, accept().expect("ask").expect("more").send("two").close(1000)) as s:
        done = run("listen", s.url, "--send", "ask", "--send", "more")
    assert (done.code, done.out) == (0, ["one", "two"])


def test_a_line_of_stdin_is_sent() -> None:
    """One that begins with "> "."""
    with server(accept().echo()) as s, Terminal("listen", s.url, "--count", "1") as terminal:
        terminal.until("connection 1")
        terminal.say('> {"op": "ping"}')
        assert terminal.end() == 0
        assert terminal.out == ['{"op": "ping"}']


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("--carrier", "header"), ("headers", "Authorization", f"Bearer {CANARY}")),
        (("--carrier", "header:X-Key"), ("headers", "X-Key", CANARY)),
        (("--carrier", "query"), ("query", "token", CANARY)),
        (("--carrier", "cookie"), ("cookies", "token", CANARY)),
    ],
)
def test_each_carrier(run: Run, arguments: tuple[str, ...], where: tuple[str, str, str]) -> None:
    with server(accept().close(1000)) as s:
        done = run("listen", s.url, *AUTH, *arguments, environment=ENV)
        assert done.code == 0, done.text
        part, name, value = where
        assert getattr(s.handshakes[-1], part)[name] == value
    assert CANARY not in done.text


def test_a_subprotocol_that_is_the_credential(run: Run) -> None:
    with server(accept().close(1000)) as s:
        done = run("listen", s.url, *AUTH, "--carrier", "subprotocol:v1", environment=ENV)
        assert done.code == 0, done.text
        assert s.handshakes[-1].credential == CANARY


def test_a_first_message_that_is_the_credential(run: Run) -> None:
    """With the server's answers; in JSON the value is a string of it."""
    message = 'message:{"auth": "{token}"}'
    answers = ("--accepted", "yes", "--rejected", "no")
    with server(accept().expect('{"auth": "a\\"b"}').send("yes", "one").close(1000)) as s:
        auth = ("--auth", "token=env:QUOTED", "--carrier", message, *answers)
        done = run("listen", s.url, *auth, environment={"QUOTED": 'a"b'})
    assert (done.code, done.out) == (0, ["one"])


def test_the_server_is_checked_against_a_file(run: Run, tmp_path: Path) -> None:
    """--ca, for servers whose certificate the system does not know; it goes with certificates."""
    authority = trustme.CA()
    files = issue(authority, "me@example.com").write(tmp_path)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    entries = (f"{name}=file:{path}" for name, path in files.items())
    options = ("--certificate", *(part for entry in entries for part in ("--auth", entry)))
    with server(accept().send("one").close(1000), ssl=serving(authority)) as s:
        assert run("listen", s.url, *options).code == 1
        done = run("listen", s.url, *options, "--ca", str(tmp_path / "ca.pem"))
        assert (done.code, done.out) == (0, ["one"]), done.text
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(plain)
    with server(accept().send("two").close(1000), ssl=plain) as s:
        done = run("listen", s.url, "--ca", str(tmp_path / "ca.pem"))
        assert (done.code, done.out) == (0, ["two"]), done.text


def test_the_shell_completes_the_carriers() -> None:
    """Of what typer offers: names of options, and what may stand after --carrier."""
    typed = {"_RXSOCKET_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    line = {"COMP_WORDS": "rxsocket listen --carrier co"}
    with Terminal("listen", environment={**typed, **line}) as terminal:
        terminal.end()
    assert terminal.out == ["cookie"]


@pytest.mark.slow
def test_a_line_that_cannot_be_used_is_not_repeated() -> None:
    """What is wrong with a line is told without its text, and the connection stays."""
    lines = (CANARY, f"={CANARY}", f"{CANARY}=", "x=prompt", "x=env:NOPE")
    with server() as s, Terminal("listen", s.url) as terminal:
        terminal.until("connection 1")
        for times, line in enumerate(lines, 1):
            terminal.say(line)
            terminal.until("standard input: ", times)
        s.push("still here")
        terminal.until("still here")
        terminal.interrupt()
        terminal.end()
        assert CANARY not in terminal.text
        assert len(s.handshakes) == 1


@pytest.mark.slow
def test_the_end_of_stdin_is_harmless() -> None:
    """Without a standard input, or at its end, the messages go on."""
    with server() as s, Terminal("listen", s.url, "--count", "1") as terminal:
        terminal.until("connection 1")
        terminal.say("x=1")
        terminal.until("in effect on connection 2")
        terminal.hang_up()
        s.push("after")
        assert terminal.end() == 0
        assert terminal.out == ["after"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--auth", f"token={CANARY}"),
        ("--auth", CANARY),
        ("--auth", f"{CANARY}="),
        ("--auth", f"={CANARY}"),
        (f"token={CANARY}",),
        ("--header", CANARY),
    ],
)
def test_a_value_on_the_command_line_is_refused(run: Run, arguments: tuple[str, ...]) -> None:
    """It exits with 2 and an explanation that does not hold the value."""
    done = run("listen", "ws://127.0.0.1:1/", *arguments)
    assert done.code == 2
    assert done.out == [] and len(done.err) == 1
    assert "KEY=" in done.err[0]
    assert CANARY not in done.text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ws://127.0.0.1:1/", "--auth", "token=env:NOT_THERE"), "NOT_THERE is not set"),
        (("ws://127.0.0.1:1/", "--auth", "token=env:EMPTY"), "the value is empty"),
        (("ws://127.0.0.1:1/", "--auth", "token=file:/not/there"), "cannot read /not/there"),
        (("ws://127.0.0.1:1/", *AUTH, *AUTH), "token is given twice"),
        (("ftp://example.com/", *AUTH), "ws:// or wss://"),
        (("ws://127.0.0.1:1/", "--auth", "host=env:CANARY", "--header"), "host"),
        (("ws://127.0.0.1:1/", "--count", "0"), "--count"),
        (("ws://127.0.0.1:1/", "--carrier", "pigeon"), "pass one of query, header"),
        (("ws://127.0.0.1:1/", "--carrier", "header:"), "after the colon"),
        (("ws://127.0.0.1:1/", "--carrier", "cookie", "--header"), "--carrier header beside"),
        (("ws://127.0.0.1:1/", "--accepted", "ok"), "go with --carrier message"),
        (("wss://127.0.0.1:1/", "--ca", "/not/there"), "No such file"),
        (("wss://127.0.0.1:1/", "--ca", __file__), "no certificate in PEM"),
        ((), "URL"),
    ],
)
def test_wrong_usage_exits_with_2(run: Run, arguments: tuple[str, ...], told: str) -> None:
    """The error says what is wrong, without a traceback."""
    done = run("listen", *arguments, environment={**ENV, "EMPTY": ""})
    assert done.code == 2
    assert told in done.text
    assert "Traceback" not in done.text and CANARY not in done.text


def test_a_file_is_read_without_the_white_space_around(run: Run, tmp_path: Path) -> None:
    """The newline at the end of a file is no part of the credential."""
    place = tmp_path / "token"
    place.write_text(f"{CANARY}\n")
    with server(accept().close(1000), tokens=[CANARY]) as s:
        assert run("listen", s.url, "--auth", f"token=file:{place}").code == 0


def test_header_carries_the_token_as_bearer_and_others_by_name(run: Run) -> None:
    """With ``--header`` nothing of the credential is in the URL."""
    with server(accept().close(1000), tokens=[CANARY]) as s:
        options = ("--header", *AUTH, "--auth", "X-Device=env:DEVICE")
        assert run("listen", s.url, *options, environment={**ENV, "DEVICE": "seven"}).code == 0
        seen = s.handshakes[0]
        assert seen.headers["Authorization"] == f"Bearer {CANARY}"
        assert seen.headers["X-Device"] == "seven"
        assert not seen.query


def test_a_certificate_of_the_client(run: Run, tmp_path: Path) -> None:
    """C39: its entries go in the handshake of TLS, the others where they did; not over ws://."""
    authority = trustme.CA()
    files = issue(authority, "me@example.com").write(tmp_path)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    entries = (f"{name}=file:{path}" for name, path in files.items())
    options = ("--certificate", *AUTH, *(part for entry in entries for part in ("--auth", entry)))
    environment = {**ENV, "SSL_CERT_FILE": str(tmp_path / "authority.pem")}
    with server(accept().close(1000), tokens=[CANARY], ssl=serving(authority)) as s:
        done = run("listen", s.url, *options, environment=environment)
        assert done.code == 0, done.err
        assert s.handshakes[0].query == {"token": CANARY}
    done = run("listen", "ws://127.0.0.1:1/", *options, environment=environment)
    assert done.code == 2 and "goes with a wss:// address" in done.text


def test_json_is_one_object_a_line_on_stdout() -> None:
    """Events, messages, outcomes and notices have a type, a time and their own fields."""
    script = accept().send("text", b"\x00\x01")
    with server(script, tokens=[CANARY]) as s:
        url = f"{s.url}?key={CANARY}"
        with Terminal("listen", url, *AUTH, "--json", environment=ENV) as terminal:
            terminal.until('"Message"', times=2)
            terminal.say("nonsense")
            terminal.until('"Notice"')
            terminal.say("token=bad")
            terminal.until('"Refused"')
            terminal.interrupt()
            terminal.end()
    assert terminal.err == []
    seen = [json.loads(line) for line in terminal.out]
    assert all(item["at"] > 1e9 for item in seen)
    by_type = {item["type"]: item for item in reversed(seen)}
    assert by_type["Connecting"]["url"].endswith("?key=***")
    assert by_type["Connecting"]["cause"] == "STARTED"
    assert by_type["Opened"]["epoch"] == 1
    messages = [item for item in seen if item["type"] == "Message"]
    assert messages[0]["data"] == "text"
    assert messages[1]["data"] is None and messages[1]["base64"] == "AAE="
    assert by_type["Closed"]["cause"] == "AUTH_CHANGED"
    assert by_type["Rejected"]["status"] == 401
    assert by_type["Rejected"]["error"]["type"] == "HandshakeRefused"
    assert "401" in by_type["Refused"]["reason"]
    assert CANARY not in terminal.text and "token=bad" not in terminal.text


def test_count_ends_after_that_many_messages(run: Run) -> None:
    """Exactly so many are written, and the server is told goodbye."""
    with server(accept().send(*"abcde")) as s:
        done = run("listen", s.url, "--count", "3")
        assert (done.code, done.out) == (0, ["a", "b", "c"])
        s.wait_for(lambda s: s.closes)
        assert s.closes[0].code == 1000


def test_a_socket_that_failed_exits_with_1_in_one_line(run: Run) -> None:
    """A failure for good is told once, without a traceback."""
    with server(reject(400)) as s:
        done = run("listen", s.url)
    assert done.code == 1
    assert sum("cannot succeed" in line for line in done.err) == 1
    assert "Traceback" not in done.text


def test_verbose_logs_and_shows_no_secret() -> None:
    """The log of the library and of the transport goes to stderr, masked."""
    options = (*AUTH, "--verbose", "--count", "1")
    with (
        server(accept().send("m"), tokens=[CANARY]) as s,
        Terminal("listen", s.url, *options, environment=ENV) as terminal,
    ):
        assert terminal.end() == 0
    assert any("INFO rxsocket: " in line for line in terminal.err)
    assert any("DEBUG rxsocket.transport: " in line for line in terminal.err)
    assert terminal.out == ["m"]
    assert CANARY not in terminal.text
