"""The commands and their options."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from rxsocket.cli import demo as demonstration
from rxsocket.cli import listen as listening
from rxsocket.cli import record as recording
from rxsocket.cli.carriers import FORMS, carrier_from_options
from rxsocket.cli.credentials import PLACES, UsageError, from_options
from rxsocket.cli.keys import wait_for_key
from rxsocket.cli.output import output, silence
from rxsocket.cli.target import Target, trusting
from rxsocket.recording.player import Speed
from rxsocket.version import VERSION

app = typer.Typer(
    name="rxsocket",
    help="Authenticated WebSockets as observable streams.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rxsocket {VERSION}")
        raise typer.Exit


@app.callback()
def rxsocket(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say which version this is.", callback=_show_version),
    ] = False,
) -> None:
    """Authenticated WebSockets as observable streams."""


@app.command()
def demo(
    wait: Annotated[
        bool,
        typer.Option(help="At a terminal, wait for a key before each step, or go on in any case."),
    ] = True,
) -> None:
    """Show what happens when a token changes, is refused or renewed, and when the link drops.

    A small server that checks tokens runs inside this process; nothing leaves the machine. Every
    step is verified. The exit code is 0 if all of them happened and 1 if one did not.
    """
    _run(lambda: demonstration.demo(wait_for_key() if wait else None))


def _carrier_forms(incomplete: str) -> list[tuple[str, str]]:
    """For the completion of the shell: what may stand there, with a word about each."""
    shown = {form.rstrip("NAMETX"): about for form, about in FORMS.items()}
    return [(form, about) for form, about in shown.items() if form.startswith(incomplete)]


EXAMPLES = """
Examples:

  rxsocket listen wss://example.com/feed --auth token=env:FEED_TOKEN

  rxsocket listen wss://example.com/feed --auth token=prompt --header --json | jq .

  rxsocket listen wss://host/feed --auth session=file:session --carrier cookie

  rxsocket listen wss://host/feed --auth token=prompt --carrier 'message:{"auth": "{token}"}'

  rxsocket listen wss://host/feed --certificate --auth certificate=file:me.pem --ca ca.pem

  rxsocket listen wss://host/feed --send '{"op": "subscribe", "channel": "trades"}'

  rxsocket listen unix:/run/feed.sock:/feed

  rxsocket listen https://example.com/events --auth token=env:FEED_TOKEN --header

Exit codes: 0 the server completed the stream, or COUNT was reached; 1 the socket failed; 2 wrong
usage; 130 Ctrl-C.
"""


Url = Annotated[
    str,
    typer.Argument(
        help="Address: ws://, wss://, unix:/run/feed.sock:/path; http:// or https:// for "
        "server-sent events.",
        metavar="URL",
    ),
]
Auth = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Where the credential is: {PLACES}. Repeat it for more entries. The value itself "
        "is refused: ps and the history of the shell would show it.",
        metavar="KEY=SOURCE",
    ),
]
CarrierForms = Annotated[
    list[str] | None,
    typer.Option(
        "--carrier",
        help=f"How the credential goes: {', '.join(FORMS)}. Default: query. Repeat it for more.",
        metavar="FORM",
        autocompletion=_carrier_forms,
    ),
]
InHeader = Annotated[
    bool, typer.Option("--header/--query", help="Short for --carrier header, and for its default.")
]
Certificate = Annotated[
    bool,
    typer.Option(
        "--certificate",
        help="Short for --carrier certificate, beside the others: --auth "
        "certificate=file:client.pem --auth key=file:client.key.",
    ),
]
Accepted = Annotated[
    str | None,
    typer.Option(
        help="With --carrier message:TEXT: what the server's yes holds; without, none is awaited.",
        metavar="TEXT",
    ),
]
Rejected = Annotated[str | None, typer.Option(help="The same for its no.", metavar="TEXT")]
Ca = Annotated[
    str | None,
    typer.Option(
        "--ca",
        help="Certificates that the server's is checked against, in PEM, instead of the system's.",
        metavar="FILE",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write everything to stdout, one JSON object a line.")
]
Count = Annotated[
    int | None, typer.Option(min=1, help="End after that many messages.", metavar="N")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Write the library's log to stderr.")]


@app.command(epilog=EXAMPLES, context_settings={"allow_extra_args": True})
def listen(
    context: typer.Context,
    url: Url,
    auth: Auth = None,
    carrier: CarrierForms = None,
    in_header: InHeader = False,
    certificate: Certificate = False,
    accepted: Accepted = None,
    rejected: Rejected = None,
    ca: Ca = None,
    send: Annotated[
        list[str] | None,
        typer.Option(help="Send this on each connection. Repeat it for more.", metavar="TEXT"),
    ] = None,
    as_json: AsJson = False,
    count: Count = None,
    verbose: Verbose = False,
) -> None:
    """Write the messages of a server to stdout, and what happens to the connection to stderr.

    While it runs, a line on stdin that begins with "> " is sent. Another one changes the
    credential: KEY=VALUE, one or more with spaces between, or KEY=env:NAME or KEY=file:PATH;
    "logout" closes and waits for the next one. A terminal shows what is typed: prefer env: and
    file: there. The end of stdin changes nothing.
    """

    def run() -> int:
        if context.args:
            raise UsageError("listen: takes one URL; a credential goes with --auth KEY=SOURCE")
        target = Target(
            url,
            from_options(auth) if auth else None,
            carrier_from_options(
                _forms(carrier, in_header, certificate), accepted=accepted, rejected=rejected
            ),
            trusting(ca),
        )
        write = output(json=as_json)
        return listening.listen(target, write, count, send=send or (), summary=not as_json)

    _run(run, verbose)


def _forms(given: list[str] | None, in_header: bool, certificate: bool) -> list[str]:
    """The forms of the carrier, with those that have options of their own."""
    if given and in_header:
        raise UsageError("--header: pass --carrier header beside the others")
    others = given or (["header"] if in_header else ["query"])
    return ["certificate", *others] if certificate else others


RECORD_EXAMPLES = """
Examples:

  rxsocket record wss://example.com/feed session.jsonl.gz --auth token=env:FEED_TOKEN

  rxsocket record wss://example.com/feed session.jsonl --rotate-size 100 --rotate-after 3600

Exit codes: 0 the server completed the stream, or COUNT was reached; 1 the socket or the recording
failed; 2 wrong usage; 130 Ctrl-C. The file is whole in each case.
"""


@app.command(epilog=RECORD_EXAMPLES, context_settings={"allow_extra_args": True})
def record(
    context: typer.Context,
    url: Url,
    file: Annotated[str, typer.Argument(help="A name in .gz is compressed.", metavar="FILE")],
    auth: Auth = None,
    carrier: CarrierForms = None,
    in_header: InHeader = False,
    certificate: Certificate = False,
    accepted: Accepted = None,
    rejected: Rejected = None,
    ca: Ca = None,
    rotate_size: Annotated[
        float | None,
        typer.Option(help="Begin the next file after that many megabytes.", metavar="MB"),
    ] = None,
    rotate_after: Annotated[
        float | None,
        typer.Option(help="Begin the next file after that many seconds.", metavar="SECONDS"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there already.")
    ] = False,
    count: Count = None,
    verbose: Verbose = False,
) -> None:
    """Record what happens on a socket into a file, until Ctrl-C; no credential is in it.

    What happens to the connection and how far the recording is goes to stderr. A line on stdin
    changes the credential, as with listen.
    """

    def run() -> int:
        if context.args:
            raise UsageError("record: takes URL and FILE; a credential goes with --auth KEY=SOURCE")
        for name, value in (("--rotate-size", rotate_size), ("--rotate-after", rotate_after)):
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"record: {name} takes a number that is more than 0")
        target = Target(
            url,
            from_options(auth) if auth else None,
            carrier_from_options(
                _forms(carrier, in_header, certificate), accepted=accepted, rejected=rejected
            ),
            trusting(ca),
        )
        return recording.record_socket(
            target,
            file,
            rotate_size=None if rotate_size is None else max(1, int(rotate_size * 1e6)),
            rotate_after=rotate_after,
            overwrite=overwrite,
            count=count,
        )

    _run(run, verbose)


REPLAY_EXAMPLES = """
Examples:

  rxsocket replay session.jsonl.gz --speed 10

  rxsocket replay session.jsonl.gz --speed max --json | jq .

Exit codes: 0 everything was written, also of a session that failed then; 2 wrong usage, or a file
that cannot be read; 130 Ctrl-C.
"""


@app.command(epilog=REPLAY_EXAMPLES)
def replay(
    file: Annotated[
        str,
        typer.Argument(help="What record wrote; the first file of a rotated one.", metavar="FILE"),
    ],
    speed: Annotated[
        str, typer.Option(help="Times the recorded speed, or 'max'.", metavar="NUMBER")
    ] = "1",
    as_json: AsJson = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Play what is whole of a cut, damaged or growing file."),
    ] = False,
) -> None:
    """Write what was recorded: messages to stdout, what happened to the connection to stderr."""

    def run() -> int:
        return recording.replay_file(file, output(json=as_json), _speed(speed), partial=partial)

    _run(run)


COLLECT_EXAMPLES = """
Examples:

  rxsocket collect trades.toml --check

  rxsocket collect trades.toml

Exit codes: 0 COUNT was reached, or nobody reads stdout any more; 1 the broker cannot be reached,
the server refuses the credential, or of some messages it is not known whether they are stored; 2
wrong usage, an error in CONFIG, or an impossible plan; 130 Ctrl-C; 143 SIGTERM.
"""


@app.command(epilog=COLLECT_EXAMPLES)
def collect(
    config: Annotated[str, typer.Argument(help="A file in TOML.", metavar="CONFIG")],
    check: Annotated[
        bool,
        typer.Option("--check", help="Check the config, show the plan, and connect to nothing."),
    ] = False,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="End after that many messages are stored.", metavar="N"),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Collect the channels of a server into a broker, as CONFIG says, until Ctrl-C or SIGTERM.

    CONFIG has the address, where the credential is, the channels, how they are asked for, what the
    server allows, and where the messages go. What happens, and how far it is, goes to stderr.
    SIGHUP reads the credential anew. A second Ctrl-C does not wait for the broker.
    """

    def run() -> int:
        # Here: no other command needs fleets and sinks.
        from rxsocket.cli.collect.planned import check_plan
        from rxsocket.cli.collect.reading import read_config
        from rxsocket.cli.collect.run import Collector
        from rxsocket.cli.collect.settings import settings_of

        settings = settings_of(read_config(config))
        return check_plan(settings) if check else Collector(settings, count).run()

    _run(run, verbose)


def _speed(text: str) -> Speed:
    try:
        return "max" if text == "max" else float(text)
    except ValueError:
        raise UsageError("replay: --speed takes a number such as 2, or max") from None


def _configure_log(verbose: bool) -> None:
    logger = logging.getLogger("rxsocket")
    if not verbose:
        logger.addHandler(logging.NullHandler())  # or warnings would be printed a second time
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


def _run(command: Callable[[], int], verbose: bool = False) -> None:
    _configure_log(verbose)
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
