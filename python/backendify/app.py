"""The composition root: region, upstream clients and miss path, behind one ASGI app."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from backendify import _core
from backendify.admin import CacheStats, RegistryStats, Stats
from backendify.cache_file import Place, look_at
from backendify.lease import Leases
from backendify.memory import (
    PHYSICAL_MEMORY,
    REGION_BYTES_MAX,
    ROOT,
    Limit,
    Plan,
    at_most,
    find_limit,
    plan,
    rss_bytes,
)
from backendify.metrics import Counters, StatsD
from backendify.miss import Asking
from backendify.settings import Settings
from backendify.sweeper import sweep
from backendify.upstream import Upstream, make_transport

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


SERVER_ERROR = 500
CACHE_BYTES_UNASKED = 64 << 20  # 1.5 million companies
FREE_PERCENT = 75  # of what is free where the file is: it is others' too


class Service:
    """One worker's service: made after a fork and inside the running loop, closed by :meth:`aclose`."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        cache: Path,
        *,
        ledger: _core.Ledger | None = None,
        found: str | None = None,
    ) -> None:
        """`ledger` is this worker's of what several keep together; without one it asks as if it were alone.

        `found` is what the cache was before the workers began, when somebody has looked.
        """
        self.plan = plan
        self.region, found_now = open_region(settings, plan, cache)
        self.cache_line = f"cache: {cache}, {found or found_now}"
        self._started_at_s = time.monotonic()
        self._transport = make_transport(
            settings.transport, ca_file=settings.registry_ca, connections_max=plan.fetches_max
        )
        self._upstreams = [
            Upstream(registry, transport=self._transport, connect_timeout_ms=settings.connect_timeout_ms)
            for registry in settings.registries
        ]
        self._leases = (
            Leases(self.region, cache, lease_s=settings.fetch_timeout_ms / 1000)
            if settings.workers > 1
            else None
        )
        self._asking = Asking(self._upstreams, self.region, leases=self._leases)
        self._workers = settings.workers
        self._fetches_max = min(settings.fetches_max, plan.fetches_max)
        self._countries = [registry.country for registry in settings.registries]
        self.app = _core.App(
            self._countries,
            self.region,
            policy={
                "deadline_ms": settings.deadline_ms,
                "fetch_timeout_ms": settings.fetch_timeout_ms,
                "tries_max": settings.tries,
                "fetches_max": self._fetches_max,
                "waiters_max": plan.waiters_max,
                "concurrency_max": settings.registry_concurrency,
                "workers": settings.workers,
            },
            refreshes_ahead=settings.refresh_ahead,
            wake=self._asking.wake,
            on_miss=self._answer_miss,
            on_lifespan=self._live,
            client_limit=(settings.client_rate, settings.client_header, settings.trusted_proxies)
            if settings.client_rate
            else None,
            ledger=ledger,
        )
        self._asking.serve(self.app)
        self._statsd = StatsD(settings.statsd_server, read=self.counters) if settings.statsd_server else None
        self._sweeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin what goes on beside the requests; once, before the first of them."""
        self._sweeper = asyncio.create_task(sweep(self.region, is_memory=self.plan.region_is_memory))
        if self._statsd:
            self._statsd.start()
        if self._leases:
            self._leases.start()

    def counters(self) -> Counters:
        """Read what StatsD is told."""
        return Counters(
            hits=self.app.hits,
            misses=self.app.misses,
            answers_failed=sum(
                count for status, count in self.app.answers_by_status() if status >= SERVER_ERROR
            ),
            fetches=tuple(self._asking.fetches_by_duration),
            customers_waiting=self.app.miss_stats()["waiters"],
        )

    def stats(self) -> Stats:
        """Read what operators are told."""
        found = self.region.stats()
        missing = self.app.miss_stats()
        return Stats(
            version=_core.VERSION,
            uptime_s=time.monotonic() - self._started_at_s,
            draining=self.app.is_draining,
            workers=self._workers,
            hits=found["hits"],
            misses=found["misses"],
            collapsed=missing["joined"],
            stored=found["stores"],
            answers={status: count for status, count in self.app.answers_by_status() if count},
            cache=CacheStats(
                bytes=found["bytes"],
                capacity_bytes=found["bytes_capacity"],
                records=found["records"],
                evictions=found["evictions"],
                expired=found["expired"],
                oversize=found["oversize"],
            ),
            fetches_running=missing["fetches"],
            fetches_max=self._fetches_max,
            customers_waiting=missing["waiters"],
            registries=tuple(
                RegistryStats(
                    country=country,
                    asked=int(counts["tries"]),
                    asked_again=upstream.asked_again,
                    answered=int(counts["answered"]),
                    failed=int(counts["failed"]),
                    running=int(counts["running"]),
                    limit=int(counts["limit"]),
                    queued=int(counts["queued"]),
                    breaker_open=bool(counts["open"]),
                    throttled=int(counts["throttled"]),
                    patience_s=counts["patience_s"],
                    paused_for_s=counts["paused_for_s"],
                )
                for country, counts, upstream in zip(
                    self._countries, self.app.registry_stats(), self._upstreams, strict=True
                )
            ),
            rss_bytes=rss_bytes(),
            memory_limit_bytes=self.plan.limit.bytes,
        )

    async def aclose(self) -> None:
        """End the fetches and close every connection to a registry."""
        if self._sweeper:
            self._sweeper.cancel()
        if self._statsd:
            await self._statsd.aclose()
        await self._asking.aclose()
        if self._leases:
            self._leases.close()
        await self._transport.aclose()

    async def _answer_miss(self, question: _core.Question, send: Send) -> None:
        """Answer what the region could not, for a server without a lane."""
        told: asyncio.Future[tuple[Message, Message]] = asyncio.get_running_loop().create_future()
        self.app.ask(question, told)
        self._asking.work()
        head, body = await told
        await send(head)
        await send(body)

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI's lifespan: start with the server, close when it stops."""
        await receive()
        self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def open_region(settings: Settings, plan: Plan, cache: Path) -> tuple[_core.Region, str]:
    """Open the cache: (region, what was found). Raises :class:`_core.RegionError`."""
    return _core.Region.open(
        os.fspath(cache),
        bytes=plan.region_bytes,
        registries=[(registry.country, registry.url) for registry in settings.registries],
        ttl_ms=settings.ttl_ms,
        negative_ttl_ms=settings.negative_ttl_ms,
        stale_ms=settings.stale_if_error_ms,
    )


def plan_memory(settings: Settings, cache: Path, root: Path = ROOT) -> Plan:
    """Share out the lower of what is found and what is asked for; `root` is where the kernel's own files are.

    Raises :class:`backendify.memory.NotEnoughMemory`, and OSError for a cache file that could not be.
    """
    return plan_at(look_at(cache), find_limit(root), settings)


def plan_at(place: Place, limit: Limit, settings: Settings) -> Plan:
    """Share out what was found."""
    if place.is_memory:
        # The plan has it as the cache, whether it is there already or not.
        limit = replace(limit, held_bytes=max(0, limit.held_bytes - place.taken_bytes))
    auto_bytes_max = REGION_BYTES_MAX
    # A machine's whole memory, or its disk, is nobody's to take: the cache grows there only when it is asked to.
    if limit.source == PHYSICAL_MEMORY and not settings.memory_bytes:
        auto_bytes_max = CACHE_BYTES_UNASKED
    if place.free_bytes is not None:
        auto_bytes_max = min(auto_bytes_max, place.free_bytes * FREE_PERCENT // 100)
    return plan(
        at_most(limit, settings.memory_bytes) if settings.memory_bytes else limit,
        cache_size=settings.cache_bytes,
        auto_bytes_max=auto_bytes_max,
        file_bytes=place.file_bytes,
        region_is_memory=place.is_memory,
        workers=settings.workers,
    )
