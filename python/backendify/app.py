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
from backendify.lease import Leases
from backendify.memory import PHYSICAL_MEMORY, Limit, Plan, find_limit, plan, rss_bytes
from backendify.metrics import Counters, StatsD
from backendify.miss import Asking
from backendify.settings import Settings
from backendify.sweeper import ROUND_ON_DISK_S, ROUND_S, sweep
from backendify.upstream import Upstream, make_transport

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


SERVER_ERROR = 500
CACHE_BYTES_UNASKED = 64 << 20  # 1.5 million companies


class Service:
    """One worker's service: made after a fork and inside the running loop, closed by :meth:`aclose`."""

    def __init__(
        self, settings: Settings, plan: Plan, cache: Path, *, ledger: _core.Ledger | None = None
    ) -> None:
        """`ledger` is this worker's of what several keep together; without one it asks as if it were alone."""
        self.plan = plan
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
        self._countries = [registry.country for registry in settings.registries]
        self.app = _core.App(
            self._countries,
            self.region,
            policy={
                "deadline_ms": settings.deadline_ms,
                "fetch_timeout_ms": settings.fetch_timeout_ms,
                "tries_max": settings.tries,
                "fetches_max": min(settings.fetches_max, plan.fetches_max),
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
        round_s = ROUND_S if self.plan.region_is_memory else ROUND_ON_DISK_S
        self._sweeper = asyncio.create_task(sweep(self.region, round_s=round_s))
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
