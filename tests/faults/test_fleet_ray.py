"""C43: shards in actors of Ray, which are killed, and so are their node, their ledger and driver.

Each scenario is a process of its own, as what Ray opens it keeps. They share one cluster, but for
the one that ends a node.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import stretched
from extras import needs

SCENARIOS = Path(__file__).with_name("ray_scenarios.py")
TESTS = SCENARIOS.parent.parent
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "150",
}
# The agents of Ray import for half a minute where nothing is compiled beforehand.
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)
pytestmark = [pytest.mark.slow, needs("ray"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster; a busy machine may take longer to start one than Ray waits for it."""
    for _ in range(3):
        with _cluster() as cluster:
            assert cluster.stdout is not None
            address = cluster.stdout.readline().strip()
            if address:
                yield address
                cluster.communicate()
                return
    pytest.fail("Ray starts no cluster")


def _cluster() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCENARIOS), "head"],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run(name: str, address: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCENARIOS), name, address],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=stretched(120),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


@pytest.mark.parametrize("name", ["killed_shard", "next_driver", "with_pipeline", "secrets"])
def test_on_one_node(address: str, name: str) -> None:
    run(name, address)


def test_a_node_that_ends_is_made_up_for_by_another() -> None:
    run("killed_node", "")
