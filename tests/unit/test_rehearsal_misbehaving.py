"""Every misbehaving registry really misbehaves: no careful client gets a usable answer from it in time."""

import asyncio
import json
import re

import httpx
import pytest

from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.misbehaving import (
    HUGE_BODY_BYTES,
    HUGE_HEAD_BYTES,
    MISBEHAVIOURS,
    MisbehavingRegistry,
)
from backendify.rehearsal.registry import Registry

PATIENCE_S = 0.3
BODY_BYTES_MAX = 65_536
HEAD_BYTES_MAX = 32_768


async def usable(url: str) -> bool:
    """Ask about a company over a bare socket; whether a good V1 answer within the limits came in time."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
            try:
                writer.write(b"GET /companies/1 HTTP/1.1\r\nHost: registry\r\n\r\n")
                head = (await reader.readuntil(b"\r\n\r\n"))[:HEAD_BYTES_MAX].decode()
                length = re.search(r"\r\nContent-Length: ([0-9]+)\r\n", head)
                body = await (reader.readexactly(int(length[1])) if length else reader.read())
            finally:
                writer.transport.abort()
        company = json.loads(body)
        return (
            head.startswith("HTTP/1.1 200 ")
            and "\r\nContent-Type: application/x-company-v1\r\n" in head
            and len(body) <= BODY_BYTES_MAX
            and isinstance(company["cn"], str)
            and company.get("closed_on") is None
        )
    except (OSError, TimeoutError, EOFError, ValueError, TypeError, KeyError, asyncio.LimitOverrunError):
        return False


async def test_a_good_registry_is_usable() -> None:
    async with Registry(Behaviour(), {"1": Company("1", "One")}) as registry:
        assert await usable(registry.url)


@pytest.mark.parametrize("name", MISBEHAVIOURS)
async def test_no_misbehaving_registry_is_usable(name: str) -> None:
    async with MisbehavingRegistry(name) as registry:
        assert not await usable(registry.url)
        assert not await usable(registry.url)
        assert registry.requests == (0 if name in {"dead", "deaf"} else 2)
    assert registry.connections_open == 0
    assert MISBEHAVIOURS[name].statuses <= {502, 504}


async def failure(name: str) -> type[Exception] | None:
    async with MisbehavingRegistry(name) as registry, httpx.AsyncClient(timeout=PATIENCE_S) as client:
        try:
            await client.get(registry.url + "/companies/1")
        except httpx.TransportError as error:
            return type(error)
        return None


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("dead", httpx.ConnectError),
        ("deaf", httpx.ConnectTimeout),
        ("hanging", httpx.ReadTimeout),
        ("resetting", httpx.ReadError),
        ("closing", httpx.RemoteProtocolError),
        ("resetting amid the body", httpx.ReadError),
        ("closing amid the body", httpx.RemoteProtocolError),
        ("not HTTP", httpx.RemoteProtocolError),
        ("not JSON", None),
    ],
)
async def test_failures_are_what_their_names_say(name: str, error: type[Exception] | None) -> None:
    assert await failure(name) is error


async def test_a_redirect_leads_to_a_good_answer_and_who_follows_is_seen() -> None:
    for name in ("redirecting", "redirecting with an answer"):
        async with MisbehavingRegistry(name) as registry, httpx.AsyncClient() as client:
            assert (await client.get(registry.url + "/companies/1")).status_code == 302
            assert registry.redirects_followed == 0
            followed = await client.get(registry.url + "/companies/1", follow_redirects=True)
            assert (followed.status_code, followed.json()) == (200, {"cn": "Askania"})
            assert (registry.requests, registry.redirects_followed) == (2, 1)


@pytest.mark.parametrize("name", ["huge", "huge and unannounced", "huge and chunked"])
async def test_huge_bodies_are_good_answers_but_for_their_size(name: str) -> None:
    async with MisbehavingRegistry(name) as registry, httpx.AsyncClient() as client:
        reply = await client.get(registry.url + "/companies/1")
        assert len(reply.content) == HUGE_BODY_BYTES
        assert reply.json() == {"cn": "Askania"}
        assert ("content-length" in reply.headers) is (name == "huge")


async def test_a_huge_header_is_huge() -> None:
    async with MisbehavingRegistry("with a huge header") as registry:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            httpx.URL(registry.url).port,
            limit=2 * HUGE_HEAD_BYTES,
        )
        writer.write(b"GET /companies/1 HTTP/1.1\r\n\r\n")
        assert len(await reader.readuntil(b"\r\n\r\n")) > HUGE_HEAD_BYTES
        assert await reader.readexactly(16) == b'{"cn":"Askania"}'
        writer.transport.abort()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("dripping its head", b"xxx"),
        ("dripping its body", b"   "),
        ("with endless headers", b"X-More: x\r\n" * 1000),
        ("with endless interim replies", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20),
    ],
)
async def test_what_never_ends_goes_on(name: str, part: bytes) -> None:
    async with MisbehavingRegistry(name) as registry:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(registry.url).port)
        writer.write(b"GET /companies/1 HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(20):
            received = b""
            while part not in received:
                received += await reader.read(4096)
        writer.transport.abort()
