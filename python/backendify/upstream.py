"""Asking a registry: one company id in, one reply out, or the reason why there is none.

Beside the transport under it this is the only file that knows of httpx. Any `httpx.AsyncBaseTransport` will
do. It is called directly: `httpx.AsyncClient` would cost more than all the rest, and add cookies and
redirects.
"""

import asyncio
import contextlib
import email.utils
import ssl
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import httpx

from backendify import errors
from backendify.connection import HeadTooLarge
from backendify.registry import Registry
from backendify.transport import IDLE_CONNECTIONS_MAX, IDLE_S, GetTransport

BODY_BYTES_MAX: Final = 64 * 1024
CONNECT_TIMEOUT_MS: Final = 300
DRAIN_MS: Final = 50  # for the rest of a reply that nobody reads, so that its connection can be kept
RETRY_AFTER_MAX_S: Final = 3600.0

_REASONS: Final[tuple[tuple[type[Exception], type[errors.Unanswered]], ...]] = (  # the first that fits
    (httpx.ConnectTimeout, errors.ConnectFailed),
    (httpx.ConnectError, errors.ConnectFailed),
    (httpx.PoolTimeout, errors.PoolExhausted),
    (httpx.TimeoutException, errors.TimedOut),
    (TimeoutError, errors.TimedOut),
    (HeadTooLarge, errors.HeadersTooLarge),
    (httpx.ProtocolError, errors.BadReply),
    (httpx.TransportError, errors.Reset),
)
_NO_BODY: Final = httpx.ByteStream(b"")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a registry said. `body` is empty unless `status` is 200: nothing else is read of other replies."""

    status: int
    content_type: bytes  # as sent; empty when there was none
    body: bytes
    retry_after_s: float | None  # 0 to RETRY_AFTER_MAX_S; None when absent or not to be understood
    first_byte_ms: float  # from asking to the first octet of the reply


def _nobody_listens() -> None: ...


class Upstream:
    """Asks one registry. The transport may be shared by several; closing one of them closes it for all."""

    def __init__(
        self,
        registry: Registry,
        *,
        transport: httpx.AsyncBaseTransport,
        connect_timeout_ms: float = CONNECT_TIMEOUT_MS,
    ) -> None:
        self._base_path = registry.base_path.encode("ascii")
        self._url = httpx.URL(scheme=registry.scheme, host=registry.host, port=registry.port)
        self._headers = headers_for(registry)
        self._transport = transport
        self._timeout = {"connect": connect_timeout_ms / 1000, "pool": connect_timeout_ms / 1000}
        self.asked_again = 0
        """Requests sent once more, as their kept connection had been closed already; no further tries."""

    async def ask(
        self,
        company_id: str,
        *,
        deadline_s: float | None = None,
        on_head: Callable[[], None] = _nobody_listens,
    ) -> Reply:
        """Ask once, for at most `deadline_s` from now. Raises Unanswered; cancelling it closes the socket.

        `on_head` is called when the reply's head has come.

        A kept connection that turns out to be closed is replaced once, and that is counted; whether to try
        again after anything else is the caller's decision.
        """
        request = httpx.Request(
            "GET",
            self._url,
            headers=self._headers,
            stream=_NO_BODY,
            extensions={
                "target": company_path(self._base_path, company_id),
                "timeout": self._timeout,
                "on_asked_again": self._count_asked_again,
            },
        )
        try:
            if deadline_s is None:
                return await self._exchange(request, on_head)
            async with asyncio.timeout(deadline_s):
                return await self._exchange(request, on_head)
        except (TimeoutError, httpx.TransportError) as error:
            raise reason_of(error) from error

    async def aclose(self) -> None:
        """Close the transport with all its connections."""
        await self._transport.aclose()

    def _count_asked_again(self) -> None:
        self.asked_again += 1

    async def _exchange(self, request: httpx.Request, on_head: Callable[[], None]) -> Reply:
        loop = asyncio.get_running_loop()
        asked_at_s = loop.time()
        response = await self._transport.handle_async_request(request)
        on_head()
        first_byte_at_s = response.extensions.get("first_byte_at_s") or loop.time()
        try:
            if response.status_code == httpx.codes.OK:
                body = await read_body(response)
            else:
                body = b""
                await _drain(response)
        finally:
            await response.aclose()
        headers = response.headers.raw
        retry_after = values_of(b"retry-after", headers)
        return Reply(
            status=response.status_code,
            content_type=values_of(b"content-type", headers),
            body=body,
            retry_after_s=retry_after_s(retry_after, now_s=time.time()) if retry_after else None,
            first_byte_ms=(first_byte_at_s - asked_at_s) * 1000,
        )


def make_transport(
    kind: Literal["fast", "httpx"], *, ca_file: Path | None, connections_max: int
) -> httpx.AsyncBaseTransport:
    """Our own transport, or httpx's. Both verify TLS by the system's authorities and those in `ca_file`.

    Raises OSError (`ssl.SSLError` is one) when `ca_file` cannot be read or holds no certificate.
    """
    ssl_context = ssl.create_default_context()
    if ca_file is not None:
        ssl_context.load_verify_locations(ca_file)
    if kind == "fast":
        ssl_context.set_alpn_protocols(["http/1.1"])
        return GetTransport(ssl_context=ssl_context, connections_max=connections_max)
    limits = httpx.Limits(
        max_connections=connections_max,
        max_keepalive_connections=min(connections_max, IDLE_CONNECTIONS_MAX),
        keepalive_expiry=IDLE_S,
    )
    return httpx.AsyncHTTPTransport(verify=ssl_context, limits=limits, trust_env=False)


def company_path(base_path: bytes, company_id: str) -> bytes:
    """Build the request target for an id: one segment under the registry's base path, whatever it holds.

    Every byte outside RFC 3986 §2.3 unreserved is percent-encoded; in an id made of dots only the dots are
    too, since `.` and `..` mean other paths (§5.2.4). The base path is kept, but for its trailing slashes.
    """
    segment = urllib.parse.quote(company_id, safe="") if company_id.strip(".") else "%2E" * len(company_id)
    return b"%b/companies/%b" % (base_path.rstrip(b"/"), segment.encode("ascii"))


def headers_for(registry: Registry) -> httpx.Headers:
    """Build the headers of every request: the registry's own may replace `Accept` and `User-Agent`."""
    given = {name.lower() for name, _ in registry.headers}
    own = (
        ("Host", registry.authority),
        ("Accept", "application/x-company-v1, application/x-company-v2"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "backendify"),
    )
    return httpx.Headers([pair for pair in own if pair[0].lower() not in given] + list(registry.headers))


async def read_body(response: httpx.Response) -> bytes:
    """Read a body to its end. Raises BodyTooLarge as soon as it is known to be longer than BODY_BYTES_MAX."""
    announced = values_of(b"content-length", response.headers.raw)
    if announced.isdigit() and int(announced[:20]) > BODY_BYTES_MAX:
        raise errors.BodyTooLarge(f"a body of {announced[:20].decode()} octets was announced")
    body = b""
    async for chunk in response.stream:  # type: ignore[union-attr]  # an async transport's
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise errors.BodyTooLarge(f"a body of more than {BODY_BYTES_MAX} octets")
    return body


async def _drain(response: httpx.Response) -> None:
    with contextlib.suppress(TimeoutError, httpx.TransportError, errors.BodyTooLarge):
        async with asyncio.timeout(DRAIN_MS / 1000):
            await read_body(response)


def values_of(name: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Find the value of a header: empty without one, several joined by commas (RFC 9110 §5.3)."""
    return b", ".join([value for key, value in headers if key.lower() == name])


def retry_after_s(value: bytes, *, now_s: float) -> float | None:
    """Read Retry-After (RFC 9110 §10.2.3): seconds or a date, as seconds from `now_s`, bounded."""
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:10]), RETRY_AFTER_MAX_S))
    try:
        wait_s = email.utils.parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), RETRY_AFTER_MAX_S)


def reason_of(error: Exception) -> errors.Unanswered:
    """Say why there is no answer, by what a transport raised."""
    text = str(error)
    if isinstance(error, httpx.RemoteProtocolError) and ("disconnected" in text or "peer closed" in text):
        return errors.Reset(text)  # httpx's own transport has no class for it
    return next(ours for theirs, ours in _REASONS if isinstance(error, theirs))(text)
