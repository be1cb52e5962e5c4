"""StatsD against real UDP sockets, and against every address that is none."""

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backendify import metrics
from backendify.metrics import (
    DATAGRAM_BYTES_MAX,
    FETCH_MS_BOUNDS,
    Counters,
    StatsD,
    fetch_bucket,
    lines,
    pack,
    parse_server,
)

NOTHING = Counters(
    hits=0, misses=0, answers_failed=0, fetches=(0,) * (len(FETCH_MS_BOUNDS) + 1), customers_waiting=0
)
LINE = re.compile(r"backendify\.[a-z_]+:[0-9]+\|(c|g|ms(\|@0\.[0-9]+)?)")


class Totals:
    """What a service counts."""

    def __init__(self) -> None:
        self.now = NOTHING

    def read(self) -> Counters:
        return self.now


@pytest.fixture
def totals() -> Totals:
    return Totals()


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listening:
        try:
            listening.bind((request.param, 0))
        except OSError as error:
            pytest.skip(f"no {request.param} here: {error}")
        listening.settimeout(0)
        yield listening


def address_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def fetches(**by_bound: int) -> tuple[int, ...]:
    """`fetches(at_100=3)`: three fetches in the bucket up to 100 ms."""
    wanted = {int(name.removeprefix("at_")): count for name, count in by_bound.items()}
    return (*(wanted.get(bound, 0) for bound in FETCH_MS_BOUNDS), wanted.get(0, 0))


async def received(listening: socket.socket, *, until: str) -> list[str]:
    """Every line up to the first one that begins with `until`."""
    seen: list[str] = []
    async with asyncio.timeout(10):
        while not any(line.startswith(until) for line in seen):
            datagram = await asyncio.get_running_loop().sock_recv(listening, 65_536)
            assert len(datagram) <= DATAGRAM_BYTES_MAX
            seen += datagram.decode().split("\n")
    return seen


async def logged(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(30):
        while not caplog.records:
            await asyncio.sleep(0.01)


async def test_sends_what_the_totals_grew_by(server: socket.socket, totals: Totals) -> None:
    totals.now = replace(NOTHING, hits=1_000_000)
    statsd = StatsD(address_of(server), read=totals.read, interval_s=0.01)
    statsd.start()
    assert set(await received(server, until="backendify.customers_waiting")) == {
        "backendify.customers_waiting:0|g"
    }
    totals.now = Counters(
        hits=1_000_007, misses=3, answers_failed=1, fetches=fetches(at_100=1, at_250=4), customers_waiting=12
    )
    seen = await received(server, until="backendify.customers_waiting:12")
    assert set(seen) - {"backendify.customers_waiting:0|g"} == {
        "backendify.hits:7|c",
        "backendify.misses:3|c",
        "backendify.answers_failed:1|c",
        "backendify.fetch_ms:100|ms",
        "backendify.fetch_ms:250|ms|@0.250000000000",
        "backendify.customers_waiting:12|g",
    }
    await statsd.aclose()


async def test_what_is_left_is_sent_at_the_end(server: socket.socket, totals: Totals) -> None:
    statsd = StatsD(address_of(server), read=totals.read, interval_s=0.01)
    statsd.start()
    await received(server, until="backendify.customers_waiting:0")
    statsd._interval_s = 3_600  # noqa: SLF001 - no tick may come between the count and the end
    await received(server, until="backendify.customers_waiting:0")
    totals.now = replace(NOTHING, misses=9)
    await statsd.aclose()
    assert "backendify.misses:9|c" in await received(server, until="backendify.misses")


def test_five_names_and_no_more() -> None:
    busy = Counters(
        hits=9**15,
        misses=9**15,
        answers_failed=9**15,
        fetches=(9**6,) * (len(FETCH_MS_BOUNDS) + 1),
        customers_waiting=9**5,
    )
    told = list(lines(NOTHING, busy))
    assert all(LINE.fullmatch(line) for line in told)
    assert len({line.partition(":")[0] for line in told}) == 5
    assert sum(map(len, pack(told))) <= DATAGRAM_BYTES_MAX


@pytest.mark.parametrize("bytes_max", [9, 10, 19, 20, 50, 1432])
def test_datagrams_are_full_and_lines_whole(bytes_max: int) -> None:
    told = [f"{number:09d}" for number in range(200)]
    datagrams = list(pack(told, bytes_max=bytes_max))
    assert all(len(datagram) <= bytes_max for datagram in datagrams)
    assert len(datagrams) == -(-len(told) // ((bytes_max + 1) // 10))
    assert "\n".join(datagram.decode() for datagram in datagrams).split("\n") == told


def test_a_sample_rate_gives_the_count_back() -> None:
    for count in (1, 2, 3, 7, 49, 1_000, 99_999, 1_000_000):
        line = next(lines(NOTHING, replace(NOTHING, fetches=fetches(at_800=count))))
        rate = float(line.partition("@")[2] or "1")
        assert round(1 / rate) == count


def test_totals_that_start_anew_are_counted_from_nothing() -> None:
    assert "backendify.hits:4|c" in lines(replace(NOTHING, hits=900), replace(NOTHING, hits=4))


def test_a_gauge_never_has_a_sign() -> None:
    assert list(lines(NOTHING, replace(NOTHING, customers_waiting=-1))) == [
        "backendify.customers_waiting:0|g"
    ]


@pytest.mark.parametrize(
    ("duration_ms", "told_ms"), [(0, 5), (5, 5), (5.1, 10), (899, 1_000), (10_000, 10_000), (60_000, 10_000)]
)
def test_a_fetch_counts_in_the_bucket_above_it(duration_ms: float, told_ms: int) -> None:
    counts = list(NOTHING.fetches)
    counts[fetch_bucket(duration_ms)] += 1
    assert f"backendify.fetch_ms:{told_ms}|ms" in lines(NOTHING, replace(NOTHING, fetches=tuple(counts)))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:8125", ("localhost", 8125)),
        (" 10.0.0.7:1\n", ("10.0.0.7", 1)),
        ("[::1]:65535", ("::1", 65_535)),
        ("stats_d.example:8125", ("stats_d.example", 8125)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_server(text) == address


BAD_TEXTS = [
    "", ":", "localhost", "localhost:", ":8125", "localhost:0", "localhost:65536", "localhost:99999999",
    "localhost:-1", "localhost:http", "::1:8125", "[::1]", "[]:8125", "a b:8125", "udp://localhost:8125",
    "localhost:\N{FULLWIDTH DIGIT EIGHT}", "\0",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_TEXTS)
async def test_a_bad_address_is_one_log_line(
    text: str, totals: Totals, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        parse_server(text)
    statsd = StatsD(text, read=totals.read, interval_s=0.001)
    statsd.start()
    await asyncio.sleep(0.01)
    await statsd.aclose()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("name", ["nowhere.invalid", "x" * 64 + ".example", "a..b", ".example"])
async def test_an_unknown_name_is_one_log_line(
    name: str, totals: Totals, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "ADDRESS_LIFE_S", 0.001)
    statsd = StatsD(f"{name}:8125", read=totals.read, interval_s=0.001)
    statsd.start()
    await logged(caplog)
    await asyncio.sleep(0.05)  # further look-ups fail in silence
    await statsd.aclose()
    assert [
        record.getMessage().startswith(f"cannot reach the StatsD server {name}:8125")
        for record in caplog.records
    ] == [True]


async def test_a_resolver_that_hangs_holds_nobody_up(totals: Totals, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(60) and [])
    statsd = StatsD("slow.example:8125", read=totals.read, interval_s=0.001)
    statsd.start()
    async with asyncio.timeout(5):  # the resolver would take a minute
        await asyncio.sleep(0.01)
        await statsd.aclose()
    release.set()


async def test_a_refusing_port_is_one_log_line_and_heals(
    server: socket.socket, totals: Totals, caplog: pytest.LogCaptureFixture
) -> None:
    address = server.getsockname()
    text = address_of(server)
    server.close()
    statsd = StatsD(text, read=totals.read, interval_s=0.001)
    statsd.start()
    await logged(caplog)
    await asyncio.sleep(0.05)  # fifty more datagrams are refused in silence
    assert len(caplog.records) == 1
    assert "refused" in caplog.records[0].getMessage()
    with socket.socket(server.family, socket.SOCK_DGRAM) as back:
        back.settimeout(0)
        back.bind(address)
        await received(back, until="backendify.customers_waiting")
    await statsd.aclose()


async def test_an_address_without_a_route_is_one_log_line(
    totals: Totals, caplog: pytest.LogCaptureFixture
) -> None:
    statsd = StatsD(
        "255.255.255.255:8125", read=totals.read, interval_s=0.001
    )  # broadcast needs a permission
    statsd.start()
    await logged(caplog)
    await asyncio.sleep(0.02)
    await statsd.aclose()
    assert len(caplog.records) == 1
