"""Leases of two workers over one file, in one process: each has a region, and so a place, of its own."""

import asyncio
import socket
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


async def test_who_waits_asks_himself_when_the_other_gave_up(
    workers: tuple[Leases, Leases], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RECHECK_S", 600)
    asks, waits = workers
    assert await asks.take(QUESTION) is None
    [task] = await waiting(waits, 1)
    asks.release(QUESTION, Outcome.NOT_BEGUN)
    assert await asyncio.wait_for(task, 10) is None, "the lease is his"


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


async def test_only_a_socket_makes_room_for_a_worker_s(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = tmp_path / "cache.1"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(own))
    leases = worker(tmp_path / "cache")
    leases.start()
    assert own.is_socket()
    leases.close()
    assert not own.exists()
    assert not caplog.messages

    own.write_text("mine")
    leases.start()
    leases.close()
    assert own.read_text() == "mine"
    assert caplog.messages == [
        f"workers cannot wake each other at {own}: a file that is no socket lies there, and is left alone"
    ]


async def test_what_takes_a_socket_s_place_is_left_there(tmp_path: Path) -> None:
    leases = worker(tmp_path / "cache")
    leases.start()
    own = tmp_path / "cache.1"
    own.unlink()
    own.write_text("mine")
    leases.close()
    assert own.read_text() == "mine"


async def test_a_path_too_long_for_a_socket_is_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leases = worker(tmp_path / ("c" * 108))
    leases.start()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith(": AF_UNIX path too long")
    assert await leases.take(QUESTION) is None
    leases.release(QUESTION, Outcome.TIMED_OUT)
    leases.close()
