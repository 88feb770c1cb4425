"""What a fleet plans with, and how it plans when not everything fits (C41)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rxsocket.fleet.plan import NO_PLAN, Caps, ImpossiblePlan, Place, Plan
from rxsocket.fleet.planner import NOTHING_LEARNT, plan
from rxsocket.fleet.weights import Weigh, Weights
from rxsocket.limits import Limits


@dataclass(frozen=True, slots=True)
class Fitting:
    """A plan of as much as fits.

    Attributes:
        plan: The plan.
        left_out: What does not fit.
        impossible: Why it does not; ``None`` if everything fits.
        unweighed: What has no place because ``weight=`` raised, and what.
        weight_error: The first of what it raised; a channel that has a place keeps it.
    """

    plan: Plan = NO_PLAN
    left_out: tuple[Hashable, ...] = ()
    impossible: ImpossiblePlan | None = None
    unweighed: Mapping[Hashable, BaseException] = field(default_factory=dict[Any, Any])
    weight_error: BaseException | None = None


class Planning:
    """What a plan is made with, besides what is wanted and where there are sockets.

    Args:
        limits: What the server allows.
        weights: Gives the bytes a second that are expected of a channel.
        sockets: How many sockets to use.
        spare: How many of the connections of each address are left for handovers.
    """

    def __init__(
        self, limits: Limits, weights: Weigh | None, sockets: int | None, spare: int = 0
    ) -> None:
        self.limits = limits
        self._spare = spare
        self._weights = None if weights is None else Weights(weights)
        self._sockets = sockets

    def plan(
        self,
        wanted: Iterable[Hashable],
        current: Plan | None,
        places: Sequence[Place],
        learnt: Caps = NOTHING_LEARNT,
        *,
        rebalance: bool = False,
    ) -> Plan:
        """The next plan; see :func:`~rxsocket.fleet.planner.plan`.

        Raises:
            ImpossiblePlan: If what is wanted does not fit.
            Exception: What ``weight=`` raises.
        """
        weigh = None if self._weights is None else self._weights.function
        return self._plan(wanted, current, places, learnt, weigh, rebalance=rebalance)

    def _plan(
        self,
        wanted: Iterable[Hashable],
        current: Plan | None,
        places: Sequence[Place],
        learnt: Caps,
        weigh: Weigh | None,
        *,
        rebalance: bool = False,
        spare: int | None = None,
    ) -> Plan:
        sockets = self._sockets
        spare = self._spare if spare is None else spare
        if sockets is not None and learnt.connections:
            most = learnt.connections
            addresses = {place.egress for place in places}
            sockets = min(
                sockets,
                sum(max(1, most.get(one, sockets + spare) - spare) for one in addresses),
            )
        return plan(
            wanted,
            current,
            places,
            self.limits,
            weights=weigh,
            sockets=sockets,
            learnt=learnt,
            spare=spare,
            rebalance=rebalance,
        )

    def impossible(
        self, wanted: Sequence[Hashable], places: Sequence[Place]
    ) -> ImpossiblePlan | None:
        """Why so many never fit, whatever was learnt; ``None`` if they do."""
        weigh = None
        if self._weights is not None:
            known = self._weights.known
            wanted = [key for key in wanted if key in known]
            weigh = known.__getitem__
        try:
            self._plan(wanted, None, places, NOTHING_LEARNT, weigh)
        except ImpossiblePlan as error:
            return error
        return None

    def fit(
        self,
        wanted: Sequence[Hashable],
        current: Plan,
        places: Sequence[Place],
        learnt: Caps,
        *,
        rebalance: bool,
    ) -> Fitting:
        """A plan of as much as fits, the first ones first, and before them those that are there.

        Where the server takes fewer connections than was said, none is left for handovers if what
        is there does not fit into the others.
        """
        if not places:
            return Fitting(current, tuple(wanted))
        if self._weights is None:
            return self._fit(wanted, current, places, learnt, None, rebalance=rebalance)
        weighed = self._weights.of(wanted)
        heard = [key for key in wanted if key in weighed.weights]
        weigh = weighed.weights.__getitem__
        found = self._fit(heard, current, places, learnt, weigh, rebalance=rebalance)
        return replace(found, unweighed=weighed.unweighed, weight_error=weighed.error)

    def _fit(
        self,
        wanted: Sequence[Hashable],
        current: Plan,
        places: Sequence[Place],
        learnt: Caps,
        weigh: Weigh | None,
        *,
        rebalance: bool,
    ) -> Fitting:
        spare = self._spare

        def attempt(count: int) -> Plan:
            keys = wanted if count == len(wanted) else wanted[:count]
            return self._plan(
                keys, current, places, learnt, weigh, rebalance=rebalance, spare=spare
            )

        try:
            return Fitting(attempt(len(wanted)))
        except ImpossiblePlan as error:
            impossible = error
        there, unopened = current.assignment, learnt.unopened
        wanted = sorted(wanted, key=lambda key: there.get(key) is None or there[key] in unopened)
        if learnt.connections and spare:
            spare = 0
            try:
                return Fitting(attempt(len(wanted)))
            except ImpossiblePlan as error:
                impossible = error
        found, fits, fails = attempt(0), 0, len(wanted)
        while fails - fits > 1:
            middle = (fits + fails) // 2
            try:
                found, fits = attempt(middle), middle
            except ImpossiblePlan:
                fails = middle
        return Fitting(found, tuple(wanted[fits:]), impossible)
