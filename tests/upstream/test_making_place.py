"""A try that begins in the place of one that is abandoned: the registry never sees both."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

import pytest

from backendify._core import App, Outcome, Question, Region
from backendify.miss import Asking
from raw_registry import OK, Connect, Start, Visit

TRIES = 3


class Rules:
    """Rules that want what stands in `wanted`: tries to begin, and those to abandon."""

    def __init__(self) -> None:
        self.wanted: deque[tuple[list[tuple[int, Question]], list[int]]] = deque()
        self.ended: list[int] = []

    def work(self) -> tuple[list[tuple[int, Question]], list[int], float | None]:
        begun, abandoned = self.wanted.popleft() if self.wanted else ([], [])
        return begun, abandoned, None

    def first_byte(self, try_id: int) -> None: ...

    def tried(self, try_id: int, outcome: Outcome) -> None:  # noqa: ARG002 - the border's signature
        self.ended.append(try_id)

    def close(self) -> None: ...


class Registry:
    """Answers no company whose name begins with `hangs`, and counts what it has at once."""

    def __init__(self) -> None:
        self.at_once = 0
        self.at_once_peak = 0

    async def __call__(self, visit: Visit) -> None:
        while True:
            head = await visit.request()
            self.at_once += 1
            self.at_once_peak = max(self.at_once_peak, self.at_once)
            if b"/hangs" in head:
                await visit.hang()
                self.at_once -= 1
                return
            self.at_once -= 1
            await visit.say(OK)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; five seconds are an error."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("kind", ["fast"])
async def test_who_makes_place_is_gone_before_who_takes_it_comes(start: Start, connect: Connect) -> None:
    seen = Registry()
    region = Region(bytes=1 << 20, ttl_ms=60_000, negative_ttl_ms=60_000, stale_ms=0)
    asking, rules = Asking([connect(await start(seen))], region, leases=None), Rules()
    asking.serve(cast("App", rules))

    def tries(first: int, name: str) -> list[tuple[int, Question]]:
        return [(number, Question(0, f"{name}{number}")) for number in range(first, first + TRIES)]

    # Connections are kept, for who comes next to ask at once.
    rules.wanted.append((tries(1, "told") + tries(11, "hangs"), []))
    asking.work()
    await until(lambda: len(rules.ended) == TRIES and seen.at_once == TRIES)
    seen.at_once_peak = 0
    rules.wanted.append((tries(21, "told"), [number for number, _ in tries(11, "hangs")]))
    asking.work()
    await until(lambda: len(rules.ended) == 2 * TRIES)
    assert seen.at_once_peak <= TRIES
    await asking.aclose()
