"""The pytest plugin: fixtures, and what fails a test."""

from __future__ import annotations

import pytest

PLUGIN = """
def pytest_configure(config):
    if not config.pluginmanager.hasplugin("rxsocket"):  # a source tree that was not installed
        config.pluginmanager.import_plugin("rxsocket.testing.plugin")
"""


def run(pytester: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    """Run a test file with the plugin, in this process."""
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:rerunfailures", *arguments)


def test_the_fixtures(pytester: pytest.Pytester) -> None:
    """A real server, virtual time, and sockets with a fake server in it."""
    result = run(
        pytester,
        """
        import pytest
        from rxsocket import Socket, State
        from rxsocket.testing import accept, watch

        def test_server(websocket_server):
            websocket_server.script(accept().send("hello"))
            with Socket(websocket_server.url) as socket:
                watch(socket).until(lambda seen: seen.messages == ["hello"])

        def test_clock(virtual_clock):
            virtual_clock.call_later(3600, lambda: None)
            virtual_clock.advance(3600)
            assert virtual_clock.time() == 3600

        def test_fake(fake_socket, virtual_clock):
            socket, feed = fake_socket(accept().send("a"), tokens={"t"}, auth="t", latency=0.5)
            other, _ = fake_socket()
            seen = watch(socket)
            virtual_clock.advance(1)
            assert seen.messages == ["a"] and feed.handshakes[0].credential == "t"
            assert other.state.value is State.IDLE
        """,
        "-W",
        "error",
    )
    result.assert_outcomes(passed=3)


def test_a_socket_that_was_left_open(pytester: pytest.Pytester) -> None:
    """It fails its test and no other, and is closed; the mark allows it."""
    result = run(
        pytester,
        """
        import pytest
        from rxsocket import Socket

        def test_leaves_one(websocket_server):
            Socket(websocket_server.url).connect()

        def test_after_it(websocket_server):
            socket = Socket(websocket_server.url)
            socket.connect()
            socket.close().result(5)

        @pytest.mark.leaves_sockets_open
        def test_may(websocket_server):
            Socket(websocket_server.url).connect()
        """,
        "--strict-markers",
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["*left open: ws://127.0.0.1:*; close() the socket*leaves_sockets_open*"]
    )
    result.stdout.fnmatch_lines(["ERROR *test_leaves_one*"])


def test_fixtures_close_theirs(pytester: pytest.Pytester) -> None:
    """A fixture may close what it made after the test; one of a module lives longer than it."""
    result = run(
        pytester,
        """
        import pytest
        from rxsocket import Socket
        from rxsocket.testing import server

        @pytest.fixture
        def socket(websocket_server):
            socket = Socket(websocket_server.url)
            socket.connect()
            yield socket
            socket.close().result(5)

        @pytest.fixture(scope="module")
        def shared():
            with server() as feed, Socket(feed.url) as socket:
                yield socket

        def test_one(socket, shared):
            assert shared is not socket

        def test_two(shared):
            assert shared.send("x").done is not None
        """,
    )
    result.assert_outcomes(passed=2)


def test_events_that_break_the_grammar(pytester: pytest.Pytester) -> None:
    """They fail the test, with the events that led there (C2)."""
    result = run(
        pytester,
        """
        from rxsocket import Opened

        def test_it(fake_socket, virtual_clock):
            socket, feed = fake_socket()
            socket.connect()
            virtual_clock.advance(1)
            socket._publisher.publish(Opened(epoch=7))
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*GrammarError: Opened of epoch 7, which has not begun*"])


def test_something_left_on_the_virtual_clock(pytester: pytest.Pytester) -> None:
    """A timer that nobody cancelled is told."""
    result = run(
        pytester,
        """
        def test_it(virtual_clock):
            virtual_clock.call_later(60, print)
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*1 timer left*"])
