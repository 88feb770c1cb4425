"""C43: shards in processes of this machine, which are killed, and their parent, too."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest
from deadlines import stretched
from fleet_places import (
    KEYS,
    SECRET,
    FleetWatch,
    fails_on_third,
    fleet_of,
    lengths,
    loses_and_finds,
    processes_of,
)
from reactivex.subject import BehaviorSubject
from venue import Caps, VenueServer

from rxsocket import refreshing
from rxsocket.fleet import Processes, ShardFailed

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.timeout(300),  # each process imports everything
]
TESTS = Path(__file__).resolve().parent.parent


def test_a_fleet_on_processes_is_one_stream_and_leaves_nothing() -> None:
    """C43: all channels of both processes, in order; closed, no process is left."""

    async def main() -> None:
        with VenueServer(Caps(channels=10)) as venue:
            venue.feed(20)
            fleet = fleet_of(venue.url, limits=None, on=Processes(1))
            watch = FleetWatch(fleet)
            await watch.until_live()
            await watch.until(lambda: len(watch.got.newest) == len(KEYS))
            assert watch.got.missing == watch.got.late == []
            assert len(processes_of(os.getpid())) == 1
            await watch.until(lambda: fleet.stats.messages_received >= len(KEYS))
            assert fleet.stats.bytes_received > fleet.stats.messages_received
            await fleet.close()
            assert fleet.stats.messages_received >= len(KEYS)
            assert processes_of(os.getpid()) == []

    asyncio.run(main())


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_its_gap_is_told() -> None:
    """C43: SIGKILL; its channels are lost and restored, the other process goes on."""

    async def main() -> None:
        with VenueServer(Caps(channels=5)) as venue:
            venue.feed(20)
            fleet = fleet_of(venue.url, on=Processes(2))
            watch = FleetWatch(fleet)
            await loses_and_finds(
                watch, lambda: os.kill(processes_of(os.getpid())[0], signal.SIGKILL)
            )
            (failed,) = watch.of(ShardFailed)
            assert "SIGKILL" in str(failed.error)
            assert failed.restarts
            assert venue.violations == []
            await fleet.close()
            assert processes_of(os.getpid()) == []

    asyncio.run(main())


@pytest.mark.slow
def test_the_credential_comes_from_one_source_and_shows_nowhere() -> None:
    """C43: one call of ``refreshing()`` for all processes; an Observable is followed by all."""

    async def main() -> None:
        tokens = refreshing(lambda: {"access_token": SECRET, "expires_in": 3600})
        pushed = BehaviorSubject[Any](SECRET)
        for auth in (tokens, pushed, lambda: SECRET):
            with VenueServer(Caps(channels=5)) as venue:
                fleet = fleet_of(venue.url, auth=auth, on=Processes(2))
                watch = FleetWatch(fleet)
                await watch.until_live()
                assert [one.credential for one in venue.handshakes] == [SECRET] * 2
                if auth is pushed:
                    pushed.on_next(SECRET + "2")
                    await watch.until(lambda: len(venue.handshakes) >= 4)
                    assert {one.credential for one in venue.handshakes[2:]} == {SECRET + "2"}
                assert SECRET not in f"{fleet!r} {fleet.explain()} {watch.events}"
                await fleet.close()
        assert tokens.calls == 1

    asyncio.run(main())


@pytest.mark.slow
def test_a_pipeline_runs_in_the_processes_and_one_that_raises_is_reported() -> None:
    """C43: what it gives comes back; a traceback says where it raised, and it is started again."""

    async def main() -> None:
        with VenueServer(Caps(channels=10)) as venue:
            venue.feed(20)
            fleet = fleet_of(venue.url, limits=None, on=Processes(1, pipeline=lengths))
            watch = FleetWatch(fleet)
            await watch.until(lambda: len(watch.values) >= 20)
            assert all(isinstance(value, int) for value in watch.values)
            await fleet.close()
            fleet = fleet_of(venue.url, limits=None, on=Processes(1, pipeline=fails_on_third))
            watch = FleetWatch(fleet)
            await watch.until(lambda: bool(watch.of(ShardFailed)))
            failed = watch.of(ShardFailed)[0]
            assert failed.restarts
            assert "the third message is too much" in str(failed.error)
            assert "_raise_on_third" in str(failed.error)
            await fleet.close()

    asyncio.run(main())


SCRIPT = """
    import sys
    from exchange import key_of, subscribe
    from rxsocket.fleet import ChannelSpec, Fleet, Processes

    def main():
        fleet = Fleet(
            sys.argv[1], channel=ChannelSpec(subscribe=subscribe, by=key_of), on=Processes(2)
        )
        fleet.want(["A", "B"])
        fleet.events.subscribe(lambda event: print(event, flush=True))
        fleet.wait()
"""
GUARDED = SCRIPT + "\n    if __name__ == '__main__':\n        main()\n"
UNGUARDED = SCRIPT + "\n    main()\n"


def run(tmp_path: Path, text: str, url: str) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text), encoding="utf-8")
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    return subprocess.Popen(
        [sys.executable, str(script), url],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_process_outlives_its_parent(tmp_path: Path, name: str) -> None:
    """C43: whatever ends the parent, its sockets are closed and its processes end."""
    with VenueServer() as venue, run(tmp_path, GUARDED, venue.url) as script:
        assert script.stdout is not None
        placed = [script.stdout.readline() for _ in range(2)]
        assert all(line.startswith("Placed(") for line in placed), placed
        children = [psutil.Process(pid) for pid in processes_of(script.pid)]
        assert len(children) == 2
        script.send_signal(getattr(signal, name))
        _, left = psutil.wait_procs(children, stretched(15))
        assert left == []
        _, said = script.communicate(timeout=stretched(15))
        if name != "SIGKILL":
            assert "Error" not in said.replace("KeyboardInterrupt", "")


@pytest.mark.slow
def test_a_script_that_does_not_guard_its_start_is_told_to(tmp_path: Path) -> None:
    """C43: it is not started again and again."""
    with VenueServer() as venue, run(tmp_path, UNGUARDED, venue.url) as script:
        _, said = script.communicate(timeout=stretched(60))
    assert script.returncode == 1
    assert "if __name__ == '__main__':" in said
