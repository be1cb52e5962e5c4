"""The composition root: region, upstream clients and miss path, behind one ASGI app."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

from backendify import _core
from backendify.admin import CacheStats, RegistryStats, Stats
from backendify.flight import Flights
from backendify.guard import Guard
from backendify.lease import Leases
from backendify.memory import PHYSICAL_MEMORY, Limit, Plan, find_limit, plan, rss_bytes
from backendify.metrics import Counters, StatsD
from backendify.miss import Asking, Registry
from backendify.settings import Settings
from backendify.sweeper import sweep
from backendify.upstream import Upstream, make_transport

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


SERVER_ERROR = 500
SHARE_MIN = 16  # fetches at once that every registry may have, however many registries there are
CACHE_BYTES_UNASKED = 64 << 20  # 1.5 million companies


class Service:
    """One worker's service: made after a fork and inside the running loop, closed by :meth:`aclose`."""

    def __init__(self, settings: Settings, plan: Plan, cache: Path) -> None:
        self.plan = plan
        fetches_max = max(1, min(settings.fetches_max, plan.fetches_max) // settings.workers)
        # A registry that hangs may hold its share of all fetches, and never the others'.
        share_max = max(SHARE_MIN, fetches_max // max(1, len(settings.registries)))
        self.region, found = _core.Region.open(
            os.fspath(cache),
            bytes=plan.region_bytes,
            registries=[(registry.country, registry.url) for registry in settings.registries],
            ttl_ms=settings.ttl_ms,
            negative_ttl_ms=settings.negative_ttl_ms,
            stale_ms=settings.stale_if_error_ms,
        )
        self.cache_line = f"cache: {cache}, {found}"
        self._started_at_s = time.monotonic()
        self._deadline_s = settings.deadline_ms / 1000
        self._transport = make_transport(
            settings.transport, ca_file=settings.registry_ca, connections_max=fetches_max
        )
        self.registries = [
            Registry(
                country=registry.country,
                upstream=Upstream(
                    registry, transport=self._transport, connect_timeout_ms=settings.connect_timeout_ms
                ),
                guard=Guard(concurrency_max=min(settings.registry_concurrency, share_max)),
            )
            for registry in settings.registries
        ]
        self._fetch_timeout_s = settings.fetch_timeout_ms / 1000
        self._asking = Asking(self.registries, self.region, fetch_timeout_s=self._fetch_timeout_s)
        self._leases = Leases(self.region, cache, self._asking.ask_and_keep) if settings.workers > 1 else None
        self.flights = Flights(
            self._fetch, flights_max=fetches_max, waiters_max=max(1, plan.waiters_max // settings.workers)
        )
        self.app = _core.App(
            [registry.country for registry in settings.registries],
            self.region,
            on_miss=self._answer_miss,
            on_refresh=self.flights.refresh if settings.refresh_ahead else None,
            on_lifespan=self._live,
        )
        self._statsd = StatsD(settings.statsd_server, read=self.counters) if settings.statsd_server else None

    def counters(self) -> Counters:
        """Read what StatsD is told."""
        return Counters(
            hits=self.app.hits,
            misses=self.app.misses,
            answers_failed=sum(
                count for status, count in self.app.answers_by_status() if status >= SERVER_ERROR
            ),
            fetches=tuple(self._asking.fetches_by_duration),
            customers_waiting=self.flights.customers_waiting,
        )

    def stats(self) -> Stats:
        """Read what operators are told."""
        found = self.region.stats()
        return Stats(
            version=_core.VERSION,
            uptime_s=time.monotonic() - self._started_at_s,
            draining=self.app.is_draining,
            hits=found["hits"],
            misses=found["misses"],
            collapsed=self.flights.joined,
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
            fetches_running=len(self.flights),
            customers_waiting=self.flights.customers_waiting,
            registries=tuple(
                RegistryStats(
                    country=registry.country,
                    asked=registry.asked,
                    answered=registry.answered,
                    failed=registry.failed,
                    running=registry.guard.running,
                )
                for registry in self.registries
            ),
            rss_bytes=rss_bytes(),
            memory_limit_bytes=self.plan.limit.bytes,
        )

    async def aclose(self) -> None:
        """End the fetches and close every connection to a registry."""
        if self._statsd:
            await self._statsd.aclose()
        await self.flights.aclose()
        if self._leases:
            self._leases.close()
        await self._transport.aclose()

    async def _fetch(self, question: _core.Question) -> _core.Outcome:
        """Learn what a registry says: here, or by the worker who asks it already."""
        if self._leases is None:
            return await self._asking.ask_and_keep(question)
        return await self._leases.ask_once(question, lease_s=self._fetch_timeout_s)

    async def _answer_miss(self, question: _core.Question, send: Send) -> None:
        """Answer what the region could not."""
        outcome, collapsed = await self.flights.join(question, deadline_s=self._deadline_s)
        await self.app.reply(question, outcome, send, collapsed=collapsed)

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI's lifespan: sweep while the server serves, close when it stops."""
        await receive()
        sweeper = asyncio.create_task(sweep(self.region))
        if self._statsd:
            self._statsd.start()
        if self._leases:
            self._leases.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        sweeper.cancel()
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def cache_path(settings: Settings, port: int) -> Path:
    """Name the cache's file: one a port, so that a service finds its own again."""
    return settings.cache_path or Path(tempfile.gettempdir()) / f"backendify-{port}.cache"


def plan_memory(settings: Settings, cache: Path) -> Plan:
    """Share out the limit that is found or given.

    Raises :class:`backendify.memory.NotEnoughMemory`, and OSError for a cache file in no directory.
    """
    limit = Limit(settings.memory_bytes, "--memory") if settings.memory_bytes else find_limit()
    # A machine's whole memory, or its disk, is nobody's to take: the cache grows there only when it is asked to.
    unasked_bytes = CACHE_BYTES_UNASKED if limit.source == PHYSICAL_MEMORY else None
    return plan(
        limit,
        cache_size=settings.cache_bytes or unasked_bytes,
        region_is_memory=_core.is_memory(os.fspath(cache.parent)),
        workers=settings.workers,
    )
