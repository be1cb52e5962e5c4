"""The miss path's hands: it asks registries what the rules want asked, and tells them what came of it.

The rules (who joins whom, when to ask, how often, when to give up) are the core's: `rust/core/src/miss.rs`,
`docs/miss-path.md`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from backendify import errors
from backendify._core import App, Outcome, Question, Region
from backendify.lease import Leases
from backendify.metrics import FETCH_BUCKETS, fetch_bucket
from backendify.upstream import Upstream

LOGGER = logging.getLogger(__name__)

OUTCOME_OF: Mapping[type[errors.Unanswered], Outcome] = {
    errors.ConnectFailed: Outcome.CONNECT_FAILED,
    errors.TimedOut: Outcome.TIMED_OUT,
    errors.Reset: Outcome.RESET,
    errors.PoolExhausted: Outcome.NOT_BEGUN,
    errors.BodyTooLarge: Outcome.TOO_LARGE,
    errors.HeadersTooLarge: Outcome.TOO_LARGE,
    errors.BadReply: Outcome.NOT_HTTP,
}


class Asking:
    """Tries under way, one task each. Belongs to the running loop."""

    def __init__(self, upstreams: Sequence[Upstream], region: Region, *, leases: Leases | None) -> None:
        self.fetches_by_duration = [0] * FETCH_BUCKETS
        self._upstreams = upstreams
        self._region = region
        self._leases = leases
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._app: App | None = None

    def serve(self, app: App) -> None:
        """Take this app's work from now on."""
        self._app = app

    def wake(self) -> None:
        """Have :meth:`work` called soon; from any thread, once for as many tries as there are by then."""
        self._loop.call_soon_threadsafe(self.work)

    def work(self) -> None:
        """Begin and end what the rules want, and come again when something is due."""
        if self._app is None:
            return
        tries, abandoned, due_s = self._app.work()
        for try_id in abandoned:
            if task := self._tasks.pop(try_id, None):
                task.cancel()
        take_places = bool(abandoned)
        for try_id, question in tries:
            asking = self._try(self._app, try_id, question, take_places=take_places)
            self._tasks[try_id] = self._loop.create_task(asking)
        # A timer that is early asks again for nothing, which costs less than to set a new one each time.
        if due_s is not None and (self._timer is None or due_s < self._timer.when()):
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_at(due_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.work()

    async def aclose(self) -> None:
        """End what is under way; who still waits is told that the service is over its limits."""
        if self._app is None:
            return
        self._app.close()
        tasks = tuple(self._tasks.values())
        self.work()
        if self._timer:
            self._timer.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(self, app: App, try_id: int, question: Question, *, take_places: bool) -> None:
        """Ask once; whatever happens is an outcome, but for being abandoned, of which nobody wants to hear."""
        if take_places:
            # The sockets of those who make place close in the loop's next turn: the registry sees them go first.
            await asyncio.sleep(0)
        try:
            outcome = await self._learn(question, partial(app.first_byte, try_id))
        except Exception:
            # A fault of ours must cost one question, not a hanging customer: it is told like a broken connection.
            LOGGER.exception("a try failed in a way that it should have told as an outcome")
            outcome = Outcome.RESET
        if self._tasks.pop(try_id, None):
            app.tried(try_id, outcome)
            self.work()

    async def _learn(self, question: Question, on_head: Callable[[], None]) -> Outcome:
        """Ask the registry, or hear from the worker who asks it already."""
        if self._leases is None:
            return await self._ask_and_keep(question, on_head)
        if told := await self._leases.take(question):
            return told
        outcome = Outcome.NOT_BEGUN
        try:
            outcome = await self._ask_and_keep(question, on_head)
        finally:
            self._leases.release(question, outcome)
        return outcome

    async def _ask_and_keep(self, question: Question, on_head: Callable[[], None]) -> Outcome:
        """Ask the registry, and leave what it says where the next request will find it."""
        begun_s = self._loop.time()
        try:
            reply = await self._upstreams[question.registry].ask(question.id, on_head=on_head)
        except errors.Unanswered as error:
            return OUTCOME_OF[type(error)]
        finally:
            self.fetches_by_duration[fetch_bucket((self._loop.time() - begun_s) * 1000)] += 1
        return self._region.keep(
            question, reply.status, reply.content_type, reply.body, retry_after_s=reply.retry_after_s
        )
