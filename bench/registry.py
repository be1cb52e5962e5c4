"""A registry that answers at once: one of two cores must bear the load and it.

python registry.py PORT
"""

import asyncio
import contextlib
import sys
from typing import cast

import uvloop
from companies import Companies, Company

MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
BEGIN = b"GET /companies/"


class Register:
    """What is said of each company, by its id; half in V1, half in V2."""

    def __init__(self) -> None:
        self._companies = Companies()
        self._replies = [
            _reply(company, v2=row % 2 == 1) for row, company in enumerate(self._companies.of_rows())
        ]

    def reply(self, request: bytes) -> bytes:
        """Answer one request, which comes whole: no client of a registry pipelines."""
        number = request[len(BEGIN) : request.find(b" ", len(BEGIN))]
        row = self._companies.row_of(number.decode("latin-1"))
        return MISSING if row is None else self._replies[row]


def _reply(company: Company, *, v2: bool) -> bytes:
    kind, body = company.registry_says(v2=v2)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Answering(asyncio.Protocol):
    """One connection."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self._transport.write(self._register.reply(data))


async def serve(port: int) -> None:
    """Serve until told to end."""
    register = Register()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(register), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
