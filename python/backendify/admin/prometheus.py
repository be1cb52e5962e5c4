"""A reading as Prometheus text, exposition format 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format; names by
https://prometheus.io/docs/practices/naming/: base units, and `_total` at the end of what only grows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from backendify.admin.stats import Stats

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Mapping[str, float]
    """Values by label set, such as `{code="200"}`; the empty text is no label."""


def to_prometheus(stats: Stats) -> str:
    """Write a reading in the text format."""
    return "".join(_lines(stats))


def _lines(stats: Stats) -> Iterator[str]:
    for metric in (*_service(stats), *_cache(stats), *_registries(stats)):
        yield f"# HELP backendify_{metric.name} {metric.help}\n"
        yield f"# TYPE backendify_{metric.name} {metric.kind}\n"
        for labels, value in metric.samples.items():
            yield f"backendify_{metric.name}{labels} {value}\n"


def _service(stats: Stats) -> Iterator[_Metric]:
    version = f'{{version="{_escape(stats.version)}"}}'
    yield _Metric("build_info", "gauge", "Always 1; says which version runs.", {version: 1})
    yield _gauge("uptime_seconds", "Time since the service began to serve.", round(stats.uptime_s, 3))
    yield _gauge("draining", "1 while the service is stopping.", int(stats.draining))
    yield _gauge("workers", "Worker processes that share the port and the cache.", stats.workers)
    yield _counter("hits_total", "Company questions answered from the cache.", stats.hits)
    yield _counter("misses_total", "Company questions that had to wait for a registry.", stats.misses)
    yield _counter(
        "collapsed_total", "Misses of this worker that joined a fetch already under way.", stats.collapsed
    )
    yield _counter("stored_total", "Answers put into the cache.", stats.stored)
    answers = {f'{{code="{code}"}}': count for code, count in sorted(stats.answers.items())}
    yield _Metric("answers_total", "counter", "Answers given by this worker, by status code.", answers)
    yield _gauge(
        "fetches_running", "Fetches of this worker under way, over all registries.", stats.fetches_running
    )
    yield _gauge(
        "fetches_max", "So many requests of all workers to registries may run at once.", stats.fetches_max
    )
    yield _gauge(
        "customers_waiting", "Customers of this worker who wait for a registry.", stats.customers_waiting
    )
    yield _gauge("resident_memory_bytes", "Resident memory of the process.", stats.rss_bytes)
    if stats.memory_limit_bytes is not None:
        yield _gauge("memory_limit_bytes", "The limit planned by.", stats.memory_limit_bytes)


def _cache(stats: Stats) -> Iterator[_Metric]:
    cache = stats.cache
    yield _gauge("cache_bytes", "Bytes taken by what is kept.", cache.bytes)
    yield _gauge("cache_capacity_bytes", "Bytes that the cache may take.", cache.capacity_bytes)
    yield _gauge("cache_records", "Answers kept.", cache.records)
    yield _counter("cache_evictions_total", "Fresh answers that had to make room.", cache.evictions)
    yield _counter("cache_expired_total", "Answers cleared because their time had passed.", cache.expired)
    yield _counter("cache_oversize_total", "Answers too long to be kept.", cache.oversize)


def _registries(stats: Stats) -> Iterator[_Metric]:
    by_country = {f'{{country="{_escape(registry.country)}"}}': registry for registry in stats.registries}
    for name, text in (
        ("asked", "Fetches begun by this worker."),
        ("answered", "Fetches of this worker that brought a company or a 404."),
        ("failed", "Fetches of this worker that brought neither."),
        ("throttled", "Fetches of this worker that were told 429; they are among the failed."),
        ("asked_again", "Requests sent once more, as their kept connection had been closed already."),
    ):
        samples = {labels: getattr(registry, name) for labels, registry in by_country.items()}
        yield _Metric(f"registry_{name}_total", "counter", text, samples)
    for name, metric, text in (
        ("running", "registry_fetches_running", "Fetches under way, of all workers."),
        ("limit", "registry_fetches_limit", "How many fetches of all workers may run at the moment."),
        ("queued", "registry_queued", "Questions of this worker that wait for room."),
        ("breaker_open", "registry_breaker_open", "1 while the registry is away and not asked."),
    ):
        samples = {labels: int(getattr(registry, name)) for labels, registry in by_country.items()}
        yield _Metric(metric, "gauge", text, samples)
    for name, metric, text in (
        (
            "patience_s",
            "registry_patience_seconds",
            "When this worker begins a second try beside a slow one.",
        ),
        (
            "paused_for_s",
            "registry_paused_seconds",
            "For how long no worker will ask, as Retry-After wished.",
        ),
    ):
        moments = {labels: getattr(registry, name) for labels, registry in by_country.items()}
        yield _Metric(metric, "gauge", text, moments)


def _counter(name: str, text: str, value: float) -> _Metric:
    return _Metric(name, "counter", text, {"": value})


def _gauge(name: str, text: str, value: float) -> _Metric:
    return _Metric(name, "gauge", text, {"": value})


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
