"""StatsD: five names over UDP, sent once a second from counters that run anyway.

| name | type | meaning |
|---|---|---|
| `backendify.hits` | c | company questions answered from the cache |
| `backendify.misses` | c | company questions that had to wait for a registry |
| `backendify.answers_failed` | c | answers with a 5xx status |
| `backendify.fetch_ms` | ms | how long a registry took, from the first try to the end of the fetch |
| `backendify.customers_waiting` | g | customers who wait for a registry just now |

A request pays nothing for this: the sender reads totals and sends what they grew by. Nothing here waits
for the network, and nothing that the network does is an error: the first trouble is one log line, the rest
is silence.
"""

import asyncio
import logging
import re
import socket
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from backendify.resolver import look_up

LOGGER = logging.getLogger(__name__)

DATAGRAM_BYTES_MAX: Final = (
    1432  # an Ethernet frame without fragments, whatever the headers (StatsD's own advice)
)
INTERVAL_S: Final = 1.0
ADDRESS_LIFE_S: Final = 60.0  # a name is looked up again: StatsD servers in clusters move

FETCH_MS_BOUNDS: Final = (
    *(5, 10, 20, 35, 50, 75, 100, 150, 200, 250, 300, 400, 500, 650, 800),
    *(1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000),
)
"""Upper bounds of the buckets in which fetches are counted, in milliseconds; one more is for the slower."""

FETCH_BUCKETS: Final = len(FETCH_MS_BOUNDS) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What is sent: totals since any moment, which only grow, and one gauge."""

    hits: int
    misses: int
    answers_failed: int
    fetches: tuple[int, ...]
    """Fetches that ended, by duration: a total for each bucket of `FETCH_MS_BOUNDS`, one for the slower."""
    customers_waiting: int


def fetch_bucket(duration_ms: float) -> int:
    """In which place of `Counters.fetches` a fetch of this duration counts."""
    return bisect_left(FETCH_MS_BOUNDS, duration_ms)


def parse_server(text: str) -> tuple[str, int]:
    """Read `host:port` or `[::1]:port`; :class:`ValueError` says what is wrong."""
    match = re.fullmatch(r"(?:\[([^\[\]\s]+)\]|([^\[\]:\s]+)):([0-9]{1,5})", text.strip())
    if match is None or not 0 < int(match[3]) <= 65_535:  # noqa: PLR2004 - UDP's last port
        message = f"{text!r} is no StatsD server: expected host:port, such as localhost:8125 or [::1]:8125"
        raise ValueError(message)
    return match[1] or match[2], int(match[3])


class StatsD:
    """Sends to `server` (`host:port`) what the totals that `read` gives grew by, every `interval_s` seconds.

    Whatever `server` is, :meth:`start` and :meth:`aclose` succeed: a wrong, unknown or unreachable one is
    logged once.
    """

    def __init__(self, server: str, *, read: Callable[[], Counters], interval_s: float = INTERVAL_S) -> None:
        self._server = server
        self._read = read
        self._interval_s = interval_s
        self._sent: Counters | None = None
        self._socket: socket.socket | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._complained = False

    def start(self) -> None:
        """Begin, in the running loop; what was counted before is never sent."""
        try:
            host, port = parse_server(self._server)
        except ValueError as error:
            self._complain(str(error))
            return
        self._sent = self._read()
        self._tasks = [asyncio.create_task(self._follow(host, port)), asyncio.create_task(self._send_on())]

    async def aclose(self) -> None:
        """Send what is left and end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._socket is not None:
            self._send()
            self._socket.close()
            self._socket = None

    async def _follow(self, host: str, port: int) -> None:
        """Keep a socket that is connected to where the name points now."""
        while True:
            try:
                fresh = _connect(await look_up(host, port, kind=socket.SOCK_DGRAM))
            except (OSError, UnicodeError, RuntimeError) as error:  # no name for IDNA; no thread to be had
                self._complain(f"cannot reach the StatsD server {self._server}: {error}")
            else:
                if self._socket is not None:
                    self._socket.close()
                self._socket = fresh
            await asyncio.sleep(ADDRESS_LIFE_S)

    async def _send_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            self._send()

    def _send(self) -> None:
        before, self._sent = self._sent, self._read()
        if self._socket is None or before is None:
            return
        for datagram in pack(lines(before, self._sent)):
            try:
                self._socket.send(datagram)
            except BlockingIOError:
                pass  # the kernel's buffer is full: metrics may be lost, requests may not wait
            except OSError as error:  # such as the ICMP "port unreachable" that answered an earlier datagram
                self._complain(f"cannot reach the StatsD server {self._server}: {error}")

    def _complain(self, message: str) -> None:
        if not self._complained:
            self._complained = True
            LOGGER.warning("%s", message)


def lines(before: Counters, now: Counters) -> Iterator[str]:
    """Tell what happened between two readings, in StatsD's words.

    Fetches are one line for each bucket: its upper bound, with the sample rate that makes the server count it
    as often as there were fetches. So percentiles are right to the bucket, and load does not move the cost.
    """
    for name in ("hits", "misses", "answers_failed"):
        if count := _growth(getattr(before, name), getattr(now, name)):
            yield f"backendify.{name}:{count}|c"
    bounds = (*FETCH_MS_BOUNDS, FETCH_MS_BOUNDS[-1])
    for bound_ms, total_before, total in zip(bounds, before.fetches, now.fetches, strict=True):
        if count := _growth(total_before, total):
            rate = "" if count == 1 else f"|@{1 / count:.12f}"  # no exponents: etsy's StatsD reads none
            yield f"backendify.fetch_ms:{bound_ms}|ms{rate}"
    # A gauge with a sign would be a change, not a value.
    yield f"backendify.customers_waiting:{max(0, now.customers_waiting)}|g"


def pack(texts: Iterable[str], *, bytes_max: int = DATAGRAM_BYTES_MAX) -> Iterator[bytes]:
    """Join lines into datagrams of at most `bytes_max` bytes; a line is never split."""
    datagram = b""
    for text in texts:
        line = text.encode()
        if datagram and len(datagram) + 1 + len(line) > bytes_max:
            yield datagram
            datagram = b""
        datagram = datagram + b"\n" + line if datagram else line
    if datagram:
        yield datagram


def _growth(before: int, now: int) -> int:
    """How much a total grew; one that fell was started anew, from nothing."""
    return now - before if now >= before else now


def _connect(found: list[tuple[Any, ...]]) -> socket.socket:
    """Make a datagram socket for the first address that this machine has a route to.

    IPv4 comes first: `localhost` has both, most StatsD servers listen on IPv4 alone, and UDP does not tell.
    """
    trouble: OSError | None = None
    for family, kind, protocol, _, address in sorted(found, key=lambda row: row[0] != socket.AF_INET):
        try:
            datagrams = socket.socket(family, kind, protocol)
        except OSError as error:
            trouble = error
            continue
        try:
            datagrams.settimeout(0)
            datagrams.connect(address)
        except OSError as error:
            datagrams.close()
            trouble = error
        else:
            return datagrams
    raise trouble or OSError("the name has no address")
