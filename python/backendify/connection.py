"""One HTTP/1.1 connection: a GET out, a reply in, and whether it may serve again (RFC 9112 §9.3)."""

import asyncio
import select
from collections.abc import AsyncIterator, Callable
from typing import Final

import httptools
import httpx

READ_BYTES: Final = 64 * 1024  # at most so much a read; a body that nobody takes is held back beyond it
HEAD_BYTES_MAX: Final = (
    32 * 1024
)  # of one reply, all that is not body: interim heads, chunk sizes and trailers too

Origin = tuple[str, str, int | None]
"""Scheme, host, port (none: the scheme's own)."""


class HeadTooLarge(httpx.RemoteProtocolError):
    """What a reply holds beside its body is longer than `HEAD_BYTES_MAX`."""


class Unheard(httpx.ReadError):
    """The connection was lost before one octet of the reply came: a GET may be asked again (RFC 9112 §9.3.1)."""


class Connection(asyncio.BufferedProtocol):
    """One socket, one exchange at a time.

    `read_buffer` may be shared by all connections of a loop: a read is parsed before the loop reads again.
    `on_idle` is called when the connection can serve once more, `on_gone` (once or more) when it never will.
    """

    __slots__ = (
        "_exchange", "_on_gone", "_on_idle", "_read_buffer", "_transport", "connected_in_s", "idle_since_s",
        "origin",
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(
        self,
        origin: Origin,
        read_buffer: memoryview,
        *,
        on_idle: "Callable[[Connection], None]",
        on_gone: "Callable[[Connection], None]",
    ) -> None:
        self.origin = origin
        self.connected_in_s = 0.0
        self.idle_since_s = 0.0
        self._read_buffer = read_buffer
        self._on_idle = on_idle
        self._on_gone = on_gone
        self._exchange: Exchange | None = None

    async def exchange(self, message: bytes) -> httpx.Response:
        """Send a GET; return when the head of its reply is whole. Whatever else happens closes the socket."""
        exchange = self._exchange = Exchange(self)
        try:
            if self._transport.is_closing():
                raise Unheard("closed before the request was sent")  # noqa: TRY301  # the handler is for it too
            self._transport.write(message)
            return await exchange.head()
        except BaseException:
            self.abort()
            raise

    def is_quiet(self) -> bool:
        """Tell whether an idle connection is open and silent: no end, nothing that nobody asked for."""
        if self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def end_exchange(self, *, reusable: bool) -> None:
        """Go idle when the reply was read to its end and may be followed by another, else close."""
        if reusable and not self._transport.is_closing():
            self._exchange = None
            self._on_idle(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        if self._exchange is not None:
            self._exchange.fail(httpx.ReadError("closed by this side"))
            self._exchange = None
        self._on_gone(self)
        self._transport.abort()

    def hold(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: the socket is connected."""
        self._transport = transport  # type: ignore[assignment]  # a stream socket's is always a Transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's signature
        """Asyncio: where to read to."""
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Asyncio: so much was read."""
        if self._exchange is None:
            self.abort()  # nobody asked: it must not be taken for the next reply
        else:
            self._exchange.feed(self._read_buffer[:nbytes])

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the socket is closed, orderly by the peer when there is no exception."""
        self._on_gone(self)
        if self._exchange is not None:
            self._exchange.end_of_stream(exc)


class Exchange(httpx.AsyncByteStream):
    """One reply as it comes in: llhttp's callbacks on one side, httpx's stream of the body on the other."""

    __slots__ = (
        "_body", "_complete", "_connection", "_error", "_first_byte_at_s", "_head_bytes", "_head_complete",
        "_headers", "_loop", "_parser", "_reusable", "_status", "_unread_bytes", "_waiter",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._error: httpx.TransportError | None = None
        self._first_byte_at_s: float | None = None
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._head_complete = False
        self._body: list[bytes] = []
        self._unread_bytes = 0
        self._complete = False
        self._reusable = False

    async def head(self) -> httpx.Response:
        """Wait for the head; the response's stream is this exchange."""
        while not self._head_complete and self._error is None:
            await self._news()
        if self._error is not None:
            raise self._error
        extensions = {"http_version": b"HTTP/1.1", "first_byte_at_s": self._first_byte_at_s}
        return httpx.Response(self._status, headers=self._headers, stream=self, extensions=extensions)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self._error is None and not self._body and not self._complete:
            await self._news()
        if self._error is not None:
            raise self._error
        if not self._body:
            raise StopAsyncIteration
        chunk = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        if self._unread_bytes > READ_BYTES and self._connection is not None:
            self._connection.resume()
        self._unread_bytes = 0
        return chunk

    async def aclose(self) -> None:
        """Give the connection back; it is closed unless the reply was read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            del self._parser  # it holds this object's methods: no work for the garbage collector
            # What was not read may have paused the connection; a kept one would hang its next reply.
            was_read = not self._body
            connection.end_exchange(reusable=self._reusable and self._error is None and was_read)

    def feed(self, data: memoryview) -> None:
        """Parse what was read."""
        if self._first_byte_at_s is None:
            self._first_byte_at_s = self._loop.time()
        self._head_bytes += len(data)  # `on_body` takes its part off again
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._reusable = False
            self.fail(httpx.RemoteProtocolError(f"not an HTTP/1.1 reply: {error}"))
        if self._head_bytes > HEAD_BYTES_MAX:
            self._complete = self._reusable = False  # refused even where one read brought all of it
            self.fail(HeadTooLarge(f"more than {HEAD_BYTES_MAX} octets beside the body"))
        self._wake()

    def end_of_stream(self, error: Exception | None) -> None:
        """Take the end of the connection: the end of the reply only where that is how it is framed."""
        self._reusable = False
        if self._first_byte_at_s is None:
            self.fail(Unheard(f"lost before the reply began: {error or 'closed by the peer'}"))
        elif error is None and self._ends_with_connection() and self._error is None:
            self._complete = True
            self._wake()
        else:
            self.fail(httpx.ReadError(f"lost before the reply was whole: {error or 'closed by the peer'}"))

    def fail(self, error: httpx.TransportError) -> None:
        """There will be no more of this reply. A reply that is whole stays whole."""
        if not self._complete and self._error is None:
            self._error = error
            self._wake()

    def on_message_begin(self) -> None:
        """Llhttp: a reply begins, or an interim one (RFC 9110 §15.2), or what nobody asked for."""
        if self._complete:
            raise httpx.RemoteProtocolError("more than was asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Llhttp: a header, or a trailer, which nobody reads."""
        if not self._head_complete:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Llhttp: the head is whole."""
        status = self._parser.get_status_code()
        if status < httpx.codes.CONTINUE or self._parser.get_http_version() not in {"1.0", "1.1"}:
            raise httpx.RemoteProtocolError(f"status {status}")
        if status < httpx.codes.OK:
            self._headers.clear()
        else:
            self._status = status
            self._head_complete = True

    def on_body(self, chunk: bytes) -> None:
        """Llhttp: some of the body, without the chunks' framing."""
        self._head_bytes -= len(chunk)
        self._body.append(chunk)
        self._unread_bytes += len(chunk)
        if self._unread_bytes > READ_BYTES and self._connection is not None:
            self._connection.hold()

    def on_message_complete(self) -> None:
        """Llhttp: the reply is whole, or an interim one is."""
        if self._head_complete:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()

    def _ends_with_connection(self) -> bool:
        framed_by = {b"content-length", b"transfer-encoding"}
        return self._head_complete and not any(name.lower() in framed_by for name, _ in self._headers)

    async def _news(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
