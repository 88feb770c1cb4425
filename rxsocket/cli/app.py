"""The commands and their options."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from rxsocket.auth.carriers import header, query
from rxsocket.cli import demo as demonstration
from rxsocket.cli import listen as listening
from rxsocket.cli.errors import UsageError
from rxsocket.cli.paper import Json, Lines, silence
from rxsocket.cli.sources import PLACES, from_options

__all__ = ["app"]

app = typer.Typer(
    name="rxsocket",
    help="Authenticated WebSockets as observable streams.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"rxsocket {version('rxsocket')}")
        except PackageNotFoundError:
            typer.echo("rxsocket (not installed)")
        raise typer.Exit


@app.callback()
def rxsocket(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say which version this is.", callback=_tell_version),
    ] = False,
) -> None:
    """Authenticated WebSockets as observable streams."""


@app.command()
def demo() -> None:
    """Show in some seconds what a change of the credential does to a live socket.

    A small server that checks tokens runs inside this process; nothing leaves the machine. Every
    step is verified. The exit code is 0 if all of them happened and 1 if one did not.
    """
    _run(demonstration.demo)


EXAMPLES = """
Examples:

  rxsocket listen wss://example.com/feed --auth token=env:FEED_TOKEN

  rxsocket listen wss://example.com/feed --auth token=prompt --header --json | jq .

Exit codes: 0 the server completed the stream, or COUNT was reached; 1 the socket failed; 2 wrong
usage; 130 Ctrl-C.
"""


@app.command(epilog=EXAMPLES, context_settings={"allow_extra_args": True})
def listen(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Address, ws:// or wss://.", metavar="URL")],
    auth: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Where the credential is: {PLACES}. Repeat it for more entries. The value itself "
            "is refused: ps and the history of the shell would show it.",
            metavar="KEY=SOURCE",
        ),
    ] = None,
    in_header: Annotated[
        bool,
        typer.Option(
            "--header/--query",
            help="Send the credential in headers (the entry 'token' as 'Authorization: Bearer', "
            "others under their own names), or as parameters of the URL.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write everything to stdout, one JSON object a line.")
    ] = False,
    count: Annotated[
        int | None, typer.Option(min=1, help="End after that many messages.", metavar="N")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Write the library's log to stderr.")
    ] = False,
) -> None:
    """Write the messages of a server to stdout, and what happens to the connection to stderr.

    While it runs, a line on stdin changes the credential: KEY=VALUE, one or more with spaces
    between, or KEY=env:NAME or KEY=file:PATH; "logout" closes and waits for the next one. A
    terminal shows what is typed: prefer env: and file: there. The end of stdin changes nothing.
    """

    def run() -> int:
        if context.args:
            raise UsageError("listen: takes one URL; a credential goes with --auth KEY=SOURCE")
        credential = from_options(auth) if auth else None
        carrier = header() if in_header else query()
        return listening.listen(url, credential, carrier, Json() if as_json else Lines(), count)

    _run(run, verbose)


def _log(verbose: bool) -> None:
    logger = logging.getLogger("rxsocket")
    if not verbose:
        logger.addHandler(logging.NullHandler())  # or warnings would be told a second time
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


def _run(command: Callable[[], int], verbose: bool = False) -> None:
    _log(verbose)
    try:
        code = command()
    except UsageError as error:
        typer.echo(f"rxsocket: {error}", err=True)
        code = 2
    except KeyboardInterrupt:
        silence(sys.stdout)
        code = 130
    except BrokenPipeError:
        silence(sys.stdout, sys.stderr)
        code = 0
    raise typer.Exit(code)
