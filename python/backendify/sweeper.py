"""Clears what is past its time, a few buckets at a time, so that no turn of the loop is held up."""

import asyncio

from backendify._core import Region

BUCKETS_A_TURN = 64  # a turn of about 50 µs
ROUND_S = 60.0  # every bucket is looked at about once in this time


async def sweep(region: Region, *, round_s: float = ROUND_S) -> None:
    """Go round the region for ever, once in `round_s` seconds."""
    turns = max(1, region.buckets // BUCKETS_A_TURN)
    while True:
        region.sweep(BUCKETS_A_TURN)
        await asyncio.sleep(round_s / turns)
