"""C33: whatever sources of addresses and tickets say, nothing goes where it is not allowed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.subject import BehaviorSubject
from scene import known

from rxsocket import (
    AddressFailed,
    Ask,
    Connecting,
    Event,
    Opened,
    Socket,
    Ticket,
    endpoint,
    handover,
    in_band,
    reconnect,
)
from rxsocket.testing import Grammar, accept, clock, fake, reject, unreachable

HOSTS = ["a.test", "x.a.test", "b.test", "evil.test", "a.test.evil.test", "xa.test"]
ALLOWED = {"a.test", "x.a.test", "b.test"}
ADDRESS = st.builds(
    "{}://{}/{}".format, st.sampled_from(["ws", "wss"]), st.sampled_from(HOSTS), st.integers(0, 2)
)
ANSWER = st.one_of(ADDRESS, st.sampled_from([None, 7, "ftp://a.test/", "", KeyError("url")]))
SCRIPT = st.sampled_from(
    [accept(), accept().drop(), accept().close(1012), reject(503), reject(401), unreachable()]
)
STRATEGY = st.sampled_from(
    [reconnect(), handover(ready="open"), in_band(str, accepted=lambda _: True)]
)
STEP = st.one_of(
    st.tuples(st.just("emit"), ADDRESS),
    st.tuples(st.just("ticket"), ADDRESS),
    st.tuples(st.just("renew"), ADDRESS),
    st.tuples(st.just("auth"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["drop", "reconnect", "restart"]), st.none()),
)
WAIT = st.sampled_from([0.0, 0.03, 0.7, 3.0, 70.0])


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(STEP, WAIT), max_size=12),
    answers=st.lists(ANSWER, max_size=20),
    scripts=st.lists(SCRIPT, max_size=12),
    strategy=STRATEGY,
    kind=st.sampled_from(["function", "observable", "sequence", "ticket"]),
)
def test_nothing_goes_where_it_is_not_allowed(
    steps: list[tuple[tuple[str, Any], float]],
    answers: list[Any],
    scripts: list[Any],
    strategy: Any,
    kind: str,
) -> None:
    """Only to allowed hosts, never in clear text after TLS, and by the grammar; one call each."""
    dialled: list[str] = []
    given_tickets: list[str] = []
    following = iter(answers)

    with clock() as virtual:
        network = fake(*scripts)

        def transport(request: Any) -> Any:
            dialled.append(request.url)
            return network(request)

        def answer() -> Any:
            one = next(following, "wss://a.test/last")
            if isinstance(one, Exception):
                raise one
            return one

        def ticket(ask: Ask) -> Any:
            one = answer()
            if not isinstance(one, str):
                return one
            given_tickets.append(one)
            return Ticket(f"{one}?n={len(given_tickets)}", auth=f"t-{len(given_tickets)}")

        subject: BehaviorSubject[Any] = BehaviorSubject("ws://a.test/")
        source: Any = {
            "function": answer,
            "observable": subject,
            "sequence": ["ws://a.test/", "ws://b.test/"],
            "ticket": "ws://a.test/",
        }[kind]
        socket = Socket(
            endpoint(source, hosts=["b.test", "*.a.test", "a.test"]),
            auth=ticket if kind == "ticket" else {"token": "t"},
            identity=lambda _: "me",
            on_auth_change=strategy,
            transport=transport,
            backoff=known(),
        )
        grammar, events, refused = Grammar(), list[Event](), list[str]()
        socket.events.subscribe(events.append, on_error=lambda _: None)
        socket.events.subscribe(grammar, on_error=lambda _: None)
        for (what, value), wait in steps:
            try:
                if what == "emit":
                    subject.on_next(value)
                elif what == "ticket":
                    socket.set_auth(Ticket(value, auth="p"))
                elif what == "renew":
                    socket.renew(url=value)
                elif what == "auth":
                    socket.set_auth({"token": str(value)})
                elif what == "drop":
                    network.drop()
                elif what == "reconnect":
                    socket.reconnect()
            except ValueError as error:
                refused.append(str(error))
            virtual.advance(wait)
        virtual.advance(100.0)
        socket.close()
        virtual.advance(5.0)
        if socket.state.value.value == "closed":
            grammar.done()

    assert all("is not allowed" in text or "is not encrypted" in text for text in refused)
    hosts = [url.split("/")[2] for url in dialled]
    assert set(hosts) <= ALLOWED
    schemes = [url.split(":")[0] for url in dialled]
    if "wss" in schemes:
        assert "ws" not in schemes[schemes.index("wss") :]
    one_time = [url for url in dialled if "?n=" in url]
    assert len(set(one_time)) == len(one_time)
    opened = [event for event in events if isinstance(event, Opened)]
    assert all(event.url for event in opened)
    assert all(isinstance(event.url, str) for event in events if isinstance(event, Connecting))
    for event in events:
        error = getattr(event, "error", None)
        if isinstance(error, AddressFailed):
            assert str(error)
