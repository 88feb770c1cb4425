"""The pytest plugin: fixtures, and what fails a test."""

from __future__ import annotations

import pytest

PLUGIN = """
def pytest_configure(config):
    if not config.pluginmanager.hasplugin("rxsocket"):  # a source tree that was not installed
        config.pluginmanager.import_plugin("_rxsocket_pytestplugin")
"""


def run(pytester: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    """Run a test file with the plugin, in this process."""
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", "no:randomly", *arguments)


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
    result.stdout.fnmatch_lines(["*left open: ws://127.0.0.1:*; close() the socket*"])
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
    result.stdout.fnmatch_lines(["*1 timers left*"])


def run_apart(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, text: str
) -> pytest.RunResult:
    """Run a test file in a process that has not imported the library, with this plugin alone."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(text)
    return pytester.runpytest_subprocess("-p", "_rxsocket_pytestplugin", "-W", "error")


def test_a_project_that_does_not_use_the_library_does_not_import_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the plugin nor its hooks do, nor what the library would bring along."""
    result = run_apart(
        pytester,
        monkeypatch,
        """
        import sys
        import pytest

        @pytest.fixture(scope="module")
        def number():
            return 7

        def loaded():
            return [name for name in sys.modules if name.startswith(("rxsocket", "reactivex"))]

        def test_one(number):
            assert loaded() == []

        def test_two(number, request):
            assert loaded() == []
            request.getfixturevalue("virtual_clock").advance(1)
            assert "rxsocket" in loaded() and "reactivex" in loaded()
        """,
    )
    result.assert_outcomes(passed=2)


def test_a_socket_left_open_by_the_test_that_imports_the_library(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails its test, too, though nobody looked yet when it was made; a closed one does not."""
    result = run_apart(
        pytester,
        monkeypatch,
        """
        def test_leaves_one():
            from rxsocket import Socket

            Socket("ws://127.0.0.1:9/").close().result(5)
            Socket("ws://127.0.0.1:9/").connect()

        def test_after_it():
            from rxsocket import Socket

            Socket("ws://127.0.0.1:9/").close().result(5)
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*left open: ws://127.0.0.1:9/; close() the socket*"])


def test_a_fixture_for_several_tests_may_be_the_first_to_import_the_library(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is not one that the first of them left open."""
    result = run_apart(
        pytester,
        monkeypatch,
        """
        import pytest

        @pytest.fixture(scope="module")
        def shared():
            from rxsocket import Socket
            from rxsocket.testing import server

            with server() as feed, Socket(feed.url) as socket:
                yield socket

        def test_one(shared):
            assert shared.state.value.name != "CLOSED"

        def test_two(shared):
            assert shared.state.value.name != "CLOSED"
        """,
    )
    result.assert_outcomes(passed=2)
