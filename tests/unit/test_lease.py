"""Leases of two workers over one file, in one process: each has a region, and so a place, of its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backendify import lease
from backendify._core import Outcome, Question, Region
from backendify.lease import Leases

QUESTION = Question(0, "1")


def worker(path: Path) -> Leases:
    region, _ = Region.open(
        str(path),
        bytes=1 << 20,
        registries=[("im", "http://127.0.0.1:1")],
        ttl_ms=60_000,
        negative_ttl_ms=60_000,
        stale_ms=0,
    )
    return Leases(region, path, lease_s=600)


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[tuple[Leases, Leases]]:
    both = worker(tmp_path / "cache"), worker(tmp_path / "cache")
    for one in both:
        one.start()
    yield both
    for one in both:
        one.close()


async def waiting(leases: Leases, tries: int) -> list[asyncio.Task[Outcome | None]]:
    """Have so many tries of one worker wait for another's lease."""
    tasks = [asyncio.create_task(leases.take(QUESTION)) for _ in range(tries)]
    await asyncio.sleep(0)
    return tasks


async def test_every_try_that_waits_is_told(
    workers: tuple[Leases, Leases], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RECHECK_S", 600)  # nothing but being told ends the wait
    asks, waits = workers
    assert await asks.take(QUESTION) is None
    tries = await waiting(waits, 3)
    asks.release(QUESTION, Outcome.TIMED_OUT)
    told = await asyncio.wait_for(asyncio.gather(*tries), 10)
    assert [outcome and outcome.status for outcome in told] == [504, 504, 504]


async def test_tries_that_wait_are_abandoned_one_by_one(workers: tuple[Leases, Leases]) -> None:
    asks, waits = workers
    assert await asks.take(QUESTION) is None
    tries = await waiting(waits, 3)
    for task in tries:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.wait_for(asks.take(QUESTION), 10) is None, "the lease is where it was"


async def test_tries_of_one_worker_share_the_lease_that_one_of_them_got(
    workers: tuple[Leases, Leases], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RECHECK_S", 0.01)
    first, second = workers
    assert await first.take(QUESTION) is None
    tries = await waiting(second, 2)
    first.close()  # what it tells from now on is lost
    first.release(QUESTION, Outcome.CONNECT_FAILED)
    assert await asyncio.wait_for(asyncio.gather(*tries), 10) == [None, None]
    for _ in tries:
        second.release(QUESTION, Outcome.CONNECT_FAILED)
    assert await asyncio.wait_for(first.take(QUESTION), 10) is None, "no lease was left behind"
