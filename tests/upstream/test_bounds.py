"""Nothing that a registry or a customer does grows without bound: bodies, heads, sockets, waiting."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendify import errors
from backendify.connection import HEAD_BYTES_MAX
from backendify.transport import GetTransport
from backendify.upstream import BODY_BYTES_MAX, Upstream
from raw_registry import OK, Connect, Start, Visit, registry_at, says

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-company-v1\r\n"
ENDLESS_BYTES = 64 << 20  # what a registry would send if nobody stopped it


def sockets_open() -> int:
    """Count this process's sockets."""
    return sum(path.is_socket() for path in Path("/proc/self/fd").iterdir())


async def pour(visit: Visit, first: bytes, again: bytes) -> int:
    """Send one thing, then another for ever; tell how much was sent when the client had enough."""
    await visit.request()
    await visit.say(first)
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < ENDLESS_BYTES:
            await visit.say(again)
            sent += len(again)
    return sent


@pytest.mark.parametrize(
    "framed",
    [
        lambda body: b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        lambda body: b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        lambda body: b"\r\n" + body,
    ],
    ids=["by length", "by chunks", "until the end"],
)
async def test_a_body_may_be_as_long_as_its_bound_and_no_longer(
    framed: object, start: Start, connect: Connect
) -> None:
    bodies = [b"x" * BODY_BYTES_MAX, b"x" * (BODY_BYTES_MAX + 1)]

    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(HEAD + b"Connection: close\r\n" + framed(bodies[visit.number - 1]))  # type: ignore[operator]
        visit.end()

    registry = await start(behaviour)
    upstream = connect(registry)
    assert (await upstream.ask("1", deadline_s=5)).body == bodies[0]
    with pytest.raises(errors.BodyTooLarge):
        await upstream.ask("1", deadline_s=5)


async def test_a_body_announced_too_long_is_refused_before_it_comes(start: Start, connect: Connect) -> None:
    registry = await start(says(HEAD + b"Content-Length: 65537\r\n\r\n"))
    with pytest.raises(errors.BodyTooLarge):
        await connect(registry).ask("1", deadline_s=30)
    await registry.until_open(0)


@pytest.mark.parametrize(
    ("first", "again", "error"),
    [
        pytest.param(HEAD + b"\r\n", b"x" * 8192, errors.BodyTooLarge, id="a body"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
            b"2000\r\n" + b"x" * 8192 + b"\r\n",
            errors.BodyTooLarge,
            id="chunks",
        ),
        pytest.param(HEAD, b"X-Filler: " + b"x" * 8000 + b"\r\n", errors.HeadersTooLarge, id="headers"),
        pytest.param(HEAD + b"X: ", b"x" * 8192, errors.HeadersTooLarge, id="one header"),
        pytest.param(b"HTTP/1.1 200 ", b"x" * 8192, errors.HeadersTooLarge, id="a reason"),
        pytest.param(
            b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 200, errors.HeadersTooLarge, id="interim replies"
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n2;x=",
            b"x" * 8192,
            errors.HeadersTooLarge,
            id="an extension of a chunk",
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
            b"X-Filler: " + b"x" * 8000 + b"\r\n",
            errors.HeadersTooLarge,
            id="trailers",
        ),
    ],
)
async def test_what_does_not_end_is_refused_while_it_is_read(
    first: bytes, again: bytes, error: type[Exception], start: Start, connect: Connect
) -> None:
    sent = asyncio.get_running_loop().create_future()

    async def behaviour(visit: Visit) -> None:
        sent.set_result(await pour(visit, first, again))

    registry = await start(behaviour)
    with pytest.raises(error):
        await connect(registry).ask("1", deadline_s=30)
    assert await sent < ENDLESS_BYTES / 4  # the kernel's buffers on the way are the most of it
    await registry.until_open(0)


async def test_headers_may_be_as_long_as_their_bound_and_no_longer(start: Start, connect: Connect) -> None:
    rest = b"Content-Length: 2\r\n\r\n{}"
    room = HEAD_BYTES_MAX - len(HEAD) - len(rest) + len(b"{}") - len(b"X: \r\n")

    async def behaviour(visit: Visit) -> None:
        filler = b"x" * (room + visit.number - 1)
        await visit.request()
        await visit.say(HEAD + b"X: " + filler + b"\r\n" + rest)
        await visit.hang()

    registry = await start(behaviour)
    assert (await connect(registry).ask("1", deadline_s=5)).body == b"{}"
    with pytest.raises(errors.HeadersTooLarge):
        await connect(registry).ask("1", deadline_s=5)


async def test_an_error_with_an_endless_body_is_that_error(start: Start, connect: Connect) -> None:
    async def behaviour(visit: Visit) -> None:
        await pour(
            visit,
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400\r\n" + b"x" * 1024 + b"\r\n",
        )

    registry = await start(behaviour)
    reply = await connect(registry).ask("1", deadline_s=30)
    assert (reply.status, reply.body) == (404, b"")
    await registry.until_open(0)


async def test_an_error_whose_body_comes_late_keeps_its_connection(start: Start, connect: Connect) -> None:
    registry = await start(says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n", b"no."))
    upstream = connect(registry)
    for _ in range(3):
        assert (await upstream.ask("1", deadline_s=5)).status == 404
    assert len(registry.visits) == 1


@pytest.mark.parametrize(
    "part",
    [b"", b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, HEAD + b"Content-Length: 5\r\n\r\nhel", HEAD + b"\r\nhel"],
    ids=["before a reply", "after an interim one", "in the head", "in the body", "in a body without end"],
)
async def test_an_abandoned_try_frees_its_socket(part: bytes, start: Start, connect: Connect) -> None:
    arrived = asyncio.Event()

    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(part)
        arrived.set()
        await visit.hang()

    registry = await start(behaviour)
    asking = asyncio.create_task(connect(registry).ask("1", deadline_s=60))
    await arrived.wait()
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await registry.until_open(0)


async def test_a_try_that_times_out_frees_its_socket(start: Start, connect: Connect) -> None:
    registry = await start(Visit.hang)
    with pytest.raises(errors.TimedOut):
        await connect(registry).ask("1", deadline_s=0.05)
    await registry.until_open(0)


async def test_a_dripping_reply_times_out(start: Start, connect: Connect) -> None:
    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(HEAD + b"Content-Length: 60000\r\n\r\n")
        while True:
            await visit.say(b"x")
            await asyncio.sleep(0.01)

    registry = await start(behaviour)
    with pytest.raises(errors.TimedOut):
        await connect(registry).ask("1", deadline_s=0.1)
    await registry.until_open(0)


async def test_three_hundred_abandoned_tries_leave_nothing(start: Start, connect: Connect) -> None:
    hang = True

    async def behaviour(visit: Visit) -> None:
        if hang:
            await visit.hang()
        else:
            await says(OK)(visit)

    registry = await start(behaviour)
    upstream = connect(registry, connections_max=300)
    before = sockets_open()
    for _ in range(2):  # a permit that leaked would be missed in the second round
        asking = [asyncio.create_task(upstream.ask(str(n), deadline_s=60)) for n in range(300)]
        await registry.until_open(300)
        for task in asking:
            task.cancel()
        results = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        await registry.until_open(0)
        assert sockets_open() == before
    hang = False
    assert (await upstream.ask("1", deadline_s=5)).status == 200


async def test_closing_ends_what_is_under_way_and_what_is_idle(start: Start, connect: Connect) -> None:
    async def behaviour(visit: Visit) -> None:
        if b"idle" in await visit.request():
            await visit.say(OK)
        await visit.hang()

    registry = await start(behaviour)
    upstream = connect(registry)
    before = sockets_open()
    asking = asyncio.create_task(upstream.ask("hang", deadline_s=60))
    await registry.until_open(1)
    await upstream.ask("idle", deadline_s=5)
    await upstream.aclose()
    assert sockets_open() <= before + 2  # the registry's own ends, at most
    await registry.until_open(0)
    with pytest.raises(errors.Unanswered):
        await asking


async def test_connections_are_bounded_and_the_bound_is_no_failure_of_the_registry(
    start: Start, connect: Connect
) -> None:
    registry = await start(Visit.hang)
    upstream = connect(registry, connections_max=2)
    asking = [asyncio.create_task(upstream.ask(str(n), deadline_s=60)) for n in range(2)]
    await registry.until_open(2)
    with pytest.raises(errors.PoolExhausted):
        await upstream.ask("3", deadline_s=30)
    assert len(registry.visits) == 2
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: what is sent there is dropped."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003  # its only argument
            with contextlib.suppress(BlockingIOError):
                client.connect(listener.getsockname())
        yield listener.getsockname()[1]


async def test_connecting_has_a_time_out_of_its_own(deaf_port: int, connect: Connect) -> None:
    upstream = connect(f"http://127.0.0.1:{deaf_port}", connect_timeout_ms=50)
    before = sockets_open()
    with pytest.raises(errors.ConnectFailed):
        await upstream.ask("1", deadline_s=60)
    await asyncio.sleep(0)
    assert sockets_open() == before


async def test_connecting_ends_with_the_try(deaf_port: int, connect: Connect) -> None:
    upstream = connect(f"http://127.0.0.1:{deaf_port}", connect_timeout_ms=60_000)
    before = sockets_open()
    with pytest.raises(errors.TimedOut):
        await upstream.ask("1", deadline_s=0.05)
    await asyncio.sleep(0)
    assert sockets_open() == before


async def test_a_refused_connection_is_no_time_out(connect: Connect) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(errors.ConnectFailed):
            await connect(f"http://127.0.0.1:{closed.getsockname()[1]}").ask("1", deadline_s=60)


async def test_idle_connections_are_bounded_in_number_and_time(start: Start) -> None:
    together = asyncio.Barrier(4)

    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await together.wait()
        await visit.say(OK)
        await visit.hang()

    registry = await start(behaviour)
    transport = GetTransport(
        ssl_context=ssl.create_default_context(), connections_max=10, idle_max=2, idle_s=0.2
    )
    upstream = Upstream(registry_at(f"http://127.0.0.1:{registry.port}"), transport=transport)
    await asyncio.gather(*[upstream.ask(str(n), deadline_s=5) for n in range(4)])
    await registry.until_open(2)
    await registry.until_open(0)
    await transport.aclose()


async def test_an_idle_connection_makes_room_for_another_registry(start: Start) -> None:
    first, second = await start(says(OK)), await start(says(OK))
    transport = GetTransport(ssl_context=ssl.create_default_context(), connections_max=1)
    for registry in (first, second):
        upstream = Upstream(registry_at(f"http://127.0.0.1:{registry.port}"), transport=transport)
        assert (await upstream.ask("1", deadline_s=5)).status == 200
    await first.until_open(0)
    await transport.aclose()
