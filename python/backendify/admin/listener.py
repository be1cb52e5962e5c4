"""A small HTTP/1.1 server on an address of its own: GET and HEAD, one request a connection, all bounded.

It shares the event loop with the service, so an answer is made at once and in one piece, and a client can
cost no more than one of `CONNECTIONS_MAX` places for `EXCHANGE_S` seconds.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple, cast

import h11

from backendify.admin import prometheus
from backendify.admin.stats import Stats

CONNECTIONS_MAX: Final = 16
HEAD_BYTES_MAX: Final = 8 * 1024
EXCHANGE_S: Final = 5.0

_PAGE: Final = Path(__file__).with_name("page")
_TEXT: Final = "text/plain; charset=utf-8"
_HEADERS: Final = (
    "Cache-Control: no-store\r\n"
    # Every file of the page comes from here; nothing else may run, load, be sent to, or frame it.
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Connection: close\r\n\r\n"
)


class _Resource(NamedTuple):
    content_type: str
    read: Callable[[], str]


class Admin:
    """Serves what `read` says at `host` and `port`; port 0 takes any free one."""

    def __init__(self, host: str, port: int, *, read: Callable[[], Stats]) -> None:
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._exchanges: set[_Exchange] = set()
        self._resources = {
            "/": _page_file("index.html", "text/html"),
            "/style.css": _page_file("style.css", "text/css"),
            "/script.js": _page_file("script.js", "text/javascript"),
            "/metrics": _Resource(prometheus.CONTENT_TYPE, lambda: prometheus.to_prometheus(read())),
            "/stats": _Resource("application/json", lambda: read().to_json()),
            "/healthz": _Resource(_TEXT, lambda: "draining\n" if read().draining else "serving\n"),
        }

    @property
    def port(self) -> int:
        """The port that is listened on, once started; before, the one asked for."""
        return self._server.sockets[0].getsockname()[1] if self._server is not None else self._port

    async def start(self) -> None:
        """Listen. :class:`OSError` when the address is taken or not ours: the caller judges that."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Exchange(self._resources, self._exchanges), self._host, self._port
        )

    async def aclose(self) -> None:
        """Stop listening and drop every connection; harmless when nothing was started."""
        if self._server is None:
            return
        self._server.close()
        for exchange in tuple(self._exchanges):
            exchange.abort()
        await self._server.wait_closed()
        self._server = None


class _Exchange(asyncio.Protocol):
    """One connection: a request, its answer, the end. A client who is not done in time is cut off."""

    _transport: asyncio.Transport
    _deadline: asyncio.TimerHandle | None = None
    _head_bytes_left = HEAD_BYTES_MAX
    _without_body = False
    _answered = False

    def __init__(self, resources: dict[str, _Resource], exchanges: "set[_Exchange]") -> None:
        self._resources = resources
        self._exchanges = exchanges
        self._parser = h11.Connection(h11.SERVER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or say that there is none."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._exchanges) >= CONNECTIONS_MAX:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, extra="Retry-After: 1\r\n")
            self._transport.close()
            return
        self._exchanges.add(self)
        self._deadline = asyncio.get_running_loop().call_later(EXCHANGE_S, self.abort)

    def connection_lost(self, _: Exception | None) -> None:
        """Give the place back."""
        self._exchanges.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    def abort(self) -> None:
        """Drop the connection, whatever state it is in."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answer once the head is whole."""
        if self._answered:
            return  # taken and dropped: closing on unread bytes would reset the answer away
        piece = data[: self._head_bytes_left]  # h11 bounds a head only while it is incomplete
        self._head_bytes_left -= len(piece)
        try:
            self._parser.receive_data(piece)
            event = self._parser.next_event()
            if isinstance(event, h11.Request):
                self._serve(event)
            elif not self._head_bytes_left:
                self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except h11.RemoteProtocolError as error:
            self._answer(HTTPStatus(error.error_status_hint))

    def _serve(self, request: h11.Request) -> None:
        self._without_body = request.method == b"HEAD"
        resource = self._resources.get(request.target.partition(b"?")[0].decode("ascii"))
        if resource is None:
            self._answer(HTTPStatus.NOT_FOUND)
        elif request.method not in {b"GET", b"HEAD"}:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, extra="Allow: GET, HEAD\r\n")
        elif not isinstance(self._parser.next_event(), h11.EndOfMessage):
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._answer(HTTPStatus.OK, content_type=resource.content_type, text=resource.read())

    def _answer(
        self, status: HTTPStatus, *, content_type: str = _TEXT, text: str | None = None, extra: str = ""
    ) -> None:
        """Answer and end our side; the client ends the other, or the deadline does."""
        self._answered = True
        body = (f"{status.phrase}\n" if text is None else text).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Content-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"{extra}{_HEADERS}"
        ).encode("ascii")
        self._transport.write(head if self._without_body else head + body)
        self._transport.write_eof()


def _page_file(name: str, content_type: str) -> _Resource:
    text = (_PAGE / name).read_text(encoding="utf-8")
    return _Resource(f"{content_type}; charset=utf-8", lambda: text)
