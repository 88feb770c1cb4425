"""C19, first step: the credential as the first message, before the socket counts as open."""

from __future__ import annotations

from typing import Any

import pytest
from scene import A, B, Make, connecting, opened

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    ConnectFailed,
    CredentialRefused,
    HandshakeInvalid,
    InEffect,
    Message,
    Refused,
    Rejected,
    Sent,
    State,
    Verdict,
    first_message,
    handover,
)
from rxsocket.testing import VirtualClock, accept


def told(value: Any) -> str:
    """The message that carries a credential."""
    return f"auth {value['token']}"


def carrier(**options: Any) -> Any:
    """A carrier for a server that answers ``yes`` or ``no``."""
    return first_message(
        told,
        accepted=lambda message: message == "yes",
        rejected=lambda message: message == "no",
        **options,
    )


def test_it_opens_when_the_server_accepted(clock: VirtualClock, scene: Make) -> None:
    """Connecting until the answer; the answer itself is not delivered."""
    it = scene(accept().expect("auth a").wait(2.0).send("yes", "hello"), auth=A, carrier=carrier())
    clock.advance(1.0)
    assert it.names == ["Connecting"]
    assert it.socket.state.value is State.CONNECTING
    clock.advance(5.0)
    assert it.entries[1:] == [(2.0, opened(1)), (2.0, Message(epoch=1, data="hello"))]


def test_the_credential_goes_nowhere_else(clock: VirtualClock, scene: Make) -> None:
    """Neither the URL nor the headers carry it."""
    it = scene(accept().send("yes"), auth=A, carrier=carrier())
    clock.advance(1.0)
    (handshake,) = it.peer.handshakes
    assert handshake.credential is None
    assert [heard.message for heard in it.peer.received] == ["auth a"]


def test_what_comes_before_the_answer_is_delivered_after_the_open(
    clock: VirtualClock, scene: Make
) -> None:
    """A welcome before the yes is no answer, and it is not lost."""
    script = accept().send("welcome").expect("auth a").send("yes", "news")
    it = scene(script, auth=A, carrier=carrier())
    clock.advance(1.0)
    assert it.events[1:] == [
        opened(1),
        Message(epoch=1, data="welcome"),
        Message(epoch=1, data="news"),
    ]


def test_a_no_may_say_why(clock: VirtualClock, scene: Make) -> None:
    """C9: an exception that ``rejected`` returns is the refusal's, and its text is masked (C28)."""

    def why(message: Any) -> CredentialRefused | None:
        return CredentialRefused(f"no: {message[3:]}") if message.startswith("no") else None

    refusing = first_message(told, accepted=lambda message: message == "yes", rejected=why)
    it = scene(
        accept().expect().send("no such s3cret-a"), auth={"token": "s3cret-a"}, carrier=refusing
    )
    clock.advance(1.0)
    (rejected,) = [event for event in it.events if isinstance(event, Rejected)]
    assert (str(rejected.error), type(rejected.error)) == ("no: such ***", CredentialRefused)
    assert it.socket.state.value is State.AWAITING_AUTH


def test_a_no_that_is_not_about_the_credential(clock: VirtualClock, scene: Make) -> None:
    """C16: of an exception of another class the table says what follows."""
    carrier = first_message(told, rejected=lambda _: HandshakeInvalid("another protocol"))
    it = scene(accept().send("hello"), auth=A, carrier=carrier)
    clock.advance(1.0)
    (failed,) = [event for event in it.events if isinstance(event, ConnectFailed)]
    assert str(failed.error) == "another protocol"
    assert failed.verdict is Verdict.RECONNECT


def test_nothing_of_the_user_goes_out_before(clock: VirtualClock, scene: Make) -> None:
    """A message is not sent over a connection whose credential was not accepted yet."""
    it = scene(accept().expect("auth a").wait(1.0).send("yes"), auth=A, carrier=carrier())
    clock.advance(0.5)
    receipt = it.socket.send("early")
    clock.advance(0.0)
    assert [heard.message for heard in it.peer.received] == ["auth a"]
    assert not receipt.done
    clock.advance(1.0)
    assert [heard.message for heard in it.peer.received] == ["auth a", "early"]
    assert receipt.result() == Sent(epoch=1)


def test_without_an_answer_it_opens_when_it_was_sent(clock: VirtualClock, scene: Make) -> None:
    """``accepted`` left out: the server says nothing, and need not."""
    it = scene(auth=A, carrier=first_message(told))
    clock.advance(0.0)
    assert it.names == ["Connecting", "Opened"]
    assert [heard.message for heard in it.peer.received] == ["auth a"]


def test_a_no_is_a_refusal(clock: VirtualClock, scene: Make) -> None:
    """C9: Rejected, AwaitingAuth, and another credential reconnects the same subscribers."""
    scripts = (accept().expect("auth a").send("no"), accept().expect("auth b").send("yes"))
    it = scene(*scripts, auth=A, carrier=carrier())
    clock.advance(600.0)
    assert [type(event) for event in it.events[1:]] == [Rejected, AwaitingAuth]
    assert it.peer.closes == [(1, 1000, "")]
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    assert change.result() == InEffect(epoch=2)
    assert [heard.message for heard in it.peer.received] == ["auth a", "auth b"]


@pytest.mark.parametrize(
    ("code", "verdict"), [(4401, Verdict.AWAIT_AUTH), (1011, Verdict.RECONNECT)]
)
def test_a_close_before_the_answer_goes_by_the_table(
    clock: VirtualClock, scene: Make, code: int, verdict: Verdict
) -> None:
    """C16: a refusal, or an attempt that failed; there was no open to close."""
    it = scene(accept().close(code, "because"), auth=A, carrier=carrier())
    clock.advance(0.5)
    end = it.events[1]
    assert isinstance(end, Rejected if verdict is Verdict.AWAIT_AUTH else ConnectFailed)
    assert end.verdict is verdict
    assert str(code) in str(end.error)
    assert "because" in str(end.error)


def test_no_answer_is_a_failed_attempt(clock: VirtualClock, scene: Make) -> None:
    """After the timeout the link is closed, and tried again after a backoff."""
    it = scene(accept(), accept().send("yes"), auth=A, carrier=carrier(timeout=3.0))
    clock.advance(10.0)
    assert it.story == [
        (0.0, "Connecting"),
        (3.0, "ConnectFailed"),
        (3.0, "Waiting"),
        (5.0, "Connecting"),
        (5.0, "Opened"),
    ]
    failed = it.events[1]
    assert isinstance(failed, ConnectFailed)
    assert isinstance(failed.error, TimeoutError)
    assert it.peer.closes == [(1, 1000, "")]


def test_a_change_while_the_answer_is_awaited(clock: VirtualClock, scene: Make) -> None:
    """C8: Aborted, and the link is closed."""
    it = scene(accept(), accept().send("yes"), auth=A, carrier=carrier())
    clock.advance(1.0)
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.events[:2] == [
        connecting(1, Cause.STARTED),
        Aborted(epoch=1, cause=Cause.AUTH_CHANGED),
    ]
    assert change.result() == InEffect(epoch=2)
    assert it.peer.closes == [(1, 1000, "")]


def test_the_socket_is_closed_while_the_answer_is_awaited(clock: VirtualClock, scene: Make) -> None:
    """C26: nothing is left."""
    it = scene(auth=A, carrier=carrier())
    clock.advance(1.0)
    it.socket.close()
    clock.advance(2.0)
    assert it.names == ["Connecting", "Aborted", "Ended"]
    assert it.peer.connections == 0


def test_each_attempt_carries_the_credential_of_the_moment(
    clock: VirtualClock, scene: Make
) -> None:
    """C10: t1, t2, a drop: t1, t2, t2."""
    it = scene(auth=A, carrier=first_message(told))
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    it.peer.drop()
    clock.advance(3.0)
    assert [heard.message for heard in it.peer.received] == ["auth a", "auth b", "auth b"]


def test_a_handover_waits_for_the_acceptance(clock: VirtualClock, scene: Make) -> None:
    """The next connection says its credential first; the old one delivers until it is accepted."""
    scripts = (accept().send("yes"), accept().expect("auth b").wait(2.0).send("yes"))
    it = scene(
        *scripts, auth=A, carrier=carrier(), on_auth_change=handover(), identity=lambda _: "me"
    )
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(5.0)
    assert it.story == [(10.0, "Connecting"), (12.1, "Closed"), (12.1, "Opened")]
    assert change.result() == InEffect(epoch=2)


def test_a_handover_to_a_refused_one(clock: VirtualClock, scene: Make) -> None:
    """The no over the next connection leaves the old one working."""
    scripts = (accept().send("yes"), accept().expect("auth b").send("no"))
    it = scene(
        *scripts, auth=A, carrier=carrier(), on_auth_change=handover(), identity=lambda _: "me"
    )
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(5.0)
    assert it.names == ["Connecting", "Rejected", "RenewalFailed"]
    assert isinstance(change.result(), Refused)
    assert it.peer.connections == 1


def test_a_predicate_that_raises(clock: VirtualClock, scene: Make) -> None:
    """C23: reported, and taken for a no answer."""

    def broken(message: str) -> bool:
        raise LookupError(message)

    it = scene(
        accept().send("yes"),
        accept(),
        auth=A,
        carrier=first_message(told, accepted=broken, timeout=1.0),
    )
    clock.advance(2.0)
    assert "ObserverFailed" in it.names
    assert "ConnectFailed" in it.names


@pytest.mark.parametrize(
    ("make", "error", "names"),
    [
        (lambda: first_message("hello"), TypeError, "encode"),  # type: ignore[arg-type]
        (lambda: first_message(told, accepted="yes"), TypeError, "accepted"),  # type: ignore[arg-type]
        (lambda: first_message(told, rejected=1), TypeError, "rejected"),  # type: ignore[arg-type]
        (lambda: first_message(told, timeout=-1), ValueError, "timeout"),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], names: str) -> None:
    """They fail at once, naming the argument."""
    with pytest.raises(error, match=names):
        make()


def test_an_encoder_that_returns_nonsense_fails_at_once(scene: Make) -> None:
    """The first credential is tried when the socket is made."""
    with pytest.raises(TypeError, match="return str or bytes, not dict"):
        scene(auth=A, carrier=first_message(lambda value: dict(value)))  # type: ignore[arg-type,return-value]
