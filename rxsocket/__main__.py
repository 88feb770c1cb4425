"""``python -m rxsocket``, which is the command ``rxsocket``."""

from rxsocket.cli import main

if __name__ == "__main__":  # a process that is spawned imports it by another name
    main()
