"""Records past their time are cleared in the background."""

import asyncio

from backendify._core import Question, Region
from backendify.sweeper import sweep


async def test_what_is_past_its_time_goes_without_being_asked_for() -> None:
    region = Region(bytes=4 << 20, ttl_ms=100, negative_ttl_ms=100, stale_ms=0)
    for number in range(1000):
        region.keep(Question(0, str(number)), 404, b"", b"")
    assert region.stats()["records"] == 1000
    sweeper = asyncio.create_task(sweep(region, round_s=0.05))
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
