"""The app as an ASGI server sees it: both messages are awaited, whatever the server's `send` does."""

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any

import pytest

from backendify._core import App, Ledger, Question, Region
from hands import Hands

Message = MutableMapping[str, Any]
V1 = b"application/x-company-v1"


def scope(
    query: bytes = b"id=1&country_iso=im", method: str = "GET", path: str = "/company"
) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"x")],
    }


class Server:
    """What an ASGI server does with messages: it may make the app wait for each."""

    def __init__(self, waits: int) -> None:
        self.waits = waits
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        for _ in range(self.waits):
            await asyncio.sleep(0)
        self.messages.append(message)

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}


def make_app() -> tuple[App, Region, list[tuple[int, Question]]]:
    hands = Hands()
    return hands.app, hands.region, hands.tries


@pytest.mark.parametrize("waits", [0, 1, 3])
async def test_a_hit_sends_head_then_body(waits: int) -> None:
    app, region, missed = make_app()
    outcome = region.keep(Question(0, "1"), 200, V1, b'{"cn":"One"}')
    assert (outcome.status, outcome.stored) == (200, True)
    server = Server(waits)
    await app(scope(), server.receive, server.send)
    head, body = server.messages
    assert head["type"] == "http.response.start"
    assert head["status"] == 200
    assert dict(head["headers"])[b"content-type"] == b"application/json"
    assert body == {"type": "http.response.body", "body": b'{"id":"1","name":"One","active":true}'}
    assert not missed
    assert (app.hits, app.misses) == (1, 0)


async def test_a_miss_waits_for_its_registry() -> None:
    hands = Hands()
    server = Server(0)

    async def serve(query: bytes, method: str, server: Server) -> None:
        await hands.app(scope(query, method), server.receive, server.send)

    waiting = asyncio.create_task(serve(b"id=a+b&country_iso=GG", "HEAD", server))
    await asyncio.sleep(0)
    assert hands.woken == 1
    [(try_id, question)] = hands.tries
    assert (question.registry, question.id) == (1, "a b")
    joined = Server(0)
    joining = asyncio.create_task(serve(b"id=a+b&country_iso=gg", "GET", joined))
    await asyncio.sleep(0)
    assert len(hands.tries) == 1, "one fetch a question"

    hands.app.tried(try_id, hands.region.keep(question, 200, V1, b'{"cn":"One"}'))
    hands.work()
    await asyncio.gather(waiting, joining)
    assert [message.get("status") for message in server.messages] == [200, None]
    assert server.messages[1]["body"] == b"", "it was a HEAD"
    assert joined.messages[1]["body"] == b'{"id":"a b","name":"One","active":true}'
    assert b"collapsed" in dict(joined.messages[0]["headers"])[b"cache-status"]
    assert dict(hands.app.answers_by_status())[200] == 2
    assert hands.app.miss_stats()["joined"] == 1


async def test_who_waits_is_answered_by_his_deadline() -> None:
    hands = Hands(deadline_ms=10, fetch_timeout_ms=20, tries_max=1)
    server = Server(0)
    begun_s = asyncio.get_running_loop().time()
    waiting = asyncio.create_task(hands.app(scope(), server.receive, server.send))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    while not waiting.done():
        due_s = hands.work()
        assert due_s
        assert due_s < begun_s + 1
        await asyncio.sleep(0.001)
    assert server.messages[0]["status"] == 504
    while not hands.abandoned:
        hands.work()
        await asyncio.sleep(0.001)
    assert hands.abandoned == [hands.tries[0][0]], (
        "the fetch outlived its customer, and ended at its own time"
    )


async def test_when_the_app_closes_everybody_is_answered() -> None:
    hands = Hands()
    server = Server(0)
    waiting = asyncio.create_task(hands.app(scope(), server.receive, server.send))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    hands.work()
    hands.app.close()
    hands.work()
    await waiting
    assert server.messages[0]["status"] == 503
    assert hands.abandoned == [hands.tries[0][0]]


async def test_a_try_that_is_ended_before_it_was_begun_never_is() -> None:
    """Else it would run without a permit, and nothing would end it."""
    hands = Hands()
    hands.app.ask(Question(0, "1"), asyncio.get_running_loop().create_future())
    hands.app.close()
    hands.work()
    assert (hands.tries, hands.abandoned) == ([], [])


async def test_a_customer_who_left_is_not_told() -> None:
    hands = Hands()
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    hands.app.ask(Question(0, "1"), told)
    told.cancel()
    hands.app.close()
    hands.work()
    assert told.cancelled()


LIMITED = (1, "x-api-key", ["10.0.0.0/8"])  # ten misses at once


@pytest.mark.parametrize(
    ("same", "other"),
    [
        ({"client": ("192.0.2.1", 1)}, {"client": ("192.0.2.2", 1)}),
        (
            {"headers": [(b"host", b"x"), (b"X-Api-Key", b"a")]},
            {"headers": [(b"host", b"x"), (b"x-api-key", b"b")]},
        ),
        (
            {
                "client": ("10.0.0.1", 1),
                "headers": [(b"host", b"x"), (b"x-forwarded-for", b"6.6.6.6, 1.1.1.1")],
            },
            {
                "client": ("10.0.0.1", 1),
                "headers": [(b"host", b"x"), (b"x-forwarded-for", b"1.1.1.1, 6.6.6.6")],
            },
        ),
    ],
)
async def test_a_client_over_its_rate_is_told_so_and_hits_cost_nothing(
    same: dict[str, Any], other: dict[str, Any]
) -> None:
    hands = Hands(client_limit=LIMITED, deadline_ms=1)
    hands.region.keep(Question(0, "known"), 200, V1, b'{"cn":"One"}')

    async def ask(company_id: str, who: dict[str, Any]) -> Server:
        server = Server(0)
        asked = {"client": ("192.0.2.9", 1), **scope(f"id={company_id}&country_iso=im".encode()), **who}
        answering = asyncio.ensure_future(hands.app(asked, server.receive, server.send))
        while not answering.done():
            hands.work()
            await asyncio.sleep(0)
        return server

    for _ in range(30):
        assert (await ask("known", same)).messages[0]["status"] == 200
    statuses = [(await ask(f"unknown{number}", same)).messages[0]["status"] for number in range(12)]
    assert statuses[:10] == [504] * 10
    assert statuses[-1] == 429
    refused = await ask("unknown", same)
    headers = dict(refused.messages[0]["headers"])
    assert headers[b"retry-after"] == b"1"
    assert headers[b"cache-control"] == b"no-store"
    assert (await ask("known", same)).messages[0]["status"] == 200
    assert (await ask("unknown", other)).messages[0]["status"] == 504


def test_a_proxy_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'proxy\.example' is no network"):
        Hands(client_limit=(1, None, ["proxy.example"]))


@pytest.mark.parametrize("policy", [{"deadline_s": 1}, {"waiters_max": -1}])
def test_wrong_policies_are_refused(policy: dict[str, int]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        Hands(**policy)


async def test_a_cancelled_task_ends_within_the_server_s_send() -> None:
    app, region, _ = make_app()
    region.keep(Question(0, "1"), 200, V1, b'{"cn":"One"}')
    entered, ended = asyncio.Event(), asyncio.Event()

    async def send(_: Message) -> None:
        entered.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.set()
            raise

    async def serve() -> None:
        await app(scope(), Server(0).receive, send)

    task = asyncio.create_task(serve())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_send_that_swallows_cancellation_still_gets_the_body() -> None:
    app, region, _ = make_app()
    region.keep(Question(0, "1"), 200, V1, b'{"cn":"One"}')
    entered = asyncio.Event()
    kinds: list[str] = []

    async def send(message: Message) -> None:
        kinds.append(message["type"])
        if len(kinds) == 1:
            entered.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    async def serve() -> None:
        await app(scope(), Server(0).receive, send)

    task = asyncio.create_task(serve())
    await entered.wait()
    task.cancel()
    await task
    assert kinds == ["http.response.start", "http.response.body"]


async def test_what_send_raises_is_raised() -> None:
    app, _, _ = make_app()

    async def send(_: Message) -> None:
        raise OSError(32, "broken pipe")

    with pytest.raises(OSError, match="broken pipe"):
        await app(scope(path="/"), Server(0).receive, send)


async def test_other_scopes() -> None:
    app, _, _ = make_app()
    server = Server(0)
    await app({"type": "lifespan"}, server.receive, server.send)
    assert server.messages[0]["type"] == "http.request", "our own lifespan echoes in this test"
    with pytest.raises(ValueError, match="only the ASGI scopes"):
        app({"type": "websocket"}, server.receive, server.send)


async def test_when_misses_are_refused_hits_are_still_told() -> None:
    app, region, missed = make_app()
    region.keep(Question(0, "1"), 200, V1, b'{"cn":"One"}')
    app.refuse_misses()
    for query, path, status in (
        (b"id=1&country_iso=im", "/company", 200),
        (b"id=2&country_iso=im", "/company", 503),
        (b"", "/status", 503),
        (b"", "/", 200),
    ):
        server = Server(0)
        await app(scope(query, path=path), server.receive, server.send)
        assert server.messages[0]["status"] == status
    assert not missed


def test_questions_are_equal_by_registry_and_id() -> None:
    assert Question(0, "1") == Question(0, "1", is_head=True)
    assert hash(Question(0, "1")) == hash(Question(0, "1", is_head=True))
    assert Question(0, "1") != Question(1, "1")
    assert Question(0, "1") != Question(0, "2")


@pytest.mark.parametrize("countries", [["imx"], ["im", "IM"], ["1m"], [""]])
def test_wrong_countries_are_refused(countries: list[str]) -> None:
    with pytest.raises(ValueError, match=f"'{countries[-1]}'"):
        Hands(tuple(countries))


def test_a_ledger_has_a_place_for_64_workers_and_no_more() -> None:
    ledger = Ledger(1)
    assert ledger.of_worker(63)
    with pytest.raises(ValueError, match="0 to 63"):
        ledger.of_worker(64)
