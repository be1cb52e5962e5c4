"""What operators may know of a running service, at one moment."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """The cache: what it holds, and totals of what it let go."""

    bytes: int
    """Bytes taken by what is kept."""
    capacity_bytes: int
    records: int
    evictions: int
    """Answers that were still fresh and had to make room."""
    expired: int
    """Answers that were cleared because their time had passed."""
    oversize: int
    """Answers too long to be kept; they were given all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryStats:
    """One registry: totals of fetches, and those that are under way; this worker's own unless it says otherwise."""

    country: str
    """Two lower-case letters."""
    asked: int
    answered: int
    """Fetches that brought a company or a 404."""
    failed: int
    """Fetches that brought neither."""
    running: int
    """Those under way, of all workers."""
    asked_again: int = 0
    """Requests beside the fetches: sent once more, as their kept connection had been closed already."""
    limit: int = 0
    """How many of all workers may run at the moment: it adapts to what the registry bears."""
    queued: int = 0
    """Questions that wait for room."""
    breaker_open: bool = False
    """Whether the registry is away for all workers, and its customers are refused at once."""
    throttled: int = 0
    """Fetches that were told 429; they are among the failed."""
    patience_s: float = 0.0
    """When a second try begins beside one that is slow."""
    paused_for_s: float = 0.0
    """For how long no worker will ask it, as its `Retry-After` wished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One reading: totals since the service's start unless the name says otherwise.

    Hits, misses, what was stored and the cache are of all workers. The rest is of the one that serves the
    listener, the first, unless it says otherwise.
    """

    version: str
    uptime_s: float
    draining: bool
    workers: int
    """How many there are."""
    hits: int
    """Company questions answered from the cache."""
    misses: int
    """Company questions that had to wait for a registry."""
    collapsed: int
    """Misses that joined a fetch already under way."""
    stored: int
    """Answers put into the cache."""
    answers: Mapping[int, int]
    """Answers given, by status code."""
    cache: CacheStats
    fetches_running: int
    """Over all registries."""
    fetches_max: int
    """So many requests of all workers to registries may run at once."""
    customers_waiting: int
    registries: tuple[RegistryStats, ...]
    rss_bytes: int
    """Resident memory of this process, shared pages included."""
    memory_limit_bytes: int | None = None
    """The limit that the service plans by; none when there is none."""

    def to_json(self) -> str:
        """Write these names and units as JSON; `answers` has the status codes as strings."""
        return json.dumps(asdict(self), separators=(",", ":"))
