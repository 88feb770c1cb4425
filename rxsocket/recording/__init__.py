"""Sessions on file: :func:`record` writes down what happens to a socket, :func:`replay` plays it.

::

    with record(socket, "session.jsonl"), socket:
        socket.wait(60)

    recording = replay("session.jsonl", speed="max")
    recording.events.subscribe(print)          # what happened, as it happened
    socket = recording.socket()                # a socket to which it happens again
    socket = Socket(url, transport=recording)  # a socket of yours, served the recording
"""

from __future__ import annotations

from rxsocket.recording.reader import BadRecording
from rxsocket.recording.recorder import Recorder, record
from rxsocket.recording.replay import Replay, replay

__all__ = ["BadRecording", "Recorder", "Replay", "record", "replay"]
