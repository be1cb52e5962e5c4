"""Other HTTP clients as httpx transports, made as good at the musts as a page of code makes them.

They are what `transports.py` measures our own against, and what the tests of `tests/upstream` can be run on:
`BACKENDIFY_TEST_TRANSPORTS=aiohttp,pyreqwest pytest tests/upstream`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import aiohttp
import httpx
import yarl
from pyreqwest import exceptions
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.response import Response

from backendify.connection import HEAD_BYTES_MAX, HeadTooLarge
from backendify.transport import IDLE_S


def full_url(request: httpx.Request) -> str:
    """Write the URL with the target that is asked for."""
    url = request.url
    return f"{url.scheme}://{url.netloc.decode()}{request.extensions['target'].decode()}"


class AiohttpBody(httpx.AsyncByteStream):
    """A reply of aiohttp's as httpx's stream."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._reply.content.iter_any():
                yield chunk
        except (aiohttp.ClientPayloadError, aiohttp.ClientOSError) as error:
            raise httpx.ReadError(str(error)) from error

    async def aclose(self) -> None:
        """Httpx: nobody wants more."""
        if self._reply.content.at_eof():
            self._reply.release()
        else:
            self._reply.close()


class AiohttpTransport(httpx.AsyncBaseTransport):
    """aiohttp under httpx's request and reply."""

    def __init__(self, ssl_context: ssl.SSLContext, connections_max: int) -> None:
        self._ssl_context = ssl_context
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Httpx: send, and return when the head has come."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections_max, ssl=self._ssl_context, keepalive_timeout=IDLE_S
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=HEAD_BYTES_MAX,
                max_field_size=HEAD_BYTES_MAX,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        timeout = aiohttp.ClientTimeout(total=None, connect=request.extensions["timeout"]["connect"])
        try:
            reply = await self._session.request(
                "GET",
                yarl.URL(full_url(request), encoded=True),
                headers=[(name.decode(), value.decode()) for name, value in request.headers.raw],
                allow_redirects=False,
                timeout=timeout,
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except aiohttp.ClientConnectorError as error:
            raise httpx.ConnectError(str(error)) from error
        except aiohttp.ClientResponseError as error:
            if "Too many" in str(error) or "more than" in str(error):
                raise HeadTooLarge(str(error)) from error
            raise httpx.RemoteProtocolError(str(error)) from error
        except aiohttp.ClientError as error:
            raise httpx.ReadError(str(error)) from error
        return httpx.Response(reply.status, headers=reply.raw_headers, stream=AiohttpBody(reply))

    async def aclose(self) -> None:
        """Httpx: nobody wants more."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)


class PyreqwestBody(httpx.AsyncByteStream):
    """A reply of pyreqwest's as httpx's stream."""

    def __init__(self, context: AbstractAsyncContextManager[Response], reply: Response) -> None:
        self._context = context
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._reply.body_reader.read_chunk():
                yield bytes(chunk)
        except exceptions.DecodeError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        except exceptions.RequestError as error:
            raise httpx.ReadError(str(error)) from error

    async def aclose(self) -> None:
        """Httpx: nobody wants more."""
        await self._context.__aexit__(None, None, None)


class PyreqwestTransport(httpx.AsyncBaseTransport):
    """pyreqwest under httpx's request and reply."""

    def __init__(self, ca_file: Path | None, connections_max: int) -> None:
        builder = (
            ClientBuilder()
            .no_proxy()
            .follow_redirects(enable=False)
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            .http1_only()
            .connect_timeout(timedelta(milliseconds=300))
            .timeout(timedelta(seconds=10))
            .max_connections(connections_max)
            .pool_timeout(timedelta(milliseconds=300))
            .pool_idle_timeout(timedelta(seconds=IDLE_S))
        )
        if ca_file is not None:
            builder = builder.add_root_certificate_pem(ca_file.read_bytes())
        self._client: Client = builder.build()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Httpx: send, and return when the head has come."""
        builder = self._client.get(full_url(request)).headers(
            [(name.decode(), value.decode()) for name, value in request.headers.raw]
        )
        context = builder.streamed_read_buffer_limit(4096).build_streamed()
        try:
            reply = await context.__aenter__()
        except exceptions.PoolTimeoutError as error:
            raise httpx.PoolTimeout(str(error)) from error
        except exceptions.ConnectTimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except exceptions.ConnectError as error:
            raise httpx.ConnectError(str(error)) from error
        except exceptions.DecodeError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        except exceptions.RequestError as error:
            raise httpx.ReadError(str(error)) from error
        headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        return httpx.Response(reply.status, headers=headers, stream=PyreqwestBody(context, reply))

    async def aclose(self) -> None:
        """Httpx: nobody wants more."""
        await self._client.close()


def make_transport(kind: str, *, ca_file: Path | None, connections_max: int) -> httpx.AsyncBaseTransport:
    """Make one of the others by name."""
    if kind == "aiohttp":
        ssl_context = ssl.create_default_context(cafile=ca_file)
        return AiohttpTransport(ssl_context, connections_max)
    return PyreqwestTransport(ca_file, connections_max)
