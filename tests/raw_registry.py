"""Registries that say exactly these bytes."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace

from backendify.registry import Registry, RegistryKind
from backendify.upstream import Upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-company-v1\r\nContent-Length: 2\r\n\r\n{}"

Behaviour = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One connection that a client made."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number  # from 1
        self.heads: list[bytes] = []
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Read one request's head. Raises IncompleteReadError when there is none any more."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        return head

    async def say(self, *parts: bytes) -> None:
        """Send these bytes, each part in a packet of its own."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            if len(parts) > 1:
                await asyncio.sleep(0.002)

    async def hang(self) -> None:
        """Say nothing until the client has gone."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    def end(self, *, reset: bool = False) -> None:
        """Close, orderly or not."""
        if reset:  # closing with a linger of no seconds sends a reset
            peer = self._writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            self._writer.close()


class RawRegistry:
    """Speaks whatever bytes its behaviour says."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.visits: list[Visit] = []
        self.open = 0
        self.port = 0
        self._behaviour = behaviour
        self._changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(len(self.visits) + 1, reader, writer)
        self.visits.append(visit)
        await self._count(1)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._behaviour(visit)
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            await self._count(-1)

    async def until_open(self, number: int) -> None:
        """Wait until so many connections are open; five seconds are an error."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.open == number)

    @property
    def heads(self) -> list[bytes]:
        return [head for visit in self.visits for head in visit.heads]

    async def _count(self, change: int) -> None:
        async with self._changed:
            self.open += change
            self._changed.notify_all()


Start = Callable[..., Awaitable[RawRegistry]]
Connect = Callable[..., Upstream]


def says(*parts: bytes, then_end: bool = False) -> Behaviour:
    """To every request the same answer."""

    async def behaviour(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.say(*parts)
            if then_end:
                return

    return behaviour


def registry_at(url: str, headers: tuple[tuple[str, str], ...] = ()) -> Registry:
    """Make the settings of a registry."""
    return replace(RegistryKind().parse(f"us={url}"), headers=headers)
