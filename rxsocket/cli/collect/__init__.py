"""``rxsocket collect``: the channels of a server into a broker, as a file says (C44)."""
