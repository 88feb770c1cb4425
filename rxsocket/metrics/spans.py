"""Spans of one socket: its attempts to connect, and its renewals.

::

    rxsocket.connect     o===x  o==========o
    rxsocket.renew                   o=========o     a handover, with its attempts inside
    rxsocket.connect                 o=======o
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from rxsocket.cause import Cause
from rxsocket.events import (
    Aborted,
    Closed,
    ConnectFailed,
    Connecting,
    Event,
    Opened,
    Rejected,
    RenewalFailed,
    Renewed,
)
from rxsocket.metrics.attributes import CAUSE, EPOCH, Attributes, of_address, of_error

CONNECT, RENEW = "rxsocket.connect", "rxsocket.renew"


class Spans:
    """Follows the events of one socket, on its loop.

    Args:
        tracer: Makes the spans.
        attributes: What is true of the socket.
    """

    def __init__(self, tracer: Tracer, attributes: Attributes) -> None:
        self._tracer = tracer
        self._attributes = attributes
        self._attempts: dict[int, Span] = {}
        self._renewal: Span | None = None
        self._is_open = False

    def on_event(self, event: Event) -> None:
        match event:
            case Connecting():
                self._begin(event)
            case Opened(epoch=epoch, url=url):
                self._is_open = True
                self._end_attempt(epoch, event.at, of_address(url))
                self._end_renewal(event.at)
            case ConnectFailed(epoch=epoch, error=error) | Rejected(epoch=epoch, error=error):
                self._end_attempt(epoch, event.at, of_error(error), is_error=True)
            case Aborted(epoch=epoch, cause=cause):
                self._end_attempt(epoch, event.at, {CAUSE: cause.name.lower()})
            case Closed(cause=cause):
                self._is_open = False
                if cause is not Cause.HANDED_OVER:
                    self._end_renewal(event.at)
            case Renewed():
                self._renewed(event, {})
            case RenewalFailed(error=error):
                self._renewed(event, of_error(error))
            case _:
                pass

    def stop(self, at: float) -> None:
        """End what is under way."""
        for epoch in tuple(self._attempts):
            self._end_attempt(epoch, at, {})
        self._end_renewal(at)

    def _begin(self, event: Connecting) -> None:
        where = of_address(event.url)
        attributes = {**self._attributes, **where, CAUSE: event.cause.name.lower()}
        if self._is_open and self._renewal is None:
            self._renewal = self._span(RENEW, event.at, attributes)
        context = Context() if self._renewal is None else trace.set_span_in_context(self._renewal)
        attributes = {**attributes, EPOCH: event.epoch, "rxsocket.attempt": event.attempt}
        self._attempts[event.epoch] = self._span(CONNECT, event.at, attributes, context)

    def _span(
        self, name: str, at: float, attributes: Attributes, context: Context | None = None
    ) -> Span:
        # In a context of its own: what runs when it begins has nothing to do with it.
        return self._tracer.start_span(
            name,
            Context() if context is None else context,
            SpanKind.CLIENT,
            attributes,
            start_time=_nanoseconds(at),
        )

    def _end_attempt(
        self, epoch: int, at: float, attributes: Attributes, *, is_error: bool = False
    ) -> None:
        span = self._attempts.pop(epoch, None)
        if span is not None:
            _end(span, at, attributes, is_error=is_error)

    def _end_renewal(self, at: float) -> None:
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            _end(renewal, at, {})

    def _renewed(self, event: Renewed | RenewalFailed, error: Attributes) -> None:
        """One ended; of one in band nothing was heard before: its span has no length."""
        renewal, self._renewal = self._renewal, None
        if renewal is None:
            renewal = self._span(RENEW, event.at, {**self._attributes, EPOCH: event.epoch})
        _end(renewal, event.at, error, is_error=bool(error))


def _end(span: Span, at: float, attributes: Attributes, *, is_error: bool = False) -> None:
    span.set_attributes(attributes)
    if is_error:
        span.set_status(Status(StatusCode.ERROR))
    span.end(_nanoseconds(at))


def _nanoseconds(at: float) -> int:
    return int(at * 1e9)
