"""GETs over kept-alive HTTP/1.1 connections: a transport for httpx that does little, and does that fast.

Sockets and TLS are asyncio's, parsing is llhttp's (by httptools), requests and replies are httpx's; ours
are the bounded pool and `connection.py`. The request target is `request.extensions["target"]`, written as
it is; httpx's own transport reads the same key. `docs/decisions/0001-upstream-transport.md` compares it
with others.
"""

import asyncio
import ssl
from typing import Final

import httpx

from backendify.connection import READ_BYTES, Connection, Origin, Unheard
from backendify.resolver import Resolver

IDLE_CONNECTIONS_MAX: Final = 64  # kept per registry
IDLE_S: Final = (
    15.0  # kept for so long; many servers close after 20 to 75 s, and the first to close wins no race
)
STALE_S: Final = (
    0.05  # what had been closed shows in a round trip, which connecting took too, and so much for us
)


def _nobody_counts() -> None: ...


class GetTransport(httpx.AsyncBaseTransport):
    """Sends GETs, at most `connections_max` at once, and keeps idle connections for the next.

    A kept connection that is lost before a reply, and within what connecting took and `STALE_S`, had been
    closed already: it is replaced, once, and `request.extensions["on_asked_again"]` is called. A later loss
    is the try's end, for whoever counts tries to judge.

    Belongs to the event loop that first uses it; follows no redirect, decodes nothing, reads no
    environment. Of httpx's `timeout` extension it obeys `connect` (look-up, TCP and TLS together); the rest
    is the caller's: a cancelled request closes its socket at once. Raises httpx's exceptions, `PoolTimeout`
    when full.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext,
        connections_max: int,
        idle_max: int = IDLE_CONNECTIONS_MAX,
        idle_s: float = IDLE_S,
        stale_s: float = STALE_S,
    ) -> None:
        self._ssl_context = ssl_context
        self._connections_max = connections_max
        self._idle_max = idle_max
        self._idle_s = idle_s
        self.stale_s = stale_s
        self._connecting = 0
        self._resolver = Resolver()
        self._open: set[Connection] = set()
        self._idle: dict[Origin, list[Connection]] = {}  # the longest idle first
        self._expiry: asyncio.TimerHandle | None = None
        self._closed = False
        # One buffer for all connections: what was read is parsed before the loop reads again.
        self._read_buffer = memoryview(bytearray(READ_BYTES))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return when the head of its reply is whole. The caller closes the response."""
        if request.method != "GET":
            raise httpx.UnsupportedProtocol(f"only GET is spoken here, not {request.method}")
        url = request.url
        origin = (url.scheme, url.host, url.port)
        message = message_of(request)
        kept = self._take(origin)
        if kept is not None:
            loop = asyncio.get_running_loop()
            stale_until_s = loop.time() + kept.connected_in_s + self.stale_s
            try:
                return await kept.exchange(message)
            except Unheard:
                if loop.time() >= stale_until_s:
                    raise
            request.extensions.get("on_asked_again", _nobody_counts)()
        connect_timeout_s = request.extensions.get("timeout", {}).get("connect")
        connection = await self._connect(origin, connect_timeout_s)
        return await connection.exchange(message)

    async def aclose(self) -> None:
        """Close every connection, those in use too."""
        self._closed = True
        self._resolver.close()
        if self._expiry is not None:
            self._expiry.cancel()
        for connection in tuple(self._open):
            connection.abort()
        await asyncio.sleep(0)  # the loop closes aborted sockets in its next turn

    async def _connect(self, origin: Origin, timeout_s: float | None) -> Connection:
        if len(self._open) + self._connecting >= self._connections_max and not self._close_an_idle_one():
            raise httpx.PoolTimeout(f"all {self._connections_max} connections are in use")
        self._connecting += 1
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._reach(origin)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except (OSError, UnicodeError) as error:  # ssl.SSLError and socket.gaierror are some of them
            raise httpx.ConnectError(str(error)) from error
        finally:
            self._connecting -= 1
        connection.connected_in_s = loop.time() - began_s
        self._open.add(connection)
        if self._closed:
            connection.abort()
        return connection

    async def _reach(self, origin: Origin) -> Connection:
        """Connect to the first of a name's addresses that takes the connection."""
        scheme, host, given_port = origin
        secure = scheme == "https"
        port = given_port or (443 if secure else 80)
        trouble: OSError = OSError("the name has no address")
        for address in await self._resolver.addresses(host, port):
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(origin, self._read_buffer, on_idle=self._keep, on_gone=self._forget),
                    address,
                    port,
                    ssl=self._ssl_context if secure else None,
                    server_hostname=host if secure else None,
                )
            except OSError as error:
                trouble = error
            else:
                return connection
        raise trouble

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_quiet():
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection) -> None:
        idle = self._idle.setdefault(connection.origin, [])
        if len(idle) >= self._idle_max:
            idle.pop(0).abort()
        loop = asyncio.get_running_loop()
        connection.idle_since_s = loop.time()
        idle.append(connection)
        if self._expiry is None:
            self._expiry = loop.call_later(self._idle_s, self._expire)

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)

    def _close_an_idle_one(self) -> bool:
        for idle in self._idle.values():
            if idle:
                idle.pop(0).abort()
                return True
        return False

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        idle_before_s = loop.time() - self._idle_s
        for idle in self._idle.values():
            while idle and idle[0].idle_since_s <= idle_before_s:
                idle.pop(0).abort()
        oldest_s = min((idle[0].idle_since_s for idle in self._idle.values() if idle), default=None)
        self._expiry = None if oldest_s is None else loop.call_at(oldest_s + self._idle_s, self._expire)


def message_of(request: httpx.Request) -> bytes:
    """Write the request as it goes over the wire; header values must hold no line ends."""
    target = request.extensions.get("target") or request.url.raw_path
    fields = b"".join([b"%b: %b\r\n" % field for field in request.headers.raw])
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, fields)
