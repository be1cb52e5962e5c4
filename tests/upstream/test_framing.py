"""What is a whole reply, what is none, and what a connection may do after it (RFC 9112 §6, §9.3)."""

import asyncio

import pytest

from backendify import errors
from raw_registry import OK, Connect, Start, Visit, says

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-company-v1\r\n"

WHOLE = {
    "by length": (HEAD + b"Content-Length: 5\r\n\r\nhello",),
    "head and body apart": (HEAD + b"Content-Length: 5\r\n\r\n", b"hello"),
    "octet by octet": tuple(bytes([octet]) for octet in HEAD + b"Content-Length: 5\r\n\r\nhello"),
    "by chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",),
    "by chunks, with trailers": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"0\r\nContent-Type: text/plain\r\n\r\n",
    ),
    "after interim replies": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Type: text/plain\r\n\r\n",
        HEAD + b"Content-Length: 5\r\n\r\nhello",
    ),
    "HTTP/1.0, kept": (
        HEAD.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    ),
}
LAST = {
    "connection: close": (HEAD + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",),
    "HTTP/1.0": (HEAD.replace(b"1.1", b"1.0") + b"Content-Length: 5\r\n\r\nhello",),
    "HTTP/1.0 until the end": (HEAD.replace(b"1.1", b"1.0") + b"\r\n", b"hel", b"lo"),
    "HTTP/1.1 until the end": (HEAD + b"\r\nhello",),
}


@pytest.mark.parametrize("parts", WHOLE.values(), ids=WHOLE)
async def test_a_whole_reply_leaves_its_connection_to_the_next(
    parts: tuple[bytes, ...], start: Start, connect: Connect
) -> None:
    registry = await start(says(*parts))
    upstream = connect(registry)
    for _ in range(3):
        reply = await upstream.ask("1", deadline_s=5)
        assert (reply.status, reply.content_type, reply.body) == (200, b"application/x-company-v1", b"hello")
    assert len(registry.visits) == 1


@pytest.mark.parametrize("parts", LAST.values(), ids=LAST)
async def test_a_last_reply_is_whole_and_closes_its_connection(
    parts: tuple[bytes, ...], start: Start, connect: Connect
) -> None:
    registry = await start(says(*parts, then_end=True))
    upstream = connect(registry)
    for visits in (1, 2):
        assert (await upstream.ask("1", deadline_s=5)).body == b"hello"
        await registry.until_open(0)
        assert len(registry.visits) == visits


async def test_a_registry_that_says_close_and_does_not_is_closed_by_us(
    start: Start, connect: Connect
) -> None:
    registry = await start(says(*LAST["connection: close"]))
    await connect(registry).ask("1", deadline_s=5)
    await registry.until_open(0)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body_ends_with_its_head(status: int, start: Start, connect: Connect) -> None:
    registry = await start(says(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status))
    upstream = connect(registry)
    for _ in range(2):
        assert (await upstream.ask("1", deadline_s=5)).status == status
    assert len(registry.visits) == 1


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"H", id="one octet"),
        pytest.param(HEAD, id="half a head"),
        pytest.param(HEAD + b"Content-Length: 5\r\n\r\n", id="no body"),
        pytest.param(HEAD + b"Content-Length: 5\r\n\r\nhell", id="half a body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", id="half a chunk"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", id="no last chunk"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", id="half a last chunk"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="an interim reply only"),
    ],
)
async def test_a_truncated_reply_is_a_reset(
    part: bytes,
    reset: bool,  # noqa: FBT001  # pytest names its arguments
    start: Start,
    connect: Connect,
) -> None:
    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(part)
        await asyncio.sleep(0.01)
        visit.end(reset=reset)

    registry = await start(behaviour)
    with pytest.raises(errors.Reset):
        await connect(registry).ask("1", deadline_s=5)
    assert len(registry.heads) == 1


async def test_a_reset_is_no_end_of_a_body_that_ends_with_the_connection(
    start: Start, connect: Connect
) -> None:
    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(HEAD + b"\r\nhel")
        await asyncio.sleep(0.01)
        visit.end(reset=True)

    registry = await start(behaviour)
    with pytest.raises(errors.Reset):
        await connect(registry).ask("1", deadline_s=5)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 what is this\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        b"<html>no head</html>\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"Content-Length: five\r\n\r\nhello",
        HEAD + b"Content-Length: -5\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        pytest.param(
            HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            id="both framings",
        ),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n",
        HEAD + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    ],
)
async def test_what_is_not_http_is_a_bad_reply(garbage: bytes, start: Start, connect: Connect) -> None:
    registry = await start(says(garbage))
    with pytest.raises(errors.BadReply):
        await connect(registry).ask("1", deadline_s=5)
    await registry.until_open(0)


async def test_two_replies_at_once_do_not_answer_the_next_request(start: Start, connect: Connect) -> None:
    poison = OK.replace(b"{}", b"no")

    async def behaviour(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.say(OK + poison if visit.number == 1 else OK)

    registry = await start(behaviour)
    upstream = connect(registry)
    for _ in range(3):
        assert (await upstream.ask("1", deadline_s=5)).body == b"{}"
    assert len(registry.visits) == 2


async def test_what_comes_unasked_between_requests_does_not_answer_the_next(
    start: Start, connect: Connect
) -> None:
    said = asyncio.Event()

    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)
        if visit.number == 1:
            await asyncio.sleep(0.01)
            await visit.say(OK.replace(b"{}", b"no"))
            said.set()
        await visit.hang()

    registry = await start(behaviour)
    upstream = connect(registry)
    await upstream.ask("1", deadline_s=5)
    await said.wait()  # it lies in our socket's buffer, and the loop has not read it yet
    assert (await upstream.ask("2", deadline_s=5)).body == b"{}"
    assert len(registry.visits) == 2
