"""Metrics and traces of a socket, for OpenTelemetry: ``pip install 'rxsocket[otel]'``
(rule C45, stats and metrics).

::

    from rxsocket.metrics import measure

    measure(socket)         # what socket.stats counts, under the names of INSTRUMENTS
    measure(fleet)          # the sums over its sockets

Everything that is counted is read from ``socket.stats`` when somebody collects it, so a message
costs nothing. What has a length is recorded when it is over: attempts, gaps, pings, connections.
"""

from rxsocket.metrics.measuring import measure

__all__ = ["measure"]
