"""Where the shards of a fleet may be: arguments, what is missing, what cannot go there (C43)."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest
from fleet_places import SECRET, SPEC, lengths
from reactivex.subject import Subject

from rxsocket import refreshing
from rxsocket.auth.providers import Ask, Reason
from rxsocket.fleet import ChannelSpec, Fleet, Processes, Ray
from rxsocket.fleet.credential_relay import CredentialRelay
from rxsocket.fleet.desired_state import DesiredState, plan_of
from rxsocket.fleet.orders import Subscribe
from rxsocket.fleet.plan import SocketId
from rxsocket.fleet.questions import CredentialWanted, Sealed
from rxsocket.runtime.loop import SocketLoop


def fleet(**more: Any) -> Fleet:
    return Fleet("ws://localhost/", **{"channel": SPEC} | more)


@pytest.mark.parametrize(
    ("make", "kind", "named"),
    [
        (lambda: fleet(on="cluster"), ValueError, "on: pass 'loop', 'processes', 'ray'"),
        (lambda: fleet(on=3), TypeError, "on: pass 'loop'"),
        (lambda: Processes(0), ValueError, "Processes(count)"),
        (lambda: Processes(2.5), TypeError, "Processes(count)"),
        (lambda: Processes(when_full="wait"), ValueError, "Processes(when_full)"),
        (lambda: Processes(pipeline=3), TypeError, "Processes(pipeline)"),
        (lambda: Ray(0), ValueError, "Ray(shards)"),
        (lambda: Ray(2, resources={"CPU": -1}), ValueError, "Ray(resources['CPU'])"),
        (lambda: Ray(2, egress=["a"]), ValueError, "Ray(egress)"),
        (lambda: Ray(2, placement=["SPREAD"] * 3), ValueError, "Ray(placement)"),
        (lambda: Ray(2, namespace=3), TypeError, "Ray(namespace)"),
        (lambda: Ray(2, when_full="wait"), ValueError, "Ray(when_full)"),
    ],
)
def test_what_cannot_be_used_is_named(make: Any, kind: type[Exception], named: str) -> None:
    with pytest.raises(kind) as raised:
        make()
    assert str(raised.value).startswith(named)


def test_a_function_that_cannot_go_there_is_named_when_the_fleet_is_made() -> None:
    spec = ChannelSpec(subscribe=lambda keys: keys)
    with pytest.raises(TypeError, match=r"^channel=ChannelSpec\(subscribe\): .*another process"):
        fleet(channel=spec, on=Processes(1))
    with pytest.raises(TypeError, match=r"^Processes\(pipeline\): "):
        fleet(on=Processes(1, pipeline=lambda messages: messages))
    fleet(on=Processes(1, pipeline=lengths))


def test_ray_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("rxsocket.fleet.ray_place.import_module", absent)
    with pytest.raises(ImportError, match=r"pip install 'rxsocket\[ray\]'"):
        fleet(on="ray")


def test_ray_is_not_imported_before_it_is_needed() -> None:
    assert "ray" not in vars(importlib.import_module("rxsocket.fleet.ray_place"))


def test_places_of_one_address_share_an_egress() -> None:
    assert {place.egress for place in Processes(3).places} == {"this machine"}
    assert [place.egress for place in Ray(2, egress=["a", "b"]).places] == ["a", "b"]
    assert len({place.egress for place in Ray(2).places}) == 1
    assert Ray(2, resources={"CPU": 1, "here": 2}).actor_options(0) == {
        "num_cpus": 1,
        "num_gpus": 0,
        "resources": {"here": 2},
        "scheduling_strategy": "SPREAD",
    }


def test_the_plan_of_an_earlier_driver_is_what_its_shards_were_told() -> None:
    one, other = DesiredState(), DesiredState()
    one.take(Subscribe(1, ("A", "B"), 1))
    one.take(Subscribe(3, ("C",), 2))
    other.take(Subscribe(1, ("B",), 4))  # it was on its way there
    plan = plan_of({"x": one, "y": other, "gone": DesiredState()}, ["x", "y"])
    assert plan.assignment == {
        "A": SocketId("x", 1),
        "B": SocketId("y", 1),
        "C": SocketId("x", 3),
    }
    assert plan.generation == 4
    assert plan.numbers == {"x": 3, "y": 1}
    assert plan.loads == {SocketId("x", 1): 1, SocketId("x", 3): 1, SocketId("y", 1): 1}


def ask(relay: CredentialRelay, refused: int | None = None) -> Any:
    return relay.answer(CredentialWanted(Ask(1, Reason.REJECTED), refused))


def test_one_call_is_made_for_all_shards_and_a_refused_token_is_fetched_anew() -> None:
    async def main() -> None:
        loop = SocketLoop()
        loop.bind()
        calls: list[int] = []

        def fetch() -> dict[str, Any]:
            calls.append(1)
            return {"access_token": f"{SECRET}-{len(calls)}", "expires_in": 3600}

        relay = CredentialRelay(refreshing(fetch), 10.0, loop, print, print)
        assert relay.kind == "shared"
        with relay.start():
            first, second = await asyncio.gather(ask(relay), ask(relay))
            assert first.open() == second.open() == f"{SECRET}-1"
            anew = await ask(relay, first.number)
            assert anew.open() == f"{SECRET}-2"
            # Another shard was refused with the first one, too: there is a newer one.
            assert (await ask(relay, first.number)).open() == f"{SECRET}-2"
        assert len(calls) == 2
        assert SECRET not in relay.masked(f"the token {SECRET}-2 is bad")
        loop.release(lambda: True)

    asyncio.run(main())


def test_what_an_observable_gives_is_pushed_and_an_unusable_value_is_told() -> None:
    async def main() -> None:
        loop = SocketLoop()
        loop.bind()
        pushed: list[Sealed] = []
        failed: list[Exception] = []
        source: Subject[Any] = Subject()
        relay = CredentialRelay(source, 10.0, loop, pushed.append, failed.append)
        assert (relay.kind, relay.newest) == ("pushed", None)
        with relay.start():
            source.on_next(SECRET)
            source.on_next(3)
        assert [one.open() for one in pushed] == [SECRET]
        assert len(failed) == 1
        assert SECRET not in f"{pushed} {failed}"
        loop.release(lambda: True)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("auth", "kind"), [({"token": SECRET}, "given"), (None, "given"), (lambda: SECRET, "asked")]
)
def test_a_value_is_given_and_a_function_is_asked(auth: Any, kind: str) -> None:
    async def main() -> None:
        relay = CredentialRelay(auth, 10.0, SocketLoop(), print, print)
        assert relay.kind == kind
        if kind == "asked":
            assert (await ask(relay)).open() == SECRET
        else:
            assert relay.newest is not None
            assert relay.newest.open() == auth

    asyncio.run(main())
