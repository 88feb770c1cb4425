"""The order of steps around a refresh token that is used once: crashes at each of them (C47)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rxsocket import Reason
from rxsocket.oauth import MemoryStore, StoreFailed, TokenRefused, TokenRequestFailed
from rxsocket.oauth.endpoint import EndpointAnswer
from rxsocket.oauth.rotation import Rotation
from rxsocket.oauth.stores import Token
from rxsocket.oauth.waiting import BlockingStore

LIFE = 900.0


class Crash(BaseException):
    """The process ends here."""


class World:
    """The disk, the server and the clock, which outlive a process.

    Attributes:
        disk: What is saved.
        current: The refresh token that is good.
        used: Those that were used, and when.
        reused: Those that were presented again.
        is_told: Whether the answer of the last rotation reached the disk.
        steps: Steps until the process crashes; ``None`` for never.
        fails: Steps until the disk is full, likewise.
        fate: What becomes of the next request.
    """

    def __init__(self, grace: float) -> None:
        self.disk = MemoryStore()
        self.grace, self.now, self.number = grace, 1_000_000.0, 0
        self.current = ""
        self.used: dict[str, float] = {}
        self.reused: list[str] = []
        self.dead: set[str] = set()
        self.steps: int | None = None
        self.fails: int | None = None
        self.fate = "answered"
        self.rotations = 0
        self.log_in()

    @property
    def saved(self) -> Token:
        return self.disk.load() or {}

    def log_in(self) -> None:
        self.number += 1
        self.current = f"refresh-{self.number}"
        self.disk.save({"refresh_token": self.current})

    def step(self) -> None:
        if self.steps is not None:
            if self.steps == 0:
                raise Crash
            self.steps -= 1

    def present(self, token: str) -> EndpointAnswer:
        self.step()
        if self.fate == "unreachable":
            raise TokenRequestFailed("nobody listens")
        if self.fate == "refused client":
            raise TokenRefused("who?", code="invalid_client")
        if self.fate == "lost request":
            raise TokenRequestFailed("no answer", is_sent=True)
        if token in self.used and self.now - self.used[token] >= self.grace:
            self.reused.append(token)
        if token in self.dead:
            raise TokenRefused("gone", code="invalid_grant")
        self.used.setdefault(token, self.now)
        self.rotations += 1
        self.number += 1
        self.current = f"refresh-{self.number}"
        self.step()
        if self.fate == "lost answer":
            raise TokenRequestFailed("cut off", is_sent=True)
        fields: dict[str, Any] = {
            "access_token": f"access-{self.number}",
            "refresh_token": self.current,
            "expires_in": LIFE,
        }
        return EndpointAnswer(fields, self.now, None)


class Disk(BlockingStore):
    """The store as one process has it, which may crash before and after each save."""

    def __init__(self, world: World) -> None:
        super().__init__("test", world.disk)
        self._world = world

    def load(self) -> Token | None:
        self._world.step()
        return super().load()

    def save(self, token: Token) -> None:
        self._world.step()
        if self._world.fails is not None:
            self._world.fails -= 1
            if self._world.fails < 0:
                self._world.fails = None
                raise StoreFailed("the disk is full")
        super().save(token)
        self._world.step()

    @contextmanager
    def lock(self) -> Iterator[None]:
        yield


PROCESSES = st.integers(0, 2)
FATES = st.sampled_from(
    ["answered"] * 4 + ["unreachable", "refused client", "lost request", "lost answer"]
)


class Rotations(RuleBasedStateMachine):
    """Three processes that share a store, and a server that takes each refresh token once."""

    grace = 0.0

    @initialize()
    def begin(self) -> None:
        self.world = World(self.grace)
        self.processes = [self.process() for _ in range(3)]
        self.given: set[str] = set()
        self.may_be_lost = False

    def process(self) -> Rotation:
        world = self.world
        return Rotation(Disk(world), world.present, self.grace, lambda: world.now)

    @rule(
        number=PROCESSES,
        reason=st.sampled_from(list(Reason)),
        steps=st.none() | st.integers(0, 8),
        fails=st.none() | st.integers(0, 3),
        fate=FATES,
    )
    def ask(
        self, number: int, reason: Reason, steps: int | None, fails: int | None, fate: str
    ) -> None:
        world = self.world
        world.steps, world.fails, world.fate = steps, fails, fate
        rotations, current = world.rotations, world.current
        answer: dict[str, Any] = {}
        raised: BaseException | None = None
        try:
            answer = self.processes[number].token(reason)
        except (Crash, TokenRequestFailed, TokenRefused) as error:
            raised = error
        world.steps, world.fails, world.fate = None, None, "answered"
        has_rotated = world.rotations > rotations
        if raised is None:  # and nobody has what is not saved
            assert world.saved["access_token"] == answer["access_token"]
            assert has_rotated or world.current == current
            return
        if isinstance(raised, Crash):
            self.processes[number] = self.process()
        self.may_be_lost |= has_rotated and not self.is_newest and isinstance(raised, Crash)
        self.may_be_lost |= has_rotated and fate == "lost answer"
        if isinstance(raised, TokenRequestFailed) and has_rotated and fate == "answered":
            self.must_give(number)
        if isinstance(raised, TokenRefused) and raised.code != "invalid_client":
            self.needs_login()

    def must_give(self, number: int) -> None:
        """What could not be saved is there, and is given, when it can be."""
        rotations = self.world.rotations
        answer = self.processes[number].token(Reason.REJECTED)
        assert answer["access_token"] == self.world.saved["access_token"]
        assert self.is_newest and self.world.rotations == rotations

    def needs_login(self) -> None:
        """Somebody is told to log in only where nobody can know; then it goes on."""
        saved = self.world.saved
        assert saved.get("refused") or "presented_at" in saved
        self.world.log_in()
        self.may_be_lost = False
        for process in self.processes:
            assert process.token(Reason.REJECTED)["access_token"]

    @rule(seconds=st.sampled_from([1.0, 30.0, 600.0, 7200.0]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def revoke(self) -> None:
        self.world.dead |= {self.world.current, *self.world.used}

    @property
    def is_newest(self) -> bool:
        return bool(self.world.saved.get("refresh_token") == self.world.current)

    @invariant()
    def none_is_presented_twice(self) -> None:
        assert self.world.reused == []

    @invariant()
    def the_last_one_is_not_lost(self) -> None:
        """But where its answer was, and then the store says so."""
        self.may_be_lost &= not self.is_newest
        if not self.is_newest:
            assert self.may_be_lost and "presented_at" in self.world.saved


class WithGrace(Rotations):
    """A server that takes a used one again: no crash and no lost answer needs a login."""

    grace = inf

    def needs_login(self) -> None:
        assert self.world.saved.get("refused") or self.world.dead
        super().needs_login()


TestRotations = Rotations.TestCase
TestRotations.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWithGrace = WithGrace.TestCase
TestWithGrace.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
