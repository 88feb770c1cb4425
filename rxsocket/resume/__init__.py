"""Resuming: from which place in its stream a server is to go on, on the next connection (C38).

::

    message ── cursor(message) ── Position ──┬── socket.cursor
                                     |       `── what is made for the next connection: its address,
                                   Missed        its credential, its first messages
"""
