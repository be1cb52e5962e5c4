"""Join: one fetch a question, however many customers wait for it, and none of them can end it.

A customer waits for a flight until his own deadline; the flight goes on without him, so that his retry hits
(the singleflight of Go's groupcache, with the two clocks kept apart).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from backendify._core import Outcome, Question

LOGGER = logging.getLogger(__name__)
REFRESH_PAUSE_S = 2.0  # a question whose refresh failed is not refreshed again before
REFRESHES_REMEMBERED_MAX = 4096


class Flights:
    """The fetches under way: at most `flights_max`, one a question.

    `fetch` asks and keeps; it runs as a task of its own, bounds its own time, and tells failures as outcomes.
    """

    def __init__(self, fetch: Callable[[Question], Awaitable[Outcome]], *, flights_max: int) -> None:
        self._fetch = fetch
        self._flights_max = flights_max
        self._waiters: dict[Question, set[asyncio.Future[Outcome]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_refresh_s: dict[Question, float] = {}

    def __len__(self) -> int:
        """How many fetches are under way."""
        return len(self._waiters)

    @property
    def customers_waiting(self) -> int:
        """How many customers wait for them."""
        return sum(map(len, self._waiters.values()))

    async def join(self, question: Question, *, deadline_s: float) -> tuple[Outcome, bool]:
        """Wait for a question's outcome, at most `deadline_s` seconds: (outcome, was a fetch under way already?)."""
        waiters = self._waiters.get(question)
        collapsed = waiters is not None
        if waiters is None:
            if len(self._waiters) >= self._flights_max:
                return Outcome.OVERLOADED, False
            waiters = self._start(question)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Outcome] = loop.create_future()
        waiters.add(waiter)
        timer = loop.call_later(deadline_s, _settle, waiter, Outcome.TIMED_OUT)
        try:
            return await waiter, collapsed
        finally:
            timer.cancel()
            waiters.discard(waiter)

    def refresh(self, question: Question) -> None:
        """Start a fetch that no customer waits for, unless one is under way or was just tried, or half of all are."""
        now_s = asyncio.get_running_loop().time()
        if question in self._waiters or 2 * len(self._waiters) >= self._flights_max:
            return
        if now_s < self._next_refresh_s.get(question, now_s):
            return
        if len(self._next_refresh_s) >= REFRESHES_REMEMBERED_MAX:
            self._next_refresh_s.clear()
        self._next_refresh_s[question] = now_s + REFRESH_PAUSE_S
        self._start(question)

    async def aclose(self) -> None:
        """End every fetch; who still waits is told that the service is over its limits."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, question: Question) -> set[asyncio.Future[Outcome]]:
        waiters = self._waiters[question] = set()
        # The loop holds tasks weakly: without this set a fetch could vanish half-way.
        task = asyncio.create_task(self._fly(question, waiters))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return waiters

    async def _fly(self, question: Question, waiters: set[asyncio.Future[Outcome]]) -> None:
        outcome = Outcome.OVERLOADED
        try:
            outcome = await self._fetch(question)
        except Exception:
            # A fault of ours must cost one question, not a hanging customer: it is told like a silent registry.
            LOGGER.exception("a fetch failed in a way that it should have told as an outcome")
            outcome = Outcome.UNREACHABLE
        finally:
            del self._waiters[question]
            for waiter in waiters:
                _settle(waiter, outcome)


def _settle(waiter: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not waiter.done():
        waiter.set_result(outcome)
