"""The operators' listener on real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from backendify.admin import Admin, CacheStats, RegistryStats, Stats, listener
from backendify.admin.prometheus import to_prometheus

STATS = Stats(
    version="1.2.3",
    uptime_s=93_784.5,
    draining=False,
    workers=3,
    hits=90_001,
    misses=10_002,
    collapsed=303,
    stored=9_004,
    answers={200: 98_000, 404: 1_500, 502: 200, 504: 303},
    cache=CacheStats(
        bytes=30_000_000, capacity_bytes=41_943_040, records=777_006, evictions=7, expired=8, oversize=9
    ),
    fetches_running=11,
    fetches_max=468,
    customers_waiting=12,
    registries=(
        RegistryStats(country="ru", asked=6_001, answered=5_990, failed=5, running=6),
        RegistryStats(
            country="us",
            asked=4_002,
            answered=3_000,
            failed=997,
            asked_again=17,
            running=5,
            limit=7,
            queued=3,
            breaker_open=True,
            throttled=41,
            patience_s=0.45,
            paused_for_s=12.5,
        ),
    ),
    rss_bytes=61_000_000,
    memory_limit_bytes=134_217_728,
)


class Service:
    stats = STATS

    def read(self) -> Stats:
        return self.stats


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def admin(service: Service) -> AsyncIterator[Admin]:
    admin = Admin("127.0.0.1", 0, read=service.read)
    await admin.start()
    yield admin
    await admin.aclose()


@pytest.fixture
async def client(admin: Admin) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{admin.port}", trust_env=False) as client:
        yield client


@asynccontextmanager
async def connected(admin: Admin) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection, given ten seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(admin: Admin, request: bytes) -> bytes:
    """Everything the listener says to these bytes."""
    async with connected(admin) as (reader, writer):
        writer.write(request)
        return await reader.read()


PATHS = {
    "/": "text/html; charset=utf-8",
    "/style.css": "text/css; charset=utf-8",
    "/script.js": "text/javascript; charset=utf-8",
    "/metrics": "text/plain; version=0.0.4; charset=utf-8",
    "/stats": "application/json",
    "/healthz": "text/plain; charset=utf-8",
}


@pytest.mark.parametrize("path", PATHS)
async def test_every_path(client: httpx.AsyncClient, path: str) -> None:
    got = await client.get(path)
    assert got.status_code == 200
    assert got.headers["content-type"] == PATHS[path]
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert len(got.content) > 0
    headed = await client.head(path, params={"any": "query"})
    assert headed.status_code == 200
    assert headed.content == b""
    assert headed.headers == got.headers


async def test_stats_are_the_reading_with_its_names(client: httpx.AsyncClient) -> None:
    told = (await client.get("/stats")).json()
    assert told["answers"] == {"200": 98_000, "404": 1_500, "502": 200, "504": 303}
    assert told["cache"]["capacity_bytes"] == 41_943_040
    assert [registry["country"] for registry in told["registries"]] == ["ru", "us"]
    assert set(told) == set(Stats.__dataclass_fields__)


async def test_health_is_of_the_process_also_while_draining(
    service: Service, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/healthz")).text == "serving\n"
    service.stats = replace(STATS, draining=True)
    drained = await client.get("/healthz")
    assert (drained.status_code, drained.text) == (200, "draining\n")


def test_metrics_as_prometheus_reads_them() -> None:
    families = {family.name: family for family in text_string_to_metric_families(to_prometheus(STATS))}
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert all(family.documentation and family.type in {"counter", "gauge"} for family in families.values())
    assert all(name.startswith("backendify_") for name in families)
    assert all(
        sample.name.endswith("_total") == (family.type == "counter")
        for family in families.values()
        for sample in family.samples
    )
    assert samples["backendify_hits_total",] == STATS.hits
    assert samples["backendify_answers_total", "504"] == 303
    assert samples["backendify_cache_records",] == 777_006
    assert samples["backendify_registry_failed_total", "us"] == 997
    assert samples["backendify_registry_asked_again_total", "us"] == 17
    assert samples["backendify_registry_fetches_running", "ru"] == 6
    assert samples["backendify_registry_fetches_limit", "us"] == 7
    assert samples["backendify_registry_queued", "us"] == 3
    assert (
        samples["backendify_registry_breaker_open", "ru"],
        samples["backendify_registry_breaker_open", "us"],
    ) == (0, 1)
    assert samples["backendify_registry_throttled_total", "us"] == 41
    assert samples["backendify_registry_patience_seconds", "us"] == 0.45
    assert samples["backendify_registry_paused_seconds", "us"] == 12.5
    assert samples["backendify_build_info", "1.2.3"] == 1
    assert samples["backendify_uptime_seconds",] == 93_784.5
    assert samples["backendify_memory_limit_bytes",] == 134_217_728


def test_every_number_of_a_reading_is_a_metric() -> None:
    numbers = [number for number in _numbers(json.loads(STATS.to_json())) if not isinstance(number, bool)]
    told = {float(line.rpartition(" ")[2]) for line in to_prometheus(STATS).splitlines() if line[0] != "#"}
    assert [number for number in numbers if number not in told] == []


def _numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for member in value for number in _numbers(member)]
    return [value] if isinstance(value, (int, float)) else []


def test_labels_are_escaped_and_what_is_unknown_is_left_out() -> None:
    text = to_prometheus(
        replace(STATS, version='a"b\\c\nd', answers={}, registries=(), memory_limit_bytes=None)
    )
    (info,) = (
        family for family in text_string_to_metric_families(text) if family.name == "backendify_build_info"
    )
    assert info.samples[0].labels == {"version": 'a"b\\c\nd'}
    assert "memory_limit" not in text
    assert "code=" not in text


@pytest.mark.parametrize(
    "path", ["/company?id=1&country_iso=ru", "/status", "/style.css/", "/page/index.html"]
)
async def test_404(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/%2e%2e/stats.py", "/../stats.py", "/..%2flistener.py", "//", "*"])
async def test_no_path_leads_out(admin: Admin, path: str) -> None:
    assert (await exchange(admin, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())).startswith(
        b"HTTP/1.1 404 "
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
async def test_405(client: httpx.AsyncClient, method: str) -> None:
    got = await client.request(method, "/stats", content=b"x" * 100_000 if method == "POST" else None)
    assert (got.status_code, got.headers["allow"]) == (405, "GET, HEAD")


BAD_REQUESTS = {
    b"GET /stats HTTP/1.1\r\n\r\n": 400,  # RFC 9112 section 3.2: no Host
    b"GET /stats HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": 400,
    b"GET /stats\r\n\r\n": 400,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": 400,  # a TLS client
    b"GET /st\xc3\xa9ts HTTP/1.1\r\nHost: a\r\n\r\n": 400,
    b"GET /stats HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab": 413,
    b"GET /stats HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n": 413,
    b"GET /stats HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n": 413,
    b"GET /stats HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n": 501,
    b"GET /stats HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": 400,
}


@pytest.mark.parametrize("request_bytes", BAD_REQUESTS)
async def test_bad_requests(admin: Admin, client: httpx.AsyncClient, request_bytes: bytes) -> None:
    answer = await exchange(admin, request_bytes)
    assert answer.startswith(f"HTTP/1.1 {BAD_REQUESTS[request_bytes]} ".encode())
    assert (await client.get("/healthz")).status_code == 200


async def test_old_clients_are_served(admin: Admin) -> None:
    answer = await exchange(admin, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nserving\n")


async def test_what_follows_a_request_is_dropped(admin: Admin) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    assert (await exchange(admin, request * 200)).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("pieces", [1, 2, 50])
@pytest.mark.parametrize(("head_bytes", "status"), [(8_192, 200), (8_193, 431), (300_000, 431)])
async def test_a_head_is_bounded_however_it_comes(
    admin: Admin, head_bytes: int, status: int, pieces: int
) -> None:
    frame = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
    head = frame.replace(b"X: ", b"X: " + b"x" * (head_bytes - len(frame)))
    assert len(head) == head_bytes
    size = -(-head_bytes // pieces)
    async with connected(admin) as (reader, writer):
        for start in range(0, head_bytes, size):
            writer.write(head[start : start + size])
            await writer.drain()
            await asyncio.sleep(0.001)
        answer = await reader.read()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


async def test_a_head_byte_by_byte(admin: Admin) -> None:
    async with connected(admin) as (reader, writer):
        for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n":
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")


SLOW = [b"", b"GET /stats HTTP/1.1\r\nHost: a\r\nX: ", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"]


@pytest.mark.parametrize("said", SLOW)
async def test_a_slow_client_is_cut_off(
    admin: Admin, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Who never begins, never ends its head or never closes; a byte now and then buys no time."""
    monkeypatch.setattr(listener, "EXCHANGE_S", 0.2)
    async with connected(admin) as (_, writer):
        writer.write(said)
        with pytest.raises(ConnectionError):
            await drip(writer)
    assert (await client.get("/healthz")).status_code == 200


async def drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_the_17th_connection_is_refused_until_one_leaves(admin: Admin) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    async with AsyncExitStack() as places:
        for _ in range(15):
            await places.enter_async_context(connected(admin))
        async with connected(admin):
            assert (await exchange(admin, b"")).startswith(b"HTTP/1.1 503 ")
        for _ in range(500):  # the listener may see the leaving late
            answer = await exchange(admin, request)
            if not answer.startswith(b"HTTP/1.1 503 "):
                break
            await asyncio.sleep(0.01)
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_taken_port_is_the_callers_business(admin: Admin, service: Service) -> None:
    second = Admin("127.0.0.1", admin.port, read=service.read)
    with pytest.raises(OSError, match="in use"):
        await second.start()
    await second.aclose()


async def test_closing_drops_everybody_and_frees_the_port(service: Service) -> None:
    admin = Admin("127.0.0.1", 0, read=service.read)
    await admin.start()
    port = admin.port
    async with connected(admin) as (reader, writer):
        writer.write(b"GET /stats")
        await asyncio.sleep(0.01)
        await admin.aclose()
        assert await reader.read() == b""
    await admin.aclose()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
