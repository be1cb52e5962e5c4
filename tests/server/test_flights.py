"""One fetch a question, and no customer's leaving ends it."""

import asyncio
import contextlib
import re

import httpx

import service
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.misbehaving import MisbehavingRegistry
from backendify.rehearsal.registry import Registry
from service import ONCE

COMPANIES = {"1": Company("1", "One")}


async def test_fifty_customers_at_once_are_one_request() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=300), COMPANIES) as registry,
        service.running({"im": registry.url}, *ONCE, "--deadline", "30s") as running,
    ):
        answers = await asyncio.gather(*(running.get("1") for _ in range(50)))
        assert [answer.status_code for answer in answers] == [200] * 50
        assert len({answer.content for answer in answers}) == 1
        assert registry.counts.requests == 1
        told = [answer.headers["cache-status"] for answer in answers]
        assert sum("collapsed" in status for status in told) == 49


async def test_a_shared_failure_is_one_fetch_too() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=300, error_share=1.0), COMPANIES) as registry,
        service.running({"im": registry.url}, "--deadline", "30s") as running,
    ):
        answers = await asyncio.gather(*(running.get("1") for _ in range(50)))
        assert [answer.status_code for answer in answers] == [502] * 50
        assert registry.counts.requests == 3, "of three tries, whoever waits"


async def test_a_customer_who_leaves_finds_the_answer_when_he_returns() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=600), COMPANIES) as registry,
        service.running({"im": registry.url}, *ONCE) as running,
    ):
        with contextlib.suppress(httpx.TimeoutException):
            await running.get("1", timeout=0.2)
        while "200" not in str(registry.counts.statuses):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        answer = await running.get("1")
        assert answer.status_code == 200
        assert "hit" in answer.headers["cache-status"]
        assert registry.counts.requests == 1


async def test_a_customer_who_waited_in_vain_finds_the_answer_when_he_returns() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=1000), COMPANIES) as registry,
        service.running({"im": registry.url}, *ONCE, "--deadline", "100ms") as running,
    ):
        assert (await running.get("1")).status_code == 504
        while "200" not in str(registry.counts.statuses):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        assert (await running.get("1")).status_code == 200
        assert registry.counts.requests == 1


async def test_a_fetch_ends_at_its_own_time_out() -> None:
    async with (
        Registry(Behaviour(hang_share=1.0), COMPANIES) as registry,
        service.running(
            {"im": registry.url}, *ONCE, "--deadline", "100ms", "--fetch-timeout", "500ms"
        ) as running,
    ):
        assert (await running.get("1")).status_code == 504
        while registry.counts.connections_open:
            await asyncio.sleep(0.05)
        registry.behaviour = Behaviour(latency_median_ms=0)
        await asyncio.sleep(0.3)  # for a quarter of a second the failure is remembered
        assert (await running.get("1")).status_code == 200
        assert registry.counts.requests == 2


async def test_at_most_so_many_at_once() -> None:
    companies = {str(number): Company(str(number), "x") for number in range(40)}
    async with (
        Registry(Behaviour(latency_median_ms=300), companies) as registry,
        service.running(
            {"im": registry.url}, *ONCE, "--registry-concurrency", "7", "--deadline", "30s"
        ) as running,
    ):
        answers = await asyncio.gather(*(running.get(number) for number in companies))
        statuses = [answer.status_code for answer in answers]
        assert registry.counts.waiting_peak <= 7
        assert set(statuses) == {200, 503}
        assert statuses.count(200) == registry.counts.requests
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["cache-control"] == "no-store"


async def test_at_most_so_many_fetches_over_all_registries() -> None:
    companies = {str(number): Company(str(number), "x") for number in range(40)}
    async with (
        Registry(Behaviour(latency_median_ms=300), companies) as registry,
        service.running(
            {"im": registry.url, "gg": registry.url}, "--fetches-max", "10", "--deadline", "30s"
        ) as running,
    ):
        asked = [running.get(number, country) for number in companies for country in ("im", "gg")]
        answers = await asyncio.gather(*asked)
        assert registry.counts.waiting_peak <= 10
        assert {answer.status_code for answer in answers} == {200, 503}


async def test_a_registry_that_hangs_holds_its_own_share_and_never_another_s() -> None:
    async with (
        Registry(Behaviour(hang_share=1.0), COMPANIES) as hanging,
        Registry(Behaviour(), COMPANIES) as good,
        service.running(
            {"im": hanging.url, "gg": good.url}, "--memory", "128M", "--deadline", "300ms"
        ) as running,
    ):
        asked = [running.get(f"{number}") for number in range(300)]
        assert {answer.status_code for answer in await asyncio.gather(*asked)} <= {503, 504}
        assert 0 < hanging.counts.waiting <= 100, "it hangs on"
        assert (await running.get("1", "gg")).status_code == 200


async def test_a_registry_that_refuses_everybody_is_left_alone() -> None:
    async with (
        MisbehavingRegistry("unavailable") as registry,  # 503, and Retry-After: 1
        service.running({"im": registry.url}, *ONCE) as running,
    ):
        statuses = {(await running.get(f"x{number}")).status_code for number in range(60)}
        assert statuses == {504}
        # One refusal binds its own question; five say that it is the registry that asks for patience, once a second.
        assert registry.requests <= 20


async def test_patience_is_asked_for_a_question_and_not_for_the_country() -> None:
    async with (
        Registry(Behaviour(throttle_per_s=1, retry_after_s=30), COMPANIES) as registry,
        service.running({"im": registry.url}, *ONCE) as running,
    ):
        assert (await running.get("x0")).status_code == 404
        number = 1
        while not registry.counts.statuses[429]:
            last = await running.get(f"x{number}")
            number += 1
        assert last.status_code == 504
        assert (await running.get("x0")).status_code == 404, "what is known is still told"
        for _ in range(3):
            assert (await running.get(f"x{number - 1}")).status_code == 504
        assert registry.counts.by_number[f"x{number - 1}"] == 1, "it is to wait for half a minute"
        # Others are asked for at the registry's pace.
        statuses = {(await running.get(f"y{number}")).status_code for number in range(20)}
        assert 404 in statuses
        assert registry.counts.statuses[429] <= 8


async def test_a_crowd_at_a_hanging_registry_leaves_room_for_hits_and_for_the_others_customers() -> None:
    away = Behaviour(latency_median_ms=600_000)
    waits = ("--deadline", "60s", "--fetch-timeout", "60s")  # so long that only shedding answers a crowd
    async with (
        Registry(away, COMPANIES) as hanging,
        Registry(Behaviour(), COMPANIES) as well,
        service.running(
            {"im": hanging.url, "gg": well.url}, *waits, "--cache-size", "7M", "--memory", "64M"
        ) as running,
    ):
        found = re.search(r"(\d+) connections, (\d+) waiting", "".join(running.lines))
        assert found
        connections, waiters = int(found[1]), int(found[2])
        crowd = connections + 50
        assert waiters < connections < crowd
        async with service.Customer(running.port) as first:
            await first.ask("1", "gg")

        left_over = contextlib.AsyncExitStack()

        async def ask_once() -> int:
            customer = await left_over.enter_async_context(service.Customer(running.port))  # closes nothing
            return (await customer.ask("hot"))[0]

        asking = {asyncio.create_task(ask_once()) for _ in range(crowd)}
        while len(asking) > waiters:
            told, asking = await asyncio.wait(asking, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            assert {one.result() for one in told} == {503}, "told at once that there is no room"
        # All places are taken now. Whoever comes over a new connection is served, as nobody's deadline is near.
        async with service.Customer(running.port) as newcomer:
            assert (await newcomer.ask("1", "gg"))[0] == 200
        assert (
            await running.raw(b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        ).startswith(b"HTTP/1.1 200 ")
        async with service.Customer(running.port) as newcomer:
            assert (await newcomer.ask("none", "gg"))[0] == 404
        done, asking = await asyncio.wait(asking, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert [one.result() for one in done] == [503], "he who made room for the other country's customer"
        assert len(asking) == waiters - 1
        for one in asking:
            one.cancel()
        await asyncio.wait(asking)
        await left_over.aclose()
        assert hanging.counts.requests <= 3, "one question, whoever waits"
