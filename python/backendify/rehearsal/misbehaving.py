"""Registries that are worse than flaky: one table of what each does, and of what customers may be told."""

import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from types import MappingProxyType
from typing import Final, Self

from backendify.rehearsal.registry import reset

DRIP_S: Final = 0.1  # between the octets of a dripping reply
HUGE_BODY_BYTES: Final = 5_000_000
HUGE_HEAD_BYTES: Final = 100_000
REDIRECT_TARGET: Final = "/elsewhere"  # has a perfect answer that nobody should ever fetch

_NAME: Final = b'{"cn":"Askania"}'
_V1: Final = b"Content-Type: application/x-company-v1\r\n"
_BLOCK: Final = b" " * 50_000  # white space is JSON: only its length is wrong

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Door(Enum):
    """Why nobody gets in."""

    SHUT = auto()
    """Connects are refused."""
    BLOCKED = auto()
    """Connects are never answered: the queue of the unaccepted is full (Linux drops them silently)."""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What a registry does once it has read a request, and the statuses that tell a customer so."""

    act: Act | Door
    statuses: frozenset[int]


def _reply(body: bytes, *, status: str = "200 OK", headers: bytes = _V1, length: int | None = None) -> bytes:
    framing = f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    return f"HTTP/1.1 {status}\r\n".encode() + headers + framing.encode() + body


def _says(reply: bytes) -> Act:
    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()

    return say


def _says_and_closes(reply: bytes) -> Act:
    async def say_and_close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        writer.close()
        await writer.wait_closed()

    return say_and_close


def _says_and_resets(reply: bytes) -> Act:
    async def say_and_reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await asyncio.sleep(DRIP_S if reply else 0)  # a reset overtakes what the peer has not read yet
        reset(writer.transport)

    return say_and_reset


def _repeats(head: bytes, part: bytes, *, every_s: float) -> Act:
    """Say `head`, then `part` for ever."""

    async def repeat(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every_s)

    return repeat


async def _hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass


def _says_hugely(framing: str) -> Act:
    """Say a good answer after 5 MB of white space, framed by this header; if empty, by the end."""
    is_chunked = "chunked" in framing

    async def say_hugely(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + _V1 + framing.encode() + b"\r\n")
        for block in (*[_BLOCK] * (HUGE_BODY_BYTES // len(_BLOCK) - 1), _NAME.rjust(len(_BLOCK))):
            writer.write(b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block)
            await writer.drain()
        if is_chunked:
            writer.write(b"0\r\n\r\n")
        if not framing:
            writer.close()
            await writer.wait_closed()

    return say_hugely


def _table() -> dict[str, Misbehaviour]:
    huge_header = b"X-Huge: " + b"x" * HUGE_HEAD_BYTES + b"\r\n"
    found = "302 Found"
    to_elsewhere = f"Location: {REDIRECT_TARGET}\r\n".encode()
    wait = b"Retry-After: 1\r\n"
    compressed = _V1 + b"Content-Encoding: gzip\r\n"
    bad_gateway: dict[str, Act] = {
        "without Content-Type": _says(_reply(_NAME, headers=b"")),
        "of another Content-Type": _says(_reply(_NAME, headers=b"Content-Type: application/json\r\n")),
        "compressing": _says(_reply(gzip.compress(_NAME), headers=compressed)),
        "empty": _says(_reply(b"")),
        "not JSON": _says(_reply(b"<company/>")),
        "with JSON cut off": _says(_reply(_NAME[:-1])),
        "with JSON twice": _says(_reply(_NAME + _NAME)),
        "not UTF-8": _says(_reply(b'{"cn":"\xff"}')),
        "telling an array": _says(_reply(b"[" + _NAME + b"]")),
        "telling null": _says(_reply(b"null")),
        "without a name": _says(_reply(b'{"closed_on":null}')),
        "with the other version's name": _says(_reply(b'{"company_name":"Askania"}')),
        "with a number for a name": _says(_reply(b'{"cn":1}')),
        "with null for a name": _says(_reply(b'{"cn":null}')),
        "with a bare date": _says(_reply(b'{"cn":"A","closed_on":"2021-12-31"}')),
        "with a date without offset": _says(_reply(b'{"cn":"A","closed_on":"2021-12-31T22:00:00"}')),
        "with a day that is not": _says(_reply(b'{"cn":"A","closed_on":"2021-02-30T22:00:00Z"}')),
        "with a number for a date": _says(_reply(b'{"cn":"A","closed_on":1640988000}')),
        "redirecting": _says(_reply(b"", status=found, headers=to_elsewhere)),
        "redirecting with an answer": _says(_reply(_NAME, status=found, headers=_V1 + to_elsewhere)),
        "refusing": _says(_reply(_NAME, status="403 Forbidden")),
        "failing": _says(_reply(_NAME, status="500 Internal Server Error")),
        "without content": _says(b"HTTP/1.1 204 No Content\r\n\r\n"),
        "huge": _says_hugely(f"Content-Length: {HUGE_BODY_BYTES}\r\n"),
        "huge and unannounced": _says_hugely(""),
        "huge and chunked": _says_hugely("Transfer-Encoding: chunked\r\n"),
    }
    timed_out: dict[str, Act | Door] = {
        "dead": Door.SHUT,
        "deaf": Door.BLOCKED,
        "hanging": _hang,
        "resetting": _says_and_resets(b""),
        "closing": _says_and_closes(b""),
        "dripping its head": _repeats(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x", every_s=DRIP_S),
        "dripping its body": _repeats(_reply(b"", length=60_000), b" ", every_s=DRIP_S),
        "throttling": _says(_reply(b"", status="429 Too Many Requests", headers=wait)),
        "unavailable": _says(_reply(b"", status="503 Service Unavailable", headers=wait)),
    }
    either: dict[str, Act] = {  # an unusable answer, or none in time: both are true
        "resetting amid the body": _says_and_resets(_reply(_NAME, length=100)),
        "closing amid the body": _says_and_closes(_reply(_NAME, length=100)),
        "not HTTP": _says_and_closes(b"\x16\x03\x01 Askania\r\n\r\n"),
        "with a huge header": _says(_reply(_NAME, headers=_V1 + huge_header)),
        "with endless headers": _repeats(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 100, every_s=0.01),
        "with endless interim replies": _repeats(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", every_s=0.001),
    }
    table = {name: Misbehaviour(act, frozenset({504})) for name, act in timed_out.items()}
    table |= {name: Misbehaviour(act, frozenset({502})) for name, act in bad_gateway.items()}
    return table | {name: Misbehaviour(act, frozenset({502, 504})) for name, act in either.items()}


MISBEHAVIOURS: Final[Mapping[str, Misbehaviour]] = MappingProxyType(_table())


class MisbehavingRegistry:
    """A registry of the table, in this event loop: `async with MisbehavingRegistry(name) as registry`."""

    def __init__(self, name: str) -> None:
        self.misbehaviour = MISBEHAVIOURS[name]
        self.url = ""
        self.requests = 0
        """Questions read."""
        self.redirects_followed = 0
        self.connections = 0
        self.connections_open = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        listener = self._socket()
        listener.bind(("127.0.0.1", 0))  # the port stays ours, though nobody may listen on it
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        match self.misbehaviour.act:
            case Door.SHUT:
                pass
            case Door.BLOCKED:
                listener.listen(0)  # the queue holds one
                self._socket().connect_ex(listener.getsockname())
            case act:
                serve = partial(self._serve, act)
                self._server = await asyncio.start_server(serve, sock=listener, backlog=1024)
        return self

    def _socket(self) -> socket.socket:
        made = socket.socket()
        made.settimeout(0)
        self._sockets.append(made)
        return made

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()
        for made in self._sockets:
            made.close()

    async def _serve(self, act: Act, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.connections_open += 1
        try:
            await self._answer(act, reader, writer)
        finally:
            self.connections_open -= 1
            writer.transport.abort()

    async def _answer(self, act: Act, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other until either side closes."""
        elsewhere = _says(_reply(_NAME))
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(f"GET {REDIRECT_TARGET} ".encode()):
                    self.redirects_followed += 1
                    await elsewhere(reader, writer)
                else:
                    self.requests += 1
                    await act(reader, writer)
