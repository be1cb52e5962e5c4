"""Records past their time are cleared in the background."""

import asyncio
import sys
import threading

from backendify._core import Question, Region
from backendify.sweeper import sweep


async def test_what_is_past_its_time_goes_without_being_asked_for() -> None:
    region = Region(bytes=4 << 20, ttl_ms=100, negative_ttl_ms=100, stale_ms=0)
    for number in range(1000):
        region.keep(Question(0, str(number)), 404, b"", b"")
    assert region.stats()["records"] == 1000
    sweeper = asyncio.create_task(sweep(region, is_memory=True, round_s=0.05))
    while region.stats()["records"]:
        await asyncio.sleep(0.01)
    sweeper.cancel()
    assert region.stats()["expired"] == 1000


async def test_what_may_be_told_stays() -> None:
    region = Region(bytes=4 << 20, ttl_ms=60_000, negative_ttl_ms=60_000, stale_ms=0)
    for number in range(1000):
        region.keep(Question(0, str(number)), 404, b"", b"")
    assert region.sweep(region.buckets) == 0
    assert region.stats()["records"] == 1000


class SlowDisk:
    """A region whose buckets are read once a test says so."""

    buckets = 1

    def __init__(self) -> None:
        self.turns: list[bool] = []
        self.reads = threading.Event()

    def sweep(self, _: int) -> int:
        self.turns.append(self.reads.wait(10))
        return 0


async def test_the_loop_goes_on_while_a_disk_is_read() -> None:
    disk = SlowDisk()
    sweeper = asyncio.create_task(sweep(disk, is_memory=False, round_s=60))
    await asyncio.sleep(0.01)
    disk.reads.set()
    while not disk.turns:
        await asyncio.sleep(0.001)
    assert disk.turns == [True]
    sweeper.cancel()


def test_other_threads_go_on_while_a_region_is_swept() -> None:
    region = Region(bytes=64 << 20, ttl_ms=60_000, negative_ttl_ms=60_000, stale_ms=0)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # a thread runs until it lets others run
    try:
        # Not each time: when the other thread wakes, the sweep may be over.
        assert any(is_let_run_by_sweep(region) for _ in range(1000))
    finally:
        sys.setswitchinterval(interval_s)


def is_let_run_by_sweep(region: Region) -> bool:
    begun, ended = threading.Event(), threading.Event()

    def turn() -> None:
        begun.set()
        region.sweep(region.buckets)
        ended.set()

    thread = threading.Thread(target=turn)
    thread.start()
    begun.wait()
    was_let_run = not ended.is_set()
    thread.join()
    return was_let_run
