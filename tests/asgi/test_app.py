"""The app as an ASGI server sees it: both messages are awaited, whatever the server's `send` does."""

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any

import pytest

from backendify._core import App, Outcome, Question, Region

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


def make_app() -> tuple[App, Region, list[Question]]:
    region = Region(bytes=1 << 20, ttl_ms=60_000, negative_ttl_ms=60_000, stale_ms=0)
    missed: list[Question] = []

    async def on_miss(question: Question, send: Any) -> None:  # noqa: ANN401 - ASGI's send
        missed.append(question)
        await app.reply(question, Outcome.TIMED_OUT, send, collapsed=False)

    async def on_lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        await send(await receive())

    app = App(["im", "gg"], region, on_miss=on_miss, on_refresh=None, on_lifespan=on_lifespan)
    return app, region, missed


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


async def test_a_miss_goes_to_python() -> None:
    app, _, missed = make_app()
    server = Server(0)
    await app(scope(b"id=a+b&country_iso=GG", "HEAD"), server.receive, server.send)
    assert [(question.registry, question.id, question.is_head) for question in missed] == [(1, "a b", True)]
    assert [message.get("status") for message in server.messages] == [504, None]
    assert server.messages[1]["body"] == b""
    assert dict(app.answers_by_status())[504] == 1


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
    region = Region(bytes=1 << 20, ttl_ms=1, negative_ttl_ms=1, stale_ms=0)

    async def never(*_: object) -> None: ...

    with pytest.raises(ValueError, match=f"'{countries[-1]}'"):
        App(countries, region, on_miss=never, on_refresh=None, on_lifespan=never)
