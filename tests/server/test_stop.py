"""How a service ends: it tells the balancer first, answers what is in flight, and always exits with status 0."""

import asyncio
import signal

import httpx
import pytest

import service
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.registry import Registry

COMPANIES = {"1": Company("1", "One"), "2": Company("2", "Two")}
MANY = (
    "at",
    "be",
    "ch",
    "de",
    "dk",
    "es",
    "fi",
    "fr",
    "gb",
    "gg",
    "ie",
    "im",
    "it",
    "lu",
    "nl",
    "no",
    "pl",
    "pt",
    "se",
    "us",
)
AT_FIRST = 20  # a registry is asked for so many at once until it has answered


async def test_lame_duck_then_drain() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=0), COMPANIES) as registry,
        service.running({"im": registry.url}, "--lame-duck", "2s", "--deadline", "5s") as running,
    ):
        assert (await running.client.get("/status")).status_code == 200
        await running.get("1")
        running.process.send_signal(signal.SIGTERM)
        while (status := await running.client.get("/status")).status_code == 200:
            await asyncio.sleep(0.01)
        assert (status.status_code, status.json()) == (503, {"status": "draining"})
        assert (await running.get("1")).status_code == 200, "hits are served to the end"
        registry.behaviour = Behaviour(latency_median_ms=2500)
        in_flight = await running.get("2")
        assert in_flight.status_code == 200, "what is in flight is answered"
        assert await asyncio.wait_for(running.process.wait(), 30) == 0
        with pytest.raises(httpx.TransportError):
            await running.client.get("/status")


async def test_sigint_skips_the_lame_duck() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=0), COMPANIES) as registry,
        service.running({"im": registry.url}, "--lame-duck", "4s", "--drain", "5s") as running,
    ):
        await running.get("1")
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        assert await running.stop(signal.SIGINT) == 0
        assert loop.time() - begun_s < 4, "there was a lame duck"
    assert "Traceback" not in "".join(running.lines)


@pytest.mark.parametrize("turn", range(10))
async def test_sigterm_with_three_hundred_hanging_fetches(turn: int) -> None:
    async with (
        Registry(Behaviour(hang_share=1.0), COMPANIES) as registry,
        service.running(
            dict.fromkeys(MANY[:15], registry.url), "--fetch-timeout", "60s", "--tries", "1",
            "--lame-duck", "0s", "--drain", "1s", "--deadline", "2s",
        ) as running,
    ):  # fmt: skip
        asked = [
            asyncio.create_task(running.get(f"{turn}-{number}", country))
            for country in MANY[:15]
            for number in range(AT_FIRST)
        ]
        while registry.counts.waiting < 300:
            await asyncio.sleep(0.01)
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {504}
        assert registry.counts.waiting == 300
        assert await running.stop() == 0
        while registry.counts.connections_open:
            await asyncio.sleep(0.01)
    assert "Traceback" not in "".join(running.lines)
    assert "panic" not in "".join(running.lines)


async def test_sigterm_while_customers_wait() -> None:
    """The drain outlasts the customers' deadline: each of them is answered."""
    async with (
        Registry(Behaviour(hang_share=1.0), COMPANIES) as registry,
        service.running(
            dict.fromkeys(MANY[:5], registry.url), *service.ONCE,
            "--lame-duck", "0s", "--drain", "5s", "--deadline", "1500ms",
        ) as running,
    ):  # fmt: skip
        asked = [
            asyncio.create_task(running.get(f"{number}", country))
            for country in MANY[:5]
            for number in range(AT_FIRST)
        ]
        while registry.counts.waiting < 100:
            await asyncio.sleep(0.01)
        running.process.send_signal(signal.SIGTERM)
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {504}
        assert await asyncio.wait_for(running.process.wait(), 30) == 0


async def test_a_port_in_use_is_one_line_and_status_1() -> None:
    async with Registry(Behaviour(), COMPANIES) as registry, service.running({"im": registry.url}) as running:
        status, told = await service.failing({"im": registry.url}, "--port", str(running.port))
        assert status == 1
        assert told.count("\n") == 1
        assert str(running.port) in told
