"""Joining flights: one fetch a question, bounded, and independent of those who wait."""

import asyncio
import logging

import pytest

from backendify._core import Outcome, Question
from backendify.flight import REFRESHES_REMEMBERED_MAX, Flights


class Registry:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.answer = asyncio.Event()
        self.outcome: Outcome | Exception = Outcome.UNREACHABLE

    async def fetch(self, question: Question) -> Outcome:
        self.asked.append(question)
        await self.answer.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def test_all_who_wait_share_one_fetch() -> None:
    registry = Registry()
    flights = Flights(registry.fetch, flights_max=10, waiters_max=1000)
    waiting = [asyncio.create_task(flights.join(Question(0, "1"), deadline_s=60)) for _ in range(5)]
    other = asyncio.create_task(flights.join(Question(1, "1"), deadline_s=60))
    while flights.customers_waiting < 6:
        await asyncio.sleep(0)
    assert len(flights) == 2
    registry.answer.set()
    assert await asyncio.gather(*waiting) == [(Outcome.UNREACHABLE, number > 0) for number in range(5)]
    assert await other == (Outcome.UNREACHABLE, False)
    assert len(registry.asked) == 2
    assert flights.joined == 4
    assert (len(flights), flights.customers_waiting) == (0, 0)


async def test_a_deadline_ends_the_wait_and_not_the_fetch() -> None:
    registry = Registry()
    flights = Flights(registry.fetch, flights_max=10, waiters_max=1000)
    assert await flights.join(Question(0, "1"), deadline_s=0.01) == (Outcome.TIMED_OUT, False)
    assert (len(flights), flights.customers_waiting) == (1, 0)
    late = asyncio.create_task(flights.join(Question(0, "1"), deadline_s=60))
    await asyncio.sleep(0)
    registry.answer.set()
    assert await late == (Outcome.UNREACHABLE, True)
    assert len(registry.asked) == 1


async def test_a_customer_who_leaves_ends_nothing() -> None:
    registry = Registry()
    flights = Flights(registry.fetch, flights_max=10, waiters_max=1000)
    leaving = asyncio.create_task(flights.join(Question(0, "1"), deadline_s=60))
    staying = asyncio.create_task(flights.join(Question(0, "1"), deadline_s=60))
    while flights.customers_waiting < 2:
        await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    registry.answer.set()
    assert await staying == (Outcome.UNREACHABLE, True)


async def test_flights_are_bounded() -> None:
    registry = Registry()
    flights = Flights(registry.fetch, flights_max=2, waiters_max=1000)
    for number in range(4):
        outcome, _ = await flights.join(Question(0, str(number)), deadline_s=0.001)
        assert outcome is (Outcome.TIMED_OUT if number < 2 else Outcome.OVERLOADED)
    assert len(flights) == 2
    flights.refresh(Question(0, "9"))
    assert len(flights) == 2
    await flights.aclose()
    assert len(flights) == 0


async def test_customers_who_wait_are_bounded() -> None:
    registry = Registry()
    flights = Flights(registry.fetch, flights_max=10, waiters_max=3)
    waiting = [asyncio.create_task(flights.join(Question(0, "1"), deadline_s=60)) for _ in range(5)]
    while flights.customers_waiting < 3:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    registry.answer.set()
    outcomes = [outcome for outcome, _ in await asyncio.gather(*waiting)]
    assert outcomes == [Outcome.UNREACHABLE] * 3 + [Outcome.OVERLOADED] * 2
    assert flights.customers_waiting == 0


async def test_a_refresh_is_one_flight_and_not_repeated_at_once() -> None:
    registry = Registry()
    registry.answer.set()
    flights = Flights(registry.fetch, flights_max=100, waiters_max=1000)
    for _ in range(5):
        flights.refresh(Question(0, "1"))
        await asyncio.sleep(0.001)
    assert len(registry.asked) == 1, "its failure is not asked for again before a pause"
    for number in range(REFRESHES_REMEMBERED_MAX + 1):
        flights.refresh(Question(1, str(number)))
        await asyncio.sleep(0)
    flights.refresh(Question(0, "1"))
    await asyncio.sleep(0.001)
    assert registry.asked.count(Question(0, "1")) == 2, "what is remembered of refreshes is bounded"


async def test_closing_tells_those_who_wait() -> None:
    registry = Registry()
    flights = Flights(registry.fetch, flights_max=10, waiters_max=1000)
    waiting = asyncio.create_task(flights.join(Question(0, "1"), deadline_s=60))
    while not flights.customers_waiting:
        await asyncio.sleep(0)
    await flights.aclose()
    assert (await waiting)[0] is Outcome.OVERLOADED


async def test_a_fault_of_ours_costs_one_question(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry()
    registry.outcome = ZeroDivisionError("ours")
    registry.answer.set()
    flights = Flights(registry.fetch, flights_max=10, waiters_max=1000)
    with caplog.at_level(logging.ERROR):
        assert (await flights.join(Question(0, "1"), deadline_s=60))[0] is Outcome.UNREACHABLE
    assert "ZeroDivisionError" in caplog.text
    assert len(flights) == 0
