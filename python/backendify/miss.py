"""The miss path: join -> allow -> ask -> keep -> answer."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence

from backendify import errors
from backendify._core import Outcome, Question, Region
from backendify.guard import Guard
from backendify.metrics import FETCH_BUCKETS, fetch_bucket
from backendify.upstream import Upstream

OUTCOME_OF: Mapping[type[errors.Unanswered], Outcome] = {
    errors.ConnectFailed: Outcome.UNREACHABLE,
    errors.TimedOut: Outcome.TIMED_OUT,
    errors.Reset: Outcome.UNREACHABLE,
    errors.PoolExhausted: Outcome.OVERLOADED,
    errors.BodyTooLarge: Outcome.TOO_LARGE,
    errors.HeadersTooLarge: Outcome.TOO_LARGE,
    errors.BadReply: Outcome.NOT_HTTP,
}


@dataclasses.dataclass(slots=True)
class Registry:
    """One country's registry, as the miss path sees it: how to ask, whether to, and how it went so far."""

    country: str
    upstream: Upstream
    guard: Guard
    asked: int = 0
    answered: int = 0
    failed: int = 0


class Asking:
    """Asks registries and leaves their answers where the next request will find them."""

    def __init__(self, registries: Sequence[Registry], region: Region, *, fetch_timeout_s: float) -> None:
        self.registries = registries
        self._region = region
        self._fetch_timeout_s = fetch_timeout_s
        self.fetches_by_duration = [0] * FETCH_BUCKETS

    async def ask_and_keep(self, question: Question) -> Outcome:
        """Ask the question's registry once; every failure is an outcome, never an exception."""
        registry = self.registries[question.registry]
        guard = registry.guard
        now_s = asyncio.get_running_loop().time
        if refusal := guard.refusal(now_s()):
            return refusal
        guard.running += 1
        registry.asked += 1
        begun_s = now_s()
        try:
            reply = await registry.upstream.ask(question.id, deadline_s=self._fetch_timeout_s)
        except errors.Unanswered as error:
            registry.failed += 1
            return OUTCOME_OF[type(error)]
        finally:
            guard.running -= 1
            self.fetches_by_duration[fetch_bucket((now_s() - begun_s) * 1000)] += 1
        if reply.status in {429, 503}:
            guard.pause(reply.retry_after_s, now_s())
        outcome = self._region.keep(question, reply.status, reply.content_type, reply.body)
        if outcome.is_fact:
            registry.answered += 1
        else:
            registry.failed += 1
        return outcome
