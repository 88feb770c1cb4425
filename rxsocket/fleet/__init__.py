"""Many channels over many sockets, as one stream: a ``Fleet`` (rule C41, a fleet)."""

from rxsocket.fleet.events import (
    AnswerMissing,
    Capped,
    FleetEvent,
    Lost,
    Moved,
    Placed,
    Restored,
    ShardFailed,
    Throttled,
)
from rxsocket.fleet.explanation import FleetExplanation, FleetStats
from rxsocket.fleet.fleet import Fleet
from rxsocket.fleet.plan import ImpossiblePlan
from rxsocket.fleet.processes import Processes
from rxsocket.fleet.ray_place import Ray
from rxsocket.fleet.spec import ChannelSpec

__all__ = [
    "AnswerMissing",
    "Capped",
    "ChannelSpec",
    "Fleet",
    "FleetEvent",
    "FleetExplanation",
    "FleetStats",
    "ImpossiblePlan",
    "Lost",
    "Moved",
    "Placed",
    "Processes",
    "Ray",
    "Restored",
    "ShardFailed",
    "Throttled",
]
