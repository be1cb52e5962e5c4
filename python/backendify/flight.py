"""Join: one fetch a question, however many customers wait for it, and none of them can end it.

A customer waits for a flight until his own deadline; the flight goes on without him, so that his retry hits
(the singleflight of Go's groupcache, with the two clocks kept apart).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from backendify._core import Outcome, Question

LOGGER = logging.getLogger(__name__)
REFRESH_PAUSE_S = 2.0  # a question whose refresh failed is not refreshed again before
REFRESHES_REMEMBERED_MAX = 4096


@dataclass(frozen=True, slots=True)
class _Flight:
    """One fetch under way. The loop holds tasks weakly: without this one a fetch could vanish half-way."""

    task: asyncio.Task[Outcome]
    waiters: set[asyncio.Future[Outcome]]


class Flights:
    """The fetches under way: at most `flights_max`, one a question, and at most `waiters_max` customers who wait.

    A customer who has left still counts until his deadline: servers do not tell, and his place costs memory.

    `fetch` asks and keeps; it runs as a task of its own, bounds its own time, and tells failures as outcomes.
    """

    def __init__(
        self, fetch: Callable[[Question], Coroutine[Any, Any, Outcome]], *, flights_max: int, waiters_max: int
    ) -> None:
        self._fetch = fetch
        self._flights_max = flights_max
        self._waiters_max = waiters_max
        self.customers_waiting = 0
        self._under_way: dict[Question, _Flight] = {}
        self._next_refresh_s: dict[Question, float] = {}
        self.joined = 0  # customers who found their question under way, since the start

    def __len__(self) -> int:
        """How many fetches are under way."""
        return len(self._under_way)

    async def join(self, question: Question, *, deadline_s: float) -> tuple[Outcome, bool]:
        """Wait for a question's outcome, at most `deadline_s` seconds: (outcome, was a fetch under way already?)."""
        if self.customers_waiting >= self._waiters_max:
            return Outcome.OVERLOADED, False
        flight = self._under_way.get(question)
        collapsed = flight is not None
        self.joined += collapsed
        if flight is None:
            if len(self._under_way) >= self._flights_max:
                return Outcome.OVERLOADED, False
            flight = self._start(question)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Outcome] = loop.create_future()
        flight.waiters.add(waiter)
        self.customers_waiting += 1
        timer = loop.call_later(deadline_s, _settle, waiter, Outcome.TIMED_OUT)
        try:
            return await waiter, collapsed
        finally:
            timer.cancel()
            self.customers_waiting -= 1
            flight.waiters.discard(waiter)

    def refresh(self, question: Question) -> None:
        """Start a fetch that no customer waits for, unless one is under way or was just tried, or half of all are."""
        now_s = asyncio.get_running_loop().time()
        if question in self._under_way or 2 * len(self._under_way) >= self._flights_max:
            return
        if now_s < self._next_refresh_s.get(question, now_s):
            return
        if len(self._next_refresh_s) >= REFRESHES_REMEMBERED_MAX:
            self._next_refresh_s.clear()
        self._next_refresh_s[question] = now_s + REFRESH_PAUSE_S
        self._start(question)

    async def aclose(self) -> None:
        """End every fetch; who still waits is told that the service is over its limits."""
        tasks = [flight.task for flight in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, question: Question) -> _Flight:
        flight = _Flight(asyncio.create_task(self._fetch(question)), set())
        self._under_way[question] = flight
        # Not a `finally` in the task: one that is cancelled before its first step would never come to it.
        flight.task.add_done_callback(partial(self._land, question, flight.waiters))
        return flight

    def _land(
        self, question: Question, waiters: set[asyncio.Future[Outcome]], task: asyncio.Task[Outcome]
    ) -> None:
        del self._under_way[question]
        if task.cancelled():
            outcome = Outcome.OVERLOADED
        elif error := task.exception():
            # A fault of ours must cost one question, not a hanging customer: it is told like a silent registry.
            LOGGER.error("a fetch failed in a way that it should have told as an outcome", exc_info=error)
            outcome = Outcome.UNREACHABLE
        else:
            outcome = task.result()
        for waiter in waiters:
            _settle(waiter, outcome)


def _settle(waiter: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not waiter.done():
        waiter.set_result(outcome)
