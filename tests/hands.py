"""An app without sockets: its tries wait until a test says what became of them."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from backendify._core import App, Question, Region

Message = MutableMapping[str, Any]


class Hands:
    """An app without sockets: tries wait until a test says what became of them."""

    def __init__(self, countries: tuple[str, ...] = ("im", "gg"), **policy: int) -> None:
        self.region = Region(bytes=1 << 20, ttl_ms=60_000, negative_ttl_ms=60_000, stale_ms=0)
        self.woken = 0
        self.tries: list[tuple[int, Question]] = []
        self.abandoned: list[int] = []
        self.app = App(
            countries,
            self.region,
            policy=policy,
            refreshes_ahead=False,
            wake=self._wake,
            on_miss=self._on_miss,
            on_lifespan=self._on_lifespan,
        )

    def work(self) -> float | None:
        tries, abandoned, due_s = self.app.work()
        self.tries += tries
        self.abandoned += abandoned
        return due_s

    def _wake(self) -> None:
        self.woken += 1

    async def _on_miss(self, question: Question, send: Any) -> None:  # noqa: ANN401 - ASGI's send
        told: asyncio.Future[tuple[Message, Message]] = asyncio.get_running_loop().create_future()
        self.app.ask(question, told)
        self.work()
        for message in await told:
            await send(message)

    async def _on_lifespan(self, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        await send(await receive())
