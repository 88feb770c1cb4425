"""What a fleet plans with, and how it plans when not everything fits (C41)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from rxsocket.fleet.plan import NO_PLAN, Caps, ImpossiblePlan, Place, Plan
from rxsocket.fleet.planner import NOTHING_LEARNT, Weigh, plan
from rxsocket.limits import Limits


@dataclass(frozen=True, slots=True)
class Fitting:
    """A plan of as much as fits.

    Attributes:
        plan: The plan.
        left_out: What does not fit.
        impossible: Why it does not; ``None`` if everything fits.
    """

    plan: Plan = NO_PLAN
    left_out: tuple[Hashable, ...] = ()
    impossible: ImpossiblePlan | None = None


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
        self._weights = weights
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
        """
        sockets = self._sockets
        if sockets is not None and learnt.connections:
            most, spare = learnt.connections, self._spare
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
            weights=self._weights,
            sockets=sockets,
            learnt=learnt,
            spare=self._spare,
            rebalance=rebalance,
        )

    def fit(
        self,
        wanted: Sequence[Hashable],
        current: Plan,
        places: Sequence[Place],
        learnt: Caps,
        *,
        rebalance: bool,
    ) -> Fitting:
        """A plan of as much as fits, the first ones first."""
        if not places:
            return Fitting(current, tuple(wanted))

        def attempt(count: int) -> Plan:
            keys = wanted if count == len(wanted) else wanted[:count]
            return self.plan(keys, current, places, learnt, rebalance=rebalance)

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
