"""The command line, ``rxsocket[cli]``: a demonstration, a listener and a recorder."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

EXTRA = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command ``rxsocket``; it ends with ``SystemExit``.

    Args:
        arguments: The arguments after the command's name; left out, those of this process.
    """
    try:
        from rxsocket.cli.app import app

        app(args=arguments, prog_name="rxsocket")
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        print(
            f"rxsocket: the command line needs {missing}: pip install 'rxsocket[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
