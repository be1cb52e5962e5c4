"""The fake registry on real sockets: what it says, how it fails, what it counts."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from statistics import median
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from backendify.rehearsal.behaviour import Behaviour, Bucket, Outcome, Shape
from backendify.rehearsal.closing import Closing
from backendify.rehearsal.companies import Company
from backendify.rehearsal.registry import HEAD_BYTES_MAX, Registry

COMPANIES = {
    company.number: company
    for company in (
        Company("1", "One", Closing(0, 0, "1970-01-01t01:00:00.000+01:00")),
        Company("17937688759 7J", "«Řeřicha» \U0001f33f"),
        Company("..", 'dots "and" \\quotes\\'),
        Company("a/b?c=d&e%20", "reserved"),
        Company("číslo", "not ASCII"),
    )
}
MEMBERS = {
    "application/x-company-v1": ("cn", "closed_on"),
    "application/x-company-v2": ("company_name", "dissolved_on"),
}


def target(number: str) -> str:
    return "/companies/" + quote(number, safe="").replace(".", "%2E")


async def exchange(registry: Registry, request: str, *, until: bytes = b"") -> bytes:
    """Send these bytes; receive until these or the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(registry.url).port)
    try:
        writer.write(request.encode())
        return await (reader.readuntil(until) if until else reader.read())
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def question(number: str, *headers: str) -> str:
    return "\r\n".join((f"GET {target(number)} HTTP/1.1", "Host: registry", *headers, "", ""))


async def wait_until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not reached():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("shape", Shape)
async def test_it_tells_what_it_knows_in_its_shape(shape: Shape) -> None:
    media_types: Counter[str] = Counter()
    async with Registry(Behaviour(shape=shape), COMPANIES) as registry:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(registry.url).port)
        for company in [*COMPANIES.values()] * 4:
            writer.write(question(company.number).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = dict(line.split(": ") for line in lines)
            assert status == "HTTP/1.1 200 OK"
            body = json.loads(await reader.readexactly(int(headers["Content-Length"])))
            name, closed_on = MEMBERS[headers["Content-Type"]]
            assert body[name] == company.name
            assert body.get(closed_on) == company.closed_on
            media_types[headers["Content-Type"]] += 1
        writer.transport.abort()
    v1_share = {Shape.V1: 1.0, Shape.V2: 0.0, Shape.SWITCHING: 0.5}[shape]
    assert media_types["application/x-company-v1"] == v1_share * media_types.total()
    assert registry.counts.connections == 1
    assert set(registry.counts.by_number) == set(COMPANIES)
    assert registry.counts.by_number_max == 4
    assert registry.counts.statuses == {200: 20}
    assert not registry.counts.strays


async def test_a_missing_day_is_null_or_absent() -> None:
    turns = [Behaviour().turn("2", nth) for nth in range(100)]
    assert {turn.says_null for turn in turns} == {turn.is_ascii for turn in turns} == {True, False}


async def test_it_answers_under_its_base_path_only() -> None:
    async with (
        Registry(Behaviour(), COMPANIES, base_path="/api/v0/") as registry,
        httpx.AsyncClient() as client,
    ):
        assert registry.url.endswith("/api/v0")
        assert (await client.get(registry.url + "/companies/1")).status_code == 200
        assert (await client.get(registry.url + "/companies/2")).status_code == 404
        assert (await client.get(registry.url.removesuffix("/api/v0") + "/companies/1")).status_code == 404
    assert registry.counts.by_number == {"1": 1, "2": 1}
    assert registry.counts.strays == {"GET /companies/1 HTTP/1.1": 1}


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /companies/. HTTP/1.1", 404),
        ("GET /companies/.. HTTP/1.1", 404),
        ("GET /companies/... HTTP/1.1", 404),
        ("GET /companies/ HTTP/1.1", 404),
        ("GET /companies/1/ HTTP/1.1", 404),
        ("GET /companies/1?x=1 HTTP/1.1", 404),
        ("GET /companies/1%2 HTTP/1.1", 404),
        ("GET /companies/%FF HTTP/1.1", 404),
        ("GET /companies/1+1 HTTP/1.1", 404),
        ("GET /status HTTP/1.1", 404),
        ("POST /companies/1 HTTP/1.1", 405),
        ("HEAD /companies/1 HTTP/1.1", 405),
        ("nonsense", 405),
    ],
)
async def test_what_is_no_question_is_told_apart(line: str, status: int) -> None:
    async with Registry(Behaviour(), COMPANIES) as registry:
        reply = await exchange(registry, f"{line}\r\nHost: registry\r\nConnection: close\r\n\r\n")
    assert reply.startswith(f"HTTP/1.1 {status} ".encode())
    assert registry.counts.strays == {line: 1}
    assert not registry.counts.by_number


async def test_pipelined_requests_are_answered_one_after_the_other() -> None:
    many = 1100  # deeper than Python would nest
    async with Registry(Behaviour(), COMPANIES) as registry:
        reply = await exchange(registry, question("1") * many + question("?", "connection:close"))
    assert reply.count(b"HTTP/1.1 200 OK") == many
    assert reply.rindex(b"HTTP/1.1 404") > reply.rindex(b"HTTP/1.1 200")
    assert registry.counts.waiting_peak == 1


async def test_an_endless_head_is_cut_off() -> None:
    async with Registry(Behaviour(), COMPANIES) as registry:
        with suppress(ConnectionError):  # the end or a reset, by what the kernel still held
            assert await exchange(registry, "x" * (HEAD_BYTES_MAX * 4)) == b""
    assert registry.counts.requests == 0


async def test_http_1_0_is_answered_and_closed() -> None:
    async with Registry(Behaviour(), COMPANIES) as registry:
        assert (await exchange(registry, "GET /companies/1 HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_errors_are_500() -> None:
    async with Registry(Behaviour(error_share=1), COMPANIES) as registry:
        reply = await exchange(registry, question("1", "Connection: close"))
        assert reply.startswith(b"HTTP/1.1 500 ")
        registry.behaviour = Behaviour()
        assert b" 200 OK" in await exchange(registry, question("1", "Connection: close"))


async def test_resets_reset() -> None:
    async with Registry(Behaviour(reset_share=1), COMPANIES) as registry:
        with pytest.raises(ConnectionResetError):
            await exchange(registry, question("1"))
        await wait_until(lambda: registry.counts.connections_open == 0)
    assert (registry.counts.resets, registry.counts.waiting) == (1, 0)


async def test_hangs_are_counted_while_they_last_and_end_with_the_registry() -> None:
    async with Registry(Behaviour(hang_share=1), COMPANIES) as registry:
        asked = [asyncio.create_task(exchange(registry, question(number))) for number in "1234567"]
        await wait_until(lambda: registry.counts.waiting == 7)
        asked[0].cancel()
        await wait_until(lambda: registry.counts.connections_open == 6)
        assert registry.counts.waiting == 6
    replies = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(replies[0], asyncio.CancelledError)
    assert all(reply == b"" or isinstance(reply, ConnectionError) for reply in replies[1:])
    counts = registry.counts
    assert (counts.hangs, counts.waiting_peak, counts.waiting, counts.connections_open) == (7, 7, 0, 0)
    assert not counts.statuses


async def test_a_slow_answer_whose_customer_left_is_dropped() -> None:
    async with Registry(Behaviour(latency_median_ms=50), COMPANIES) as registry:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange(registry, question("1")), 0.01)
        await wait_until(lambda: registry.counts.connections_open == 0)
        await asyncio.sleep(0.1)
        assert not registry.counts.statuses
        assert b" 200 OK" in await exchange(registry, question("1", "Connection: close"))


async def test_throttling_says_when_to_come_back() -> None:
    async with Registry(Behaviour(throttle_per_s=0, retry_after_s=7), COMPANIES) as registry:
        reply = await exchange(registry, question("1", "Connection: close"))
    assert reply.startswith(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n")
    assert registry.counts.statuses == {429: 1}


def test_a_bucket_gives_its_rate_and_no_more() -> None:
    bucket = Bucket()
    assert [bucket.take(3, 10.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [bucket.take(3, 10.5) for _ in range(3)] == [True, False, False]  # 1.5 came back
    assert [bucket.take(3, 10.75) for _ in range(2)] == [True, False]  # and with 0.75 more the second
    assert [bucket.take(3, 99.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert not Bucket().take(0, 1000.0)
    slow = Bucket()
    assert [slow.take(0.5, now_s) for now_s in (1.0, 2.0, 3.0, 4.0)] == [True, False, True, False]


def test_turns_are_drawn_by_their_shares_and_the_same_each_time() -> None:
    behaviour = Behaviour(
        error_share=0.05,
        hang_share=0.1,
        reset_share=0.2,
        latency_median_ms=100,
        latency_sigma=0.5,
    )
    turns = [behaviour.turn(str(number), 0) for number in range(4000)]
    assert turns == [behaviour.turn(str(number), 0) for number in range(4000)]
    counts = Counter(turn.outcome for turn in turns)
    assert counts[Outcome.ERROR] == pytest.approx(200, rel=0.2)
    assert counts[Outcome.HANG] == pytest.approx(400, rel=0.2)
    assert counts[Outcome.RESET] == pytest.approx(800, rel=0.2)
    latencies_s = [turn.latency_s for turn in turns]
    assert median(latencies_s) == pytest.approx(0.1, rel=0.05)
    one_sigma_s = sorted(latencies_s)[round(0.8413 * 4000)]
    assert one_sigma_s == pytest.approx(0.1 * 2.718281828**0.5, rel=0.05)
    assert behaviour.turn("1", 0) != behaviour.turn("1", 1)
    assert behaviour.turn("1", 0) != Behaviour(latency_median_ms=100, latency_sigma=0.5, seed=1).turn("1", 0)


@pytest.mark.parametrize(
    "field",
    ["error_share", "hang_share", "reset_share", "latency_median_ms", "latency_sigma", "throttle_per_s"],
)
def test_behaviour_out_of_bounds_is_refused(field: str) -> None:
    negative: dict[str, Any] = {field: -0.1}
    with pytest.raises(ValueError, match=r"cannot be negative|expected 0 to 1"):
        Behaviour(**negative)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        Behaviour(error_share=0.5, hang_share=0.3, reset_share=0.3)
