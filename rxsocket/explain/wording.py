"""Each event in one sentence: for the log, the command line, ``explain()`` and the pictures.

A sentence says what happened and to what, so that it stands alone; :func:`advice` is what the user
can do about it. Nothing in either is secret (C28): messages are not in them.
"""

from __future__ import annotations

from rxsocket.errors import SubscriptionRefused
from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Cause,
    ChannelFailed,
    ChannelStale,
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Fresh,
    Gated,
    Message,
    Missed,
    ObserverFailed,
    Opened,
    Rejected,
    RenewalFailed,
    Renewed,
    Resumed,
    SendFailed,
    SlowConsumer,
    SourceFailed,
    Stale,
    TopicFailed,
    Waiting,
)
from rxsocket.explain.causes import (
    advice_about,
    advice_about_closing,
    advice_about_refusal,
    attempt_reason,
    closing,
    describe,
    failure,
    kind_and_text,
    socket_failure,
)
from rxsocket.explain.format import amount, span
from rxsocket.policy.verdicts import Verdict
from rxsocket.texts import quoted

READS_SLOWLY = "let it do less for each message, or drop some: overflow='drop_oldest'"


def sentence(event: Event, ago: str = "") -> str:
    """What happened.

    Args:
        event: The event.
        ago: When, as in ``10 s ago``, for events that the user is told of later: a problem, a
            renewal, a jump of time.

    Examples:
        >>> sentence(Resumed(slept=7200.0), "10 s ago")
        'time jumped by 2 h 10 s ago: the computer slept, or its clock was set'
    """
    then = f" {ago}" if ago else ""
    match event:
        case Connecting(url=url, attempt=attempt, cause=cause, proxy=proxy, reason=reason):
            way = f" through the proxy {proxy}" if proxy else ""
            which = f", attempt {attempt}" if attempt > 1 else ""
            return f"connecting to {url}{way}{which}: {attempt_reason(cause, reason)}"
        case Opened(epoch=epoch, gap=gap, url=url, moved=moved):
            where = f" at {url}" if moved and url else ""
            return f"connection {epoch} is open{where}" + ("" if gap is None else f", {_gap(gap)}")
        case Message(epoch=epoch):
            return f"a message came over connection {epoch}"
        case Closed():
            return _closed(event)
        case ConnectFailed(error=error):
            return f"cannot connect: {failure(error)}"
        case Rejected(error=error):
            return f"credential refused: {failure(error)}"
        case Aborted(cause=cause):
            return f"the attempt was given up: {cause.value}"
        case Waiting(delay=delay):
            return f"the next attempt comes in {span(delay)}"
        case AwaitingAuth(reason=reason, cause=cause, asks=asks):
            which = "another" if cause is Cause.REFUSED else "a"
            asked = "; the function given as auth= is asked for one" if asks else ""
            return f"waiting for {which} credential: {reason}{where_it_went(event, reason)}{asked}"
        case Gated(reason=reason):
            return f"waiting for the gate to open: {reason}"
        case Ended(error=error, cause=cause):
            return f"the socket ended: {cause.value if error is None else socket_failure(error)}"
        case Renewed(epoch=epoch):
            return f"connection {epoch} took another credential{then}, and goes on"
        case Stale(epoch=epoch, silence=silence):
            return f"connection {epoch} is open, but no message came for {span(silence)}"
        case Fresh(epoch=epoch, silence=silence):
            return f"connection {epoch} has messages again, after {span(silence)}"
        case ChannelStale(channel=channel, epoch=epoch, silence=silence, answered=answered):
            what = "no message of it" if answered else "no answer"
            return (
                f"channel {channel} was asked for again{then}: {what} came over connection "
                f"{epoch} for {span(silence)}"
            )
        case Resumed(slept=slept):
            return f"time jumped by {span(slept)}{then}: the computer slept, or its clock was set"
        case _:
            return _problem(event, then)


def advice(event: Event) -> str:
    """What the user can do about it; empty when there is nothing, or only time helps."""
    match event:
        case Closed():
            return advice_about_closing(event)
        case AwaitingAuth(cause=Cause.REFUSED, asks=False):
            return "call set_auth(), or reconnect() to try this one again"
        case Rejected(error=error):
            return advice_about_refusal(error)
        case ConnectFailed() | RenewalFailed() | SourceFailed() | SendFailed():
            return advice_about(event.error)
        case DecodeFailed():
            return "check codec="
        case SlowConsumer(waiting=int()):
            return READS_SLOWLY
        case SlowConsumer():
            return "move its work off the loop: asyncio.to_thread(...)"
        case _:
            return ""


def where_it_went(event: AwaitingAuth, said: str) -> str:
    """Where the refused credential went, unless that was said already."""
    where = event.credential
    return f"; the credential went {where}" if where and where not in said else ""


def _problem(
    event: RenewalFailed
    | ObserverFailed
    | SourceFailed
    | SendFailed
    | DecodeFailed
    | TopicFailed
    | ChannelFailed
    | Dropped
    | Missed
    | SlowConsumer,
    then: str,
) -> str:
    match event:
        case RenewalFailed(cause=Cause.AUTH_CHANGED, error=error):
            return (
                f"the credential could not be changed{then}: {failure(error)}; the connection goes "
                f"on with the one it had, and the change is tried again {_next_try(event)}"
            )
        case RenewalFailed(epoch=epoch, error=error):
            return (
                f"connection {epoch} could not be renewed{then}: {failure(error)}; it goes on, and "
                f"that is tried again {_next_try(event)}"
            )
        case ObserverFailed(observer=observer, stream=stream, error=error, detached=detached):
            rest = " and gets nothing more" if detached else ""
            return f"observer {observer} of {stream} raised {kind_and_text(error)}{then}{rest}"
        case SourceFailed(error=error, argument=argument):
            given = argument if argument.endswith(")") else f"{argument}="
            return f"what was given as {given} failed{then}: {describe(error)}"
        case SendFailed(error=error):
            return f"a message was not sent{then}: {describe(error).removeprefix('not sent: ')}"
        case DecodeFailed(error=error, excerpt=excerpt):
            shape = f"; its shape: {excerpt}" if excerpt else ""
            return describe(error) + (f",{then}" if then else "") + shape
        case TopicFailed(topic=topic, error=error):
            return f"a payload of topic {quoted(topic)} was not decoded{then}: {describe(error)}"
        case ChannelFailed(channel=channel, error=SubscriptionRefused() as error):
            return f"channel {channel} failed{then}: {describe(error)}"
        case ChannelFailed(channel=channel, error=error):
            return f"channel {channel} failed{then}: {kind_and_text(error)}"
        case Dropped(count=count, reason=reason):
            return f"{amount(count, 'message')} dropped: {reason}"
        case Missed():
            return _missed(event, then)
        case SlowConsumer(observer=observer, seconds=seconds, waiting=int(waiting)):
            who = f"{observer} had {amount(waiting, 'message')} waiting"
            return f"reading was paused for {span(seconds)}{then}, also for the others: {who}"
        case SlowConsumer(observer=observer, stream=stream, seconds=seconds):
            return f"observer {observer} of {stream} held the loop for {span(seconds)}{then}"


def _missed(event: Missed, then: str) -> str:
    first, last = event.first, event.last
    which = f"message {first}" if first == last else f"messages {first} to {last}"
    return f"{which} did not come{then}: connection {event.epoch} went on with {last + 1}"


def _gap(gap: float) -> str:
    return f"after a gap of {span(gap)}" if gap else "without a gap"


def _closed(event: Closed) -> str:
    how = closing(event)
    if event.verdict is Verdict.AWAIT_AUTH:
        why = how.removeprefix(f"{Cause.REFUSED.value}: ")
        return f"credential refused on connection {event.epoch}: {why}"
    return f"connection {event.epoch} " + (how if how.startswith("closed ") else f"closed: {how}")


def _next_try(event: RenewalFailed) -> str:
    if event.retry_in is not None:
        return f"{span(event.retry_in)} after that"
    if event.cause is Cause.MAX_AGE:
        return "when it gets old again"
    if event.cause is Cause.RENEW:
        return "when renew() is called again"
    otherwise = ", unless set_auth(...) gives another" if event.refused else ""
    return f"at the next attempt to connect{otherwise}"
