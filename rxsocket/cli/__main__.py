"""``python -m rxsocket.cli``."""

from rxsocket.cli import main

main()
