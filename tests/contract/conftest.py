"""The stage of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fleet_scene import FleetScene, MakeFleet
from network_stage import MakeStage, Stage
from scene import Make, Scene

from rxsocket.testing import VirtualClock


@pytest.fixture
def scene(clock: VirtualClock) -> Iterator[Make]:
    """Make a socket with a fake peer and a diary of its events; it is closed at the end."""
    made: list[Scene] = []

    def make(*scripts: Any, **options: Any) -> Scene:
        made.append(Scene(clock, *scripts, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def stage(clock: VirtualClock) -> Iterator[MakeStage]:
    """Make a socket on a network of fakes with a diary of its events; it is closed at the end."""
    made: list[Stage] = []

    def make(url: Any, *scripts: Any, **options: Any) -> Stage:
        made.append(Stage(clock, url, *scripts, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def company(clock: VirtualClock) -> Iterator[MakeFleet]:
    """Make a fleet with a fake venue and a diary of its events; it is closed at the end."""
    made: list[FleetScene] = []

    def make(**options: Any) -> FleetScene:
        made.append(FleetScene(clock, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()
