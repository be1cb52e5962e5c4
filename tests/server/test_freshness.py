"""What is kept is told for as long as it may be, and `active` is worked out for every answer."""

import asyncio
import datetime as dt
import json
import time
from collections.abc import AsyncIterator

import pytest

import service
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.registry import Registry
from service import ONCE


class Telling:
    """A registry whose one reply is set by the test."""

    def __init__(self) -> None:
        self.requests = 0
        self.status = 200
        self.body: dict[str, object] = {"cn": "One"}
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            self.requests += 1
            body = json.dumps(self.body).encode()
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Type: application/x-company-v1\r\nContent-Length: %d\r\n\r\n%b"
                % (self.status, len(body), body)
            )


@pytest.fixture
async def telling() -> AsyncIterator[Telling]:
    registry = Telling()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await registry.serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    registry.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield registry
    server.close()


async def test_active_flips_on_a_cached_answer(telling: Telling) -> None:
    flips_at = dt.datetime.fromtimestamp(time.time() + 3.0, dt.UTC)
    telling.body = {"cn": "One", "closed_on": flips_at.isoformat()}
    async with service.running({"im": telling.url}, *ONCE) as running:
        seen = []
        while not seen or seen[-1]["active"]:
            before = time.time()
            answer = await running.get("1")
            after = time.time()
            seen.append(answer.json())
            max_age_s = int(answer.headers["cache-control"].removeprefix("max-age="))
            if seen[-1]["active"]:
                assert before < flips_at.timestamp()
                assert max_age_s <= flips_at.timestamp() - before
            else:
                assert after >= flips_at.timestamp()
                assert max_age_s > 80_000
            await asyncio.sleep(0.02)
        assert seen[0]["active"], "the first answer came too late to show anything"
        assert telling.requests == 1


async def test_an_answer_is_told_until_its_time_is_over(telling: Telling) -> None:
    async with service.running(
        {"im": telling.url}, *ONCE, "--ttl", "2s", "--negative-ttl", "1s", "--refresh-ahead", "off"
    ) as running:
        assert (await running.get("1")).status_code == 200
        kept_at = time.monotonic()
        telling.body = {"cn": "Two"}
        while (answer := await running.get("1")).json()["name"] == "One":
            asked_at = time.monotonic()
            await asyncio.sleep(0.05)
        assert asked_at - kept_at < 3
        assert telling.requests == 2
        assert "fwd-status=200; stored" in answer.headers["cache-status"]

        telling.status = 404
        assert (await running.get("2")).status_code == 404
        telling.status = 200
        while (await running.get("2")).status_code == 404:
            await asyncio.sleep(0.05)
        assert telling.requests == 4


async def test_what_is_asked_for_often_is_refreshed_behind_the_answer(telling: Telling) -> None:
    async with service.running({"im": telling.url}, *ONCE, "--ttl", "4s") as running:
        await running.get("1")
        telling.body = {"cn": "Two"}
        statuses = set()
        while (answer := await running.get("1")).json()["name"] == "One":
            statuses.add(answer.headers["cache-status"].split("; ")[1])
            await asyncio.sleep(0.05)
        assert statuses == {"hit"}, "nobody waited for it"
        assert "hit" in answer.headers["cache-status"]
        assert telling.requests == 2


async def test_a_failed_refresh_never_replaces_the_good_answer(telling: Telling) -> None:
    async with service.running({"im": telling.url}, *ONCE, "--ttl", "3s") as running:
        await running.get("1")
        telling.body = {"cn": 7}
        begun = time.monotonic()
        while telling.requests < 2 and time.monotonic() < begun + 2.6:
            assert (await running.get("1")).json()["name"] == "One"
            await asyncio.sleep(0.05)
        assert telling.requests == 2
        assert (await running.get("1")).json()["name"] == "One"


async def test_stale_if_error_tells_the_old_answer_and_says_so(telling: Telling) -> None:
    async with service.running(
        {"im": telling.url}, *ONCE, "--ttl", "1s", "--stale-if-error", "1h", "--refresh-ahead", "off"
    ) as running:
        await running.get("1")
        telling.status = 500
        while "hit" in (answer := await running.get("1")).headers["cache-status"]:
            await asyncio.sleep(0.05)
        assert answer.status_code == 200
        assert answer.json()["name"] == "One"
        assert answer.headers["cache-status"].startswith("backendify; fwd=stale; fwd-status=500; ttl=-")
        assert answer.headers["cache-control"] == "max-age=0"
        telling.status, telling.body = 200, {"cn": "Two"}
        while (answer := await running.get("1")).json()["name"] == "One":  # the failure is remembered a while
            assert "stale-if-error" in answer.headers["cache-status"]
            await asyncio.sleep(0.05)
        assert answer.json()["name"] == "Two"


async def test_without_stale_if_error_the_failure_is_told(telling: Telling) -> None:
    async with service.running(
        {"im": telling.url}, *ONCE, "--ttl", "1s", "--refresh-ahead", "off"
    ) as running:
        await running.get("1")
        telling.status = 500
        while (answer := await running.get("1")).status_code == 200:
            await asyncio.sleep(0.05)
        assert answer.status_code == 502


async def test_failures_are_never_kept(telling: Telling) -> None:
    async with service.running({"im": telling.url}, *ONCE) as running:
        for status, body, told in (
            (500, {}, 502),
            (403, {}, 502),
            (200, {"cn": None}, 502),
            (200, {"cn": "x", "closed_on": "2020-01-01"}, 502),
            (301, {}, 502),
        ):
            telling.status, telling.body = status, body
            company_id = f"{status}{body}"  # for a moment a failure is remembered
            assert (await running.get(company_id)).status_code == told
            assert "no-store" in (await running.get(company_id)).headers["cache-control"]
        telling.status, telling.body = 200, {"cn": "One"}
        assert (await running.get("1")).json()["name"] == "One"


async def test_a_lifetime_of_nothing_keeps_nothing(telling: Telling) -> None:
    telling.status = 404
    async with service.running(
        {"im": telling.url}, *ONCE, "--negative-ttl", "0s", "--stale-if-error", "1h"
    ) as running:
        for requests in (1, 2):
            answer = await running.get("1")
            assert (answer.status_code, telling.requests) == (404, requests)
            assert "stored" not in answer.headers["cache-status"]
        telling.status = 500
        assert (await running.get("1")).status_code == 502


async def test_memory_is_bounded_in_bytes() -> None:
    companies = {f"{number:07}": Company(f"{number:07}", "x" * 200) for number in range(20_000)}
    async with (
        Registry(Behaviour(latency_median_ms=0), companies) as registry,
        service.running({"im": registry.url}, *ONCE, "--cache-size", "1M") as running,
    ):

        async def ask(numbers: list[str]) -> None:
            async with service.Customer(running.port) as customer:
                for number in numbers:
                    status, _ = await customer.ask(number)
                    assert status == 200

        await asyncio.gather(*(ask(list(companies)[place::16]) for place in range(16)))
        last = list(companies)[-100:]
        kept = [(await running.get(number)).headers["cache-status"] for number in last]
        assert sum("hit" in status for status in kept) > 50, "the newest stay"
        before = registry.counts.requests
        await asyncio.gather(*(ask(list(companies)[place::16]) for place in range(16)))
        assert registry.counts.requests - before > 14_000, "a MiB holds some 4,400 of them"
