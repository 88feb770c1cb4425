"""What happens to a fleet on Ray, each in a process of its own; ``test_fleet_ray`` runs them.

    python tests/faults/ray_scenarios.py NAME ADDRESS

``head`` starts a cluster, says its address, and ends it when its input ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
from fleet_places import (
    KEYS,
    SECRET,
    FleetWatch,
    fails_on_third,
    fleet_of,
    lengths,
    loses_and_finds,
)
from reactivex.subject import BehaviorSubject
from venue import Caps, VenueServer

from rxsocket import refreshing
from rxsocket.fleet import Lost, Ray, Restored, ShardFailed

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
NODE = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 * 2**20}


def pid_of(name: str) -> int:
    """The process of an actor, by the end of what Ray calls it."""
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if line.startswith("ray::") and name in line:
            return process.pid
    raise LookupError(name)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds, of a server in another thread."""
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise TimeoutError


async def killed_shard(address: str) -> None:
    """SIGKILL of an actor's process."""
    with VenueServer(Caps(channels=5)) as venue:
        venue.feed(20)
        fleet = fleet_of(venue.url, on=Ray(2, address=address))
        watch = FleetWatch(fleet)
        await loses_and_finds(watch, lambda: kill(pid_of("ShardActor")))
        assert all(event.restarts for event in watch.of(ShardFailed))
        assert venue.violations == []
        print("gap", max(event.gap for event in watch.of(Restored)))
        await fleet.close()


async def killed_node(address: str) -> None:
    """The node that a shard is on ends, with everything on it."""
    from ray.cluster_utils import Cluster

    # Ray takes a node as dead after five failed checks, 3 s apart, unless it is told otherwise.
    sooner = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
    head_node = NODE | {"_system_config": sooner}
    cluster = Cluster(initialize_head=True, head_node_args=head_node)
    other = cluster.add_node(num_cpus=2, resources={"other": 1}, object_store_memory=80 * 2**20)
    cluster.wait_for_nodes()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(other.node_id, soft=True)
    with VenueServer(Caps(channels=5)) as venue:
        venue.feed(20)
        on = Ray(2, address=cluster.address, placement=["DEFAULT", there])
        fleet = fleet_of(venue.url, on=on)
        watch = FleetWatch(fleet)
        await watch.until_live()
        await watch.until(lambda: len(watch.got.newest) == len(KEYS))
        began = time.time()
        await asyncio.to_thread(cluster.remove_node, other, allow_graceful=False)
        await watch.until(lambda: bool(watch.of(Lost)))
        detected = time.time()
        await watch.until(lambda: watch.keys_of(Restored) == watch.keys_of(Lost))
        await watch.until_live()
        print("detected", detected - began, "back", time.time() - detected)
        assert {key for key, _, _ in watch.got.missing} <= watch.keys_of(Lost)
        assert watch.got.late == []
        assert venue.violations == []
        await fleet.close()
    cluster.shutdown()


async def drive(address: str, url: str) -> None:
    """A driver that is killed; see ``next_driver``."""
    fleet = fleet_of(url, name="survivor", on=Ray(2, address=address))
    watch = FleetWatch(fleet)
    await watch.until_live()
    await watch.until(lambda: len(watch.got.newest) == len(KEYS))
    print("live", flush=True)
    await asyncio.sleep(3600)


async def next_driver(address: str) -> None:
    """The driver is killed; its channels go on, and the next one of that name gets them."""
    with VenueServer(Caps(channels=5)) as venue:
        venue.feed(20)
        with _driver(address, venue.url) as driver:
            placed = {key: tuple(where) for key, where in venue.placed.items()}
            assert placed.keys() == set(KEYS)
            kill(driver.pid)
        await asyncio.sleep(3)
        assert {key: tuple(where) for key, where in venue.placed.items()} == placed
        # A shard is killed while no driver is there: it gets its part from the ledger.
        kill(pid_of("ShardActor"))
        await until(lambda: venue.has_exactly(KEYS) and len(venue.handshakes) == 3)
        # So does the ledger from the shards.
        kill(pid_of("LedgerActor"))
        await asyncio.sleep(8)
        placed = {key: tuple(where) for key, where in venue.placed.items()}
        fleet = fleet_of(venue.url, name="survivor", on=Ray(2, address=address))
        watch = FleetWatch(fleet)
        await watch.until_live()
        await watch.until(lambda: len(watch.got.newest) == len(KEYS))
        assert {key: tuple(where) for key, where in venue.placed.items()} == placed
        assert len(venue.handshakes) == 3
        assert watch.got.late == watch.got.missing == []
        # Another one takes it over from a driver that lives: that one ends, and ends nothing.
        later = fleet_of(venue.url, name="survivor", on=Ray(2, address=address))
        later_watch = FleetWatch(later)
        await later_watch.until_live()
        await watch.until(lambda: any(not one.restarts for one in watch.of(ShardFailed)))
        assert "another driver" in str(watch.of(ShardFailed)[-1].error)
        await fleet.close()
        count = later_watch.got.count
        await later_watch.until(lambda: later_watch.got.count > count + 50)
        assert len(venue.handshakes) == 3
        await later.close()
        await until(lambda: not venue.placed)


def _driver(address: str, url: str) -> subprocess.Popen[str]:
    driver = subprocess.Popen(
        [sys.executable, __file__, "drive", address, url], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    for line in driver.stdout:
        if line == "live\n":
            return driver
    raise RuntimeError("the driver ended")


async def with_pipeline(address: str) -> None:
    """What a pipeline gives comes back; one that raises is reported with its traceback."""
    with VenueServer(Caps(channels=5)) as venue:
        venue.feed(20)
        fleet = fleet_of(venue.url, on=Ray(2, address=address, pipeline=lengths))
        watch = FleetWatch(fleet)
        await watch.until(lambda: len(watch.values) >= 20)
        assert all(isinstance(value, int) for value in watch.values)
        await fleet.close()
        fleet = fleet_of(venue.url, on=Ray(1, address=address, pipeline=fails_on_third))
        watch = FleetWatch(fleet)
        await watch.until(lambda: bool(watch.of(ShardFailed)))
        (failed, *_) = watch.of(ShardFailed)
        assert failed.restarts
        assert "the third message is too much" in str(failed.error)
        assert "_raise_on_third" in str(failed.error)
        await fleet.close()


def known_to_ray() -> dict[str, bytes]:
    """What the state API and the dashboard are made of: tables of the head, and what it keeps."""
    from ray._private.state import state
    from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_list

    accessor = state._connect_and_get_accessor()
    kept = [
        key + (_internal_kv_get(key, namespace=namespace) or b"")
        for namespace in (
            None,
            b"fun",
            b"job",
            b"dashboard",
            b"session",
            b"tracing",
            b"runtime_env",
        )
        for key in _internal_kv_list(b"", namespace=namespace)
    ]
    return {
        "actors": b"".join(accessor.get_actor_table(None, None)),
        "workers": b"".join(accessor.get_worker_table()),
        "jobs": b"".join(accessor.get_job_table()),
        "tasks": b"".join(accessor.get_task_events()),
        "kept": b"".join(kept),
    }


async def secrets(address: str) -> None:
    """No credential is in what Ray writes down, nor in its object store."""
    import ray

    pushed = BehaviorSubject[Any](SECRET)
    given = {"token": SECRET}
    for auth in (given, pushed, lambda: SECRET, refreshing(lambda: SECRET)):
        with VenueServer(Caps(channels=5)) as venue:
            fleet = fleet_of(
                f"{venue.url}?key={SECRET}-in-address",
                auth=auth,
                options={"additional_headers": {"X-Key": f"{SECRET}-in-header"}},
                on=Ray(2, address=address, options={"logging_level": "debug"}),
            )
            watch = FleetWatch(fleet)
            await watch.until_live()
            if auth is pushed:
                pushed.on_next(SECRET + "2")
                await watch.until(lambda: len(venue.handshakes) >= 4)
            assert SECRET in str(venue.handshakes[0].credential)
            session = Path(ray._private.worker._global_node.get_session_dir_path())
            assert SECRET not in f"{fleet!r} {fleet.explain()} {watch.events}"
            tables = known_to_ray()
            assert b"ShardActor" in tables["actors"] and all(tables.values())
            assert [name for name, rows in tables.items() if SECRET.encode() in rows] == []
            await fleet.close()
    assert (session / "logs").is_dir()
    found = [
        path
        for folder in (session, Path("/dev/shm"))
        for path in folder.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert found == []


def head() -> None:
    """A cluster of one node, until the input ends."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()


SCENARIOS: dict[str, Callable[..., Awaitable[None]]] = {
    one.__name__: one
    for one in (killed_shard, killed_node, drive, next_driver, with_pipeline, secrets)
}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    if name == "head":
        head()
    else:
        asyncio.run(SCENARIOS[name](*arguments))  # type: ignore[arg-type]
