"""A fake registry over HTTP/1.1: `GET {base}/companies/{id}`, as slow and flaky as its behaviour says.

It reads just enough of HTTP for the job: GET requests without bodies, one after the other on a connection.
"""

import asyncio
import json
import re
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import unquote_to_bytes

from backendify.rehearsal.behaviour import Behaviour, Bucket, Outcome, Shape, Turn
from backendify.rehearsal.companies import Company

HEAD_BYTES_MAX: Final = 65_536  # a longer head is cut off

_MEDIA_TYPES: Final = {Shape.V1: "application/x-company-v1", Shape.V2: "application/x-company-v2"}
_MEMBERS: Final = {Shape.V1: ("cn", "closed_on"), Shape.V2: ("company_name", "dissolved_on")}
_HEAD_END: Final = b"\r\n\r\n"
_REQUEST_LINE: Final = re.compile(rb"GET (?P<target>[^ ]+) HTTP/1\.(?P<minor>[01])\r\n")
_CLOSE: Final = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.IGNORECASE)
# One segment: octets that RFC 3986 reserves are encoded, and so are dots when there is nothing else.
_SEGMENT: Final = re.compile(rb"(?!\.+$)(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+")
_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 429: "Too Many Requests"}
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # struct linger: on, 0 s


@dataclass(slots=True)
class Counts:
    """What a registry has seen since it started."""

    requests: int = 0
    """All of them, those for paths it does not have too."""
    by_number: Counter[str] = field(default_factory=Counter)
    """Requests for each company asked for, known or not."""
    strays: Counter[str] = field(default_factory=Counter)
    """Request lines that are no question about a company as it must be written."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Replies sent, by status."""
    hangs: int = 0
    resets: int = 0
    waiting: int = 0
    """Requests unanswered now."""
    waiting_peak: int = 0
    connections: int = 0
    connections_open: int = 0

    @property
    def by_number_max(self) -> int:
        """How often the company that was asked for most was asked for."""
        return max(self.by_number.values(), default=0)


class Registry:
    """A fake registry in this event loop: `async with Registry(…) as registry: registry.url`.

    `behaviour` may be replaced at any time and holds from the next request on.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        companies: Mapping[str, Company],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        base_path: str = "",
    ) -> None:
        self.behaviour = behaviour
        self.companies = companies
        self.counts = Counts()
        self.base_path = base_path.rstrip("/")
        self.connections: set[_Connection] = set()
        self._host, self._port = host, port
        self._bucket = Bucket()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL to configure; the port is known once it has started."""
        return f"http://{self._host}:{self._port}{self.base_path}"

    @property
    def is_listening(self) -> bool:
        """Whether it takes new connections."""
        return self._server is not None and self._server.is_serving()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), self._host, self._port, backlog=1024
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and close every connection, those that hang too. The counts stay."""
        assert self._server, "never started"  # noqa: S101
        self._server.close()
        for connection in tuple(self.connections):
            connection.close()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # the connections count themselves out

    def is_throttled(self, now_s: float) -> bool:
        """Count one request against the rate; True when it is one too many."""
        rate_per_s = self.behaviour.throttle_per_s
        return rate_per_s is not None and not self._bucket.take(rate_per_s, now_s)


class _Connection(asyncio.Protocol):
    """One client: reads a request, answers it, reads the next."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._counts = registry.counts
        self._loop = asyncio.get_running_loop()
        self._unread = b""
        self._is_waiting = False
        self._is_last = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        self._registry.connections.add(self)
        self._counts.connections += 1
        self._counts.connections_open += 1
        if not self._registry.is_listening:  # accepted while the registry was ending
            transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._is_waiting:
            self._counts.waiting -= 1
        self._registry.connections.discard(self)
        self._counts.connections_open -= 1

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._is_waiting:
            self._read()
        if len(self._unread) > HEAD_BYTES_MAX:
            self._transport.abort()

    def _read(self) -> None:
        """Take up the next request, if all of its head is here."""
        head, end, rest = self._unread.partition(_HEAD_END)
        if not end or self._transport.is_closing():
            return
        self._unread = rest
        counts = self._counts
        counts.requests += 1
        counts.waiting += 1
        counts.waiting_peak = max(counts.waiting, counts.waiting_peak)
        self._is_waiting = True
        line = _REQUEST_LINE.match(head + end)
        self._is_last = not line or line["minor"] == b"0" or bool(_CLOSE.search(head + end))
        number = self._number_in(line["target"]) if line else None
        if number is None:
            counts.strays[head.partition(b"\r\n")[0].decode("latin-1")] += 1
            self._reply(404 if line else 405)
            return
        nth = counts.by_number[number]
        counts.by_number[number] += 1
        if self._registry.is_throttled(self._loop.time()):
            self._reply(429, f"Retry-After: {self._registry.behaviour.retry_after_s}\r\n")
            return
        turn = self._registry.behaviour.turn(number, nth)
        if turn.outcome is Outcome.HANG:
            counts.hangs += 1
        elif turn.latency_s:
            self._timer = self._loop.call_later(turn.latency_s, self._take_turn, turn, number)
        else:
            self._take_turn(turn, number)

    def _number_in(self, target: bytes) -> str | None:
        """Find the company asked for: None in any other target, or one that is not written as it must be."""
        prefix = self._registry.base_path.encode() + b"/companies/"
        segment = target.removeprefix(prefix)
        if segment == target or not _SEGMENT.fullmatch(segment):
            return None
        try:
            return unquote_to_bytes(segment).decode()
        except UnicodeDecodeError:
            return None

    def _take_turn(self, turn: Turn, number: str) -> None:
        if turn.outcome is Outcome.RESET:
            self._counts.resets += 1
            reset(self._transport)
        elif turn.outcome is Outcome.ERROR:
            self._reply(500)
        elif company := self._registry.companies.get(number):
            self._reply(200, f"Content-Type: {_MEDIA_TYPES[turn.shape]}\r\n", written(company, turn))
        else:
            self._reply(404)

    def _reply(self, status: int, headers: str = "", body: bytes = b"") -> None:
        self._counts.statuses[status] += 1
        self._counts.waiting -= 1
        self._is_waiting = False
        if self._is_last:
            headers += "Connection: close\r\n"
        reason = _REASONS.get(status, "")
        head = f"HTTP/1.1 {status} {reason}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)
        if self._is_last:
            self._transport.close()
        elif self._unread:
            self._loop.call_soon(
                self._read
            )  # not at once: pipelined requests would nest as deep as they are many


def written(company: Company, turn: Turn) -> bytes:
    """Write a company as a registry of that shape does, with a member that nobody asked for."""
    name, closed_on = _MEMBERS[turn.shape]
    members: dict[str, str | None] = {"tin": company.number, name: company.name}
    if company.closing or turn.says_null:
        members[closed_on] = company.closed_on
    return json.dumps(members, ensure_ascii=turn.is_ascii).encode()


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection with TCP's RST."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101
    transport.abort()
