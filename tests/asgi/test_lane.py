"""The lane: it answers what it can, hands the rest over, and nothing that goes wrong comes out of it."""

import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from backendify._core import App, Lane, Question, Region

Message = MutableMapping[str, Any]
STEPS = ("scope", "decide", "proto", "send", "sent", "ask", "asked")
V1 = b"application/x-company-v1"


def scope(company_id: str = "1") -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/company",
        "raw_path": b"/company",
        "query_string": f"id={company_id}&country_iso=im".encode(),
        "headers": [(b"host", b"x")],
    }


class Watcher:
    """What Granian hands to its scheduler, as far as the lane knows it."""

    def __init__(self, scope: object, *, sends_until_broken: int = 99) -> None:
        self.scope = scope
        self.proto = self
        self.messages: list[Message] = []
        self.ended = 0
        self._left = sends_until_broken

    def send(self, message: Message) -> None:
        if not self._left:
            raise OSError("the connection is gone")
        self._left -= 1
        self.messages.append(message)

    def done(self) -> None:
        self.ended += 1

    @property
    def status(self) -> int | None:
        return self.messages[0]["status"] if self.messages else None


class Road:
    """A lane over an app that knows one company."""

    def __init__(self, fault: Callable[[str], bool] | None = None) -> None:
        self.handed_over: list[Watcher] = []
        self.region = Region(bytes=1 << 20, ttl_ms=60_000, negative_ttl_ms=60_000, stale_ms=0)
        self.region.keep(Question(0, "1"), 200, V1, b'{"cn":"One"}')
        self.app = App(
            ["im"],
            self.region,
            policy={},
            refreshes_ahead=False,
            wake=lambda: None,
            on_miss=self._never,
            on_lifespan=self._never,
        )
        self.lane = Lane(self.app, self.handed_over.append, fault=fault)

    async def _never(self, *_: object) -> None:
        raise AssertionError("the lane serves misses itself")


@pytest.fixture(name="told")
def _told(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What `sys.unraisablehook` was told."""
    told: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))
    return told


def test_a_hit_is_answered_at_once() -> None:
    road, watcher = Road(), Watcher(scope())
    road.lane(watcher)
    assert watcher.status == 200
    assert watcher.messages[1]["body"] == b'{"id":"1","name":"One","active":true}'
    assert (road.lane.served, road.lane.faults, road.handed_over, watcher.ended) == (1, 0, [], 0)


def test_a_miss_leaves_its_customer_to_the_miss_path() -> None:
    road, watcher = Road(), Watcher(scope("2"))
    road.lane(watcher)
    assert watcher.messages == []
    [(try_id, question)] = road.app.work()[0]
    assert question.id == "2"
    road.app.tried(try_id, road.region.keep(question, 404, b"", b""))
    assert watcher.status == 404, "he is answered on whatever thread learns it"
    assert (road.lane.served, road.handed_over) == (1, [])


@pytest.mark.parametrize("panics", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("company_id", ["1", "2"])
def test_a_fault_at_any_step_costs_one_request(
    company_id: str, step: str, told: list[BaseException | None], *, panics: bool
) -> None:
    armed = True

    def fault(name: str) -> bool:
        if not armed or name != step:
            return False
        if panics:
            return True
        raise OSError(name)

    road, watcher = Road(fault), Watcher(scope(company_id))
    road.lane(watcher)
    is_on_the_way = step in {"scope", "decide", "proto"} or (step in {"send", "sent"}) == (company_id == "1")
    assert road.lane.faults == len(told) == int(is_on_the_way)
    is_untouched = step in {"scope", "decide", "proto", "send", "ask"} and is_on_the_way
    assert road.handed_over == ([watcher] if is_untouched else []), (
        "before anything was done another may have it"
    )
    assert watcher.ended == int(is_on_the_way and not is_untouched), "after that it is over"
    armed = False
    for _ in range(100):
        watcher = Watcher(scope("1"))
        road.lane(watcher)
        assert watcher.status == 200


@pytest.mark.parametrize("sends", [0, 1])
def test_a_connection_that_breaks_while_it_is_answered(sends: int, told: list[BaseException | None]) -> None:
    road, watcher = Road(), Watcher(scope(), sends_until_broken=sends)
    road.lane(watcher)
    assert (road.lane.faults, len(told), watcher.ended, road.handed_over) == (1, 1, 1, [])


@pytest.mark.parametrize(
    "broken", [None, {}, {"type": "http"}, {**scope(), "headers": [1]}, {**scope(), "path": 7}]
)
def test_a_scope_that_is_none_is_handed_over(broken: object, told: list[BaseException | None]) -> None:
    road, watcher = Road(), Watcher(broken)
    road.lane(watcher)
    assert road.handed_over == [watcher]
    assert (road.lane.faults, len(told)) == (1, 1)


def test_a_fallback_that_fails_ends_the_request(told: list[BaseException | None]) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("the loop is closed")

    lane, watcher = Lane(Road().app, fail), Watcher(None)
    lane(watcher)
    assert (lane.faults, len(told), watcher.ended) == (2, 2, 1)


def test_a_watcher_that_is_none_harms_nobody(told: list[BaseException | None]) -> None:
    lane = Lane(Road().app, print)
    lane(object())
    assert lane.faults == len(told) == 1


def test_a_hook_that_fails_too_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("told in vain")

    monkeypatch.setattr(sys, "unraisablehook", fail)
    road = Road()
    road.lane(Watcher(None))
    assert road.lane.faults == 1
