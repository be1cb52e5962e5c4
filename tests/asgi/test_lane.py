"""The lane: it answers what it can, hands the rest over, and nothing that goes wrong comes out of it."""

import re
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from backendify._core import App, Lane, Question, Region
from backendify.rsgi import over_rsgi

STEPS = ("scope", "decide", "proto", "send", "sent", "ask", "asked")
V1 = b"application/x-company-v1"


class Fields(list[tuple[str, str]]):
    """RSGI's header fields, as far as the lane reads them."""

    def items(self) -> list[tuple[str, str]]:
        return list(self)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known, _ in self)


def scope(company_id: str = "1", **changed: object) -> SimpleNamespace:
    """A request as RSGI tells it."""
    told = {
        "http_version": "1.1",
        "method": "GET",
        "path": "/company",
        "query_string": f"id={company_id}&country_iso=im",
        "headers": Fields([("host", "x")]),
        "authority": None,
        "client": "192.0.2.1:4711",
    }
    return SimpleNamespace(**(told | changed))


class Watcher:
    """What Granian hands to its scheduler, as far as the lane knows it."""

    def __init__(self, scope: object, *, is_broken: bool = False) -> None:
        self.scope = scope
        self.proto = self
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = 0
        self._is_broken = is_broken

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if self._is_broken:
            raise OSError("the connection is gone")
        self.status, self.headers, self.body = status, dict(headers), body

    def done(self) -> None:
        self.ended += 1


class Road:
    """A lane over an app that knows one company."""

    def __init__(
        self,
        fault: Callable[[str], bool] | None = None,
        client_limit: tuple[int, str | None, list[str]] | None = None,
    ) -> None:
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
            client_limit=client_limit,
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
    assert watcher.body == b'{"id":"1","name":"One","active":true}'
    told = {name: re.sub(r"=\d+", "=…", value) for name, value in watcher.headers.items()}
    assert told == {
        "content-type": "application/json",
        "content-length": "37",
        "cache-control": "max-age=…",
        "cache-status": "backendify; hit; ttl=…",
    }
    assert (road.lane.served, road.lane.faults, road.handed_over, watcher.ended) == (1, 0, [], 0)


def test_a_miss_leaves_its_customer_to_the_miss_path() -> None:
    road, watcher = Road(), Watcher(scope("2"))
    road.lane(watcher)
    assert watcher.status is None
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


def test_a_connection_that_breaks_while_it_is_answered(told: list[BaseException | None]) -> None:
    road, watcher = Road(), Watcher(scope(), is_broken=True)
    road.lane(watcher)
    assert (road.lane.faults, len(told), watcher.ended, road.handed_over) == (1, 1, 1, [])


@pytest.mark.parametrize(
    "broken", [None, SimpleNamespace(), {"type": "http"}, scope(headers=Fields([1])), scope(path=7)]
)
def test_a_scope_that_is_none_is_handed_over(broken: object, told: list[BaseException | None]) -> None:
    road, watcher = Road(), Watcher(broken)
    road.lane(watcher)
    assert road.handed_over == [watcher]
    assert (road.lane.faults, len(told)) == (1, 1)


@pytest.mark.parametrize("is_fallback", [False, True])
@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"headers": Fields()}, 400),
        ({"headers": Fields([("host", "x")]), "authority": "x"}, 200),
        ({"query_string": "id=1&country_iso=im&x=日"}, 200),
        ({"headers": Fields(), "authority": "x"}, 200),
        ({"headers": Fields(), "http_version": "1"}, 200),
        ({"headers": Fields([("host", "")])}, 400),
        ({"headers": Fields([("host", "x"), ("host", "y")])}, 400),
        ({"headers": Fields([("host", "x"), ("a", "b" * 16_378)])}, 200),
        ({"headers": Fields([("host", "x"), ("a", "b" * 16_379)])}, 431),
        ({"query_string": "id=1&country_iso=im&" + "x" * 8_164}, 414),
        ({"query_string": ""}, 400),
        ({"path": "/status"}, 200),
        ({"path": "/\udcff"}, 404),
        ({"method": "POST"}, 405),
    ],
)
async def test_what_rsgi_tells_is_judged_alike_on_the_lane_and_by_the_app_behind_it(
    changed: dict[str, object], status: int, *, is_fallback: bool
) -> None:
    road, watcher = Road(), Watcher(scope(**changed))
    if is_fallback:
        await over_rsgi(road.app)(watcher.scope, watcher)
    else:
        road.lane(watcher)
    assert watcher.status == status
    assert road.lane.faults == 0


def test_a_head_is_told_the_length_of_what_it_leaves_out() -> None:
    road, watcher = Road(), Watcher(scope(method="HEAD"))
    road.lane(watcher)
    assert (watcher.status, watcher.headers["content-length"], watcher.body) == (200, "37", b"")


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ({"client": "192.0.2.1:1"}, {"client": "192.0.2.1:2"}, 429),
        ({"client": "192.0.2.1:1"}, {"client": "192.0.2.2:1"}, None),
        ({"client": "[2001:db8::1]:1"}, {"client": "[2001:db8::2]:1"}, 429),
        ({"client": "[2001:db8::1]:1"}, {"client": "[2001:db8:1::1]:1"}, None),
        ({"client": "unix:"}, {"client": "unix:"}, None),
        (
            {"headers": Fields([("host", "x"), ("key", "a")])},
            {"headers": Fields([("host", "x"), ("key", "a")])},
            429,
        ),
        (
            {"headers": Fields([("host", "x"), ("key", "a")])},
            {"headers": Fields([("host", "x"), ("key", "b")])},
            None,
        ),
    ],
)
def test_a_client_is_known_by_his_address_or_his_header(
    first: dict[str, object], second: dict[str, object], status: int | None
) -> None:
    road = Road(client_limit=(1, "key", []))
    for number in range(2, 22):
        road.lane(Watcher(scope(str(number), **first)))
    watcher = Watcher(scope("22", **second))
    road.lane(watcher)
    assert watcher.status == status


async def test_what_the_lane_leaves_alone_is_answered_alike() -> None:
    road = Road()
    by_lane, by_app = Watcher(scope()), Watcher(scope())
    road.lane(by_lane)
    await over_rsgi(road.app)(by_app.scope, by_app)
    told = [(watcher.status, list(watcher.headers), watcher.body) for watcher in (by_lane, by_app)]
    assert told[0] == told[1]


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
