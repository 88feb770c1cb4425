"""The fleet that a config describes."""

from __future__ import annotations

from rxsocket.cli.collect.settings import Settings
from rxsocket.cli.credentials import UsageError
from rxsocket.fleet import Fleet, ImpossiblePlan


def fleet_of(settings: Settings) -> Fleet:
    """The fleet of a config, which wants its channels; making it starts nothing.

    Raises:
        UsageError: If it cannot be made, or the limits do not allow so many channels: then the text
            says which limit is in the way, and by how much.
    """
    try:
        fleet = Fleet(
            settings.url,
            channel=settings.channel,
            auth=settings.auth,
            limits=settings.limits,
            dedupe=settings.own_id,
            weight=settings.weight,
            sockets=settings.run.sockets,
            on=settings.on,
            name=settings.name,
            options=settings.options,
        )
        fleet.want(settings.keys)
    except ImpossiblePlan as error:
        raise UsageError(f"there is no plan: {error}") from None
    except (TypeError, ValueError, ImportError) as error:
        raise UsageError(str(error)) from None
    return fleet
