"""Asks for everything on a list once, so many at a time, and gives status and body of each answer."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import uvloop

# What httpx sends, and what a balancer adds.
HEAD = (
    "GET {} HTTP/1.1\r\n"
    "Host: companies.example\r\n"
    "User-Agent: python-httpx/0.28.1\r\n"
    "Accept: application/json\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Connection: keep-alive\r\n"
    "X-Forwarded-For: 203.0.113.7\r\n"
    "\r\n"
)
FIELDS = [line for line in HEAD.splitlines()[2:] if line]
TOGETHER = 64
PATIENCE_S = 300.0
TRIES = 5

OnAnswer = Callable[[int, int, bytes], None]
"""Called with the place on the list, the status and the body."""


class Customer(asyncio.Protocol):
    """One connection: one request after the other."""

    def __init__(self, requests: Iterator[tuple[int, bytes]], on_answer: OnAnswer) -> None:
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._on_answer = requests, on_answer
        self._input = b""
        self._place = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Read an answer, and ask again once it is whole."""
        self._input += data
        end = self._input.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._input[:end].lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        if len(self._input) < end + 4 + length:
            return
        body = self._input[end + 4 : end + 4 + length]
        self._input = self._input[end + 4 + length :]
        self._on_answer(self._place, int(head[9:12]), body)
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """Say so, when the server closed."""
        if not self.left.done():
            self.left.set_exception(error or ConnectionError("the server closed the connection"))

    def _ask(self) -> None:
        asked = next(self._requests, None)
        if asked is None:
            if not self.left.done():
                self.left.set_result(None)
            self._transport.close()
        else:
            self._place, request = asked
            self._transport.write(request)


async def _ask_all(port: int, targets: Sequence[str], on_answer: OnAnswer) -> None:
    loop = asyncio.get_running_loop()
    requests = enumerate(HEAD.format(target).encode() for target in targets)
    customers = [
        (await loop.create_connection(lambda: Customer(requests, on_answer), "127.0.0.1", port))[1]
        for _ in range(TOGETHER)
    ]
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*[customer.left for customer in customers])


def warm(ports: Sequence[int], targets: Sequence[str]) -> None:
    """Ask all servers for everything at the same time, and again for what they could not tell.

    Raises :class:`RuntimeError` when a server still cannot tell everything.
    """
    _run(_warm_all(ports, targets))


async def _warm_all(ports: Sequence[int], targets: Sequence[str]) -> None:
    async with asyncio.TaskGroup() as group:
        for port in ports:
            group.create_task(_warm(port, targets))


async def _warm(port: int, targets: Sequence[str]) -> None:
    left, statuses = list(range(len(targets))), Counter[int]()
    for _ in range(TRIES):
        untold: list[int] = []
        asked = left

        def on_answer(place: int, status: int, _: bytes) -> None:
            if status != 200:
                untold.append(asked[place])  # noqa: B023 - called within this turn only
                statuses[status] += 1

        await _ask_all(port, [targets[place] for place in asked], on_answer)
        left = untold
        if not left:
            return
    raise RuntimeError(f"the server on port {port} did not tell {len(left)} companies: {dict(statuses)}")


def answers(port: int, targets: Sequence[str]) -> list[tuple[int, bytes]]:
    """Ask one server: (status, body) in the list's order."""
    got: dict[int, tuple[int, bytes]] = {}
    _run(_ask_all(port, targets, lambda place, status, body: got.update({place: (status, body)})))
    return [got[place] for place in range(len(targets))]


def _run(asking: "asyncio._CoroutineLike[None]") -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asking)
