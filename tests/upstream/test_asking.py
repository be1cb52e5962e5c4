"""What a registry is asked, over which connection, and what is made of its reply."""

import asyncio
import ssl
import urllib.parse
from pathlib import Path

import httpx
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from backendify import errors
from backendify.transport import GetTransport
from backendify.upstream import (
    RETRY_AFTER_MAX_S,
    Upstream,
    company_path,
    make_transport,
    retry_after_s,
)
from raw_registry import OK, Connect, RawRegistry, Start, Visit, registry_at, says

IDS = [
    ".", "..", "...", "a/b", "../x", "%2e%2e", "a b", "a+b", "?x=1#y", "\u041e\u041e\u041e", "\x00\r\n\x7f",
    "~-_.a",    "17937688759 7J",
    ";@:!$&'()*,=", "\\..\\", "x" * 2000,
]  # fmt: skip


@pytest.mark.parametrize("base", ["", "/", "/api/v1/", "/a%20b/%41/c;d"])
async def test_every_octet_of_the_path_arrives_as_built(base: str, start: Start, connect: Connect) -> None:
    registry = await start(says(OK))
    upstream = connect(registry, path=base)
    for company_id in IDS:
        await upstream.ask(company_id, deadline_s=5)
    targets = [head.split(b" ")[1] for head in registry.heads]
    assert targets == [company_path(base.encode(), company_id) for company_id in IDS]


def test_any_id_is_one_segment_that_decodes_to_it(kind: str) -> None:
    async def ready() -> tuple[RawRegistry, asyncio.Server, Upstream]:
        registry = RawRegistry(says(OK))
        server = await asyncio.start_server(registry.serve, "127.0.0.1", 0)
        registry.port = server.sockets[0].getsockname()[1]
        transport = make_transport(kind, ca_file=None, connections_max=2)  # type: ignore[arg-type]
        return (
            registry,
            server,
            Upstream(registry_at(f"http://127.0.0.1:{registry.port}/base"), transport=transport),
        )

    if kind not in {"fast", "httpx"}:
        pytest.skip("the octets are tested one by one")
    with asyncio.Runner() as runner:
        registry, server, upstream = runner.run(ready())

        @settings(derandomize=True, deadline=None, max_examples=150)
        @given(st.text(min_size=1, max_size=64) | st.text(alphabet="./%\\?#", min_size=1, max_size=6))
        def check(company_id: str) -> None:
            runner.run(upstream.ask(company_id, deadline_s=5))
            target = registry.heads[-1].split(b" ")[1]
            segment = target.removeprefix(b"/base/companies/")
            assert len(segment) < len(target)
            assert b"/" not in segment
            assert segment not in {b".", b".."}
            assert urllib.parse.unquote_to_bytes(segment) == company_id.encode()

        check()
        runner.run(upstream.aclose())
        server.close()


async def test_a_request_says_no_more_than_it_must(start: Start, connect: Connect) -> None:
    registry = await start(says(OK))
    upstream = connect(registry, headers=(("Authorization", "Bearer x"), ("X-Key", "1"), ("X-Key", "2")))
    await upstream.ask("1", deadline_s=5)
    line, *fields = registry.heads[0].removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert line == b"GET /companies/1 HTTP/1.1"
    assert fields == [
        b"Host: 127.0.0.1:%d" % registry.port,
        b"Accept: application/x-company-v1, application/x-company-v2",
        b"Accept-Encoding: identity",
        b"User-Agent: backendify",
        b"Authorization: Bearer x",
        b"X-Key: 1",
        b"X-Key: 2",
    ]


async def test_a_redirect_is_not_followed(start: Start, connect: Connect) -> None:
    registry = await start(says(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"))
    assert (await connect(registry).ask("1", deadline_s=5)).status == 302
    assert len(registry.heads) == 1


async def test_nothing_is_decompressed(start: Start, connect: Connect) -> None:
    registry = await start(
        says(OK.replace(b"2\r\n\r\n{}", b"5\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08!!"))
    )
    assert (await connect(registry).ask("1", deadline_s=5)).body == b"\x1f\x8b\x08!!"


async def test_the_first_byte_is_seen_when_it_comes(start: Start, connect: Connect, kind: str) -> None:
    half_at_s = []

    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK[:1] if kind == "fast" else OK[:-1])  # others tell when the head is whole
        await asyncio.sleep(0.05)
        half_at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.05)
        await visit.say(OK[1:] if kind == "fast" else OK[-1:])

    registry = await start(behaviour)
    asked_at_s = asyncio.get_running_loop().time()
    reply = await connect(registry).ask("1", deadline_s=5)
    assert 0 <= reply.first_byte_ms <= (half_at_s[0] - asked_at_s) * 1000


async def test_the_reply_is_told_as_it_came(start: Start, connect: Connect) -> None:
    registry = await start(
        says(
            b"HTTP/1.1 503 Busy\r\nContent-type: text/plain\r\nRETRY-AFTER: 7\r\nContent-Length: 2\r\n\r\nno"
        )
    )
    reply = await connect(registry).ask("1", deadline_s=5)
    assert (reply.status, reply.content_type, reply.body, reply.retry_after_s) == (
        503,
        b"text/plain",
        b"",
        7.0,
    )


@pytest.mark.parametrize("pause_s", [0, 0.02], ids=["while asking", "while idle"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_kept_connection_that_was_closed_is_replaced(
    pause_s: float,
    reset: bool,  # noqa: FBT001  # pytest names its arguments
    start: Start,
    connect: Connect,
) -> None:
    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)
        if not pause_s:
            await visit.request()
        visit.end(reset=reset)

    registry = await start(behaviour)
    upstream = connect(registry)
    for visits in (1, 2, 3):
        assert (await upstream.ask("1", deadline_s=5)).status == 200
        assert len(registry.visits) == visits
        assert upstream.asked_again == (0 if pause_s else visits - 1)
        await asyncio.sleep(pause_s)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_kept_connection_that_was_lost_later_is_the_end_of_the_try(
    reset: bool,  # noqa: FBT001  # pytest names its arguments
    start: Start,
) -> None:
    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)
        await visit.request()
        visit.end(reset=reset)

    registry = await start(behaviour)
    transport = GetTransport(ssl_context=ssl.create_default_context(), connections_max=9, stale_s=-60)
    upstream = Upstream(registry_at(f"http://127.0.0.1:{registry.port}"), transport=transport)
    await upstream.ask("1", deadline_s=5)
    with pytest.raises(errors.Reset):
        await upstream.ask("2", deadline_s=5)
    assert (len(registry.visits), upstream.asked_again) == (1, 0)
    await transport.aclose()


async def test_a_fresh_connection_that_was_closed_is_not_asked_again(start: Start, connect: Connect) -> None:
    async def behaviour(visit: Visit) -> None:
        await visit.request()
        if visit.number == 1:
            await visit.say(OK)
            await visit.request()

    registry = await start(behaviour)
    upstream = connect(registry)
    await upstream.ask("1", deadline_s=5)
    with pytest.raises(errors.Reset):
        await upstream.ask("2", deadline_s=5)
    assert len(registry.visits) <= 2


async def test_a_reply_that_began_is_not_asked_for_again(start: Start, connect: Connect) -> None:
    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(OK)
        await visit.request()
        await visit.say(b"H")

    registry = await start(behaviour)
    upstream = connect(registry)
    await upstream.ask("1", deadline_s=5)
    with pytest.raises(errors.Reset):
        await upstream.ask("2", deadline_s=5)
    assert len(registry.visits) == 1


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_both_internet_protocols(host: str, start: Start, connect: Connect) -> None:
    registry = await start(says(OK), host=host)
    authority = f"[{host}]" if ":" in host else host
    upstream = connect(f"http://{authority}:{registry.port}")
    assert (await upstream.ask("1", deadline_s=5)).status == 200
    assert f"Host: {authority}:{registry.port}".encode() in registry.heads[0]


async def test_a_name_is_looked_up_and_tried_at_each_of_its_addresses(start: Start, connect: Connect) -> None:
    registry = await start(says(OK))
    assert (await connect(f"http://localhost:{registry.port}").ask("1", deadline_s=5)).status == 200


async def test_an_unknown_name_is_a_failure_to_connect(connect: Connect) -> None:
    with pytest.raises(errors.ConnectFailed):
        await connect("http://registry.invalid", connect_timeout_ms=20_000).ask("1", deadline_s=30)


async def test_the_environments_proxies_are_not_used(
    start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    registry = await start(says(OK))
    assert (await connect(registry).ask("1", deadline_s=5)).status == 200


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """A certificate authority that nobody knows, and its file."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, path


def secured_by(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A registry's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls_is_verified_by_the_authority_that_was_added(
    authority: tuple[trustme.CA, Path], start: Start, connect: Connect
) -> None:
    registry = await start(says(OK), ssl=secured_by(authority[0], "localhost"))
    upstream = connect(f"https://localhost:{registry.port}", ca_file=authority[1], connect_timeout_ms=5000)
    for _ in range(3):
        assert (await upstream.ask("..", deadline_s=5)).body == b"{}"
    assert len(registry.heads) == 3
    assert len([visit for visit in registry.visits if visit.heads]) == 1


@pytest.mark.parametrize(("name", "known"), [("localhost", False), ("elsewhere.example", True)])
async def test_tls_that_cannot_be_verified_is_refused(
    name: str,
    known: bool,  # noqa: FBT001  # pytest names its arguments
    authority: tuple[trustme.CA, Path],
    start: Start,
    connect: Connect,
) -> None:
    registry = await start(says(OK), ssl=secured_by(authority[0], name))
    ca_file = authority[1] if known else None
    upstream = connect(f"https://localhost:{registry.port}", ca_file=ca_file, connect_timeout_ms=5000)
    with pytest.raises(errors.ConnectFailed):
        await upstream.ask("1", deadline_s=5)
    assert registry.heads == []


async def test_a_registry_that_speaks_no_tls_is_a_failure_to_connect(start: Start, connect: Connect) -> None:
    registry = await start(says(OK))
    with pytest.raises(errors.ConnectFailed):
        await connect(f"https://localhost:{registry.port}", connect_timeout_ms=200).ask("1", deadline_s=5)
    await registry.until_open(0)


async def test_a_handshake_that_hangs_ends_with_the_try(start: Start, connect: Connect) -> None:
    registry = await start(Visit.hang)
    upstream = connect(f"https://127.0.0.1:{registry.port}", connect_timeout_ms=60_000)
    asking = asyncio.create_task(upstream.ask("1", deadline_s=60))
    await registry.until_open(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await registry.until_open(0)


def test_an_authority_that_cannot_be_read_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(OSError, match=r"."):
            make_transport("fast", ca_file=tmp_path / name, connections_max=1)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (httpx.ConnectTimeout("x"), errors.ConnectFailed),
        (httpx.ConnectError("x"), errors.ConnectFailed),
        (httpx.PoolTimeout("x"), errors.PoolExhausted),
        (httpx.ReadTimeout("x"), errors.TimedOut),
        (httpx.ReadError("x"), errors.Reset),
        (httpx.WriteError("x"), errors.Reset),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), errors.Reset),
        (httpx.RemoteProtocolError("illegal status line"), errors.BadReply),
        (httpx.LocalProtocolError("x"), errors.BadReply),
    ],
)
async def test_whatever_a_transport_raises_has_a_reason(raised: Exception, reason: type[Exception]) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise raised

    upstream = Upstream(registry_at("http://localhost"), transport=httpx.MockTransport(handler))
    with pytest.raises(reason) as told:
        await upstream.ask("1", deadline_s=5)
    assert type(told.value) is reason


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        (b"0", 0), (b"7", 7), (b" 7 ", 7), (b"9" * 5000, RETRY_AFTER_MAX_S), (b"-7", None), (b"7.5", None),
        (b"soon", None),
        ("\u0667".encode(), None), (b"Sun, 06 Nov 1994 08:49:37 GMT", 37),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 37),
        (b"Sun, 06 Nov 1994 08:48:00 GMT", 0), (b"Sun, 06 Nov 2094 08:48:00 GMT", RETRY_AFTER_MAX_S),
        (b"Sun, 06 Nov 99999 08:48:00 GMT", None), (b"Sun, 31 Feb 1994 08:48:00 GMT", None), (b"\xff", None),
    ],
)  # fmt: skip
def test_retry_after(value: bytes, wait_s: float | None) -> None:
    assert retry_after_s(value, now_s=784111740.0) == wait_s


@pytest.mark.parametrize(
    ("base", "company_id", "path"),
    [
        (b"", "1", b"/companies/1"),
        (b"/api/", "1 J", b"/api/companies/1%20J"),
        (b"/api", "..", b"/api/companies/%2E%2E"),
        (b"", ".", b"/companies/%2E"),
        (b"", "...", b"/companies/%2E%2E%2E"),
        (b"", "a.b", b"/companies/a.b"),
        (b"", "a/../~b+é", b"/companies/a%2F..%2F~b%2B%C3%A9"),
    ],
)
def test_the_path_of_a_company(base: bytes, company_id: str, path: bytes) -> None:
    assert company_path(base, company_id) == path
