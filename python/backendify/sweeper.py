"""Clears what is past its time, a few buckets at a time, so that no turn of the loop is held up.

In memory a turn takes about 50 µs and is the loop's own. On a disk each bucket may be a read, 64 of them 24 ms:
there a thread takes the turn, and `Region.sweep` lets go of the GIL for it.
"""

import asyncio

from backendify._core import Region

BUCKETS_A_TURN = 64
ROUND_S = 60.0  # every bucket is looked at about once in this time
ROUND_ON_DISK_S = 3600.0  # there each look may be a read, and stores clear what they meet anyway


async def sweep(region: Region, *, is_memory: bool, round_s: float | None = None) -> None:
    """Go round the region for ever, once in `round_s` seconds; by itself in a minute in memory, an hour on a disk."""
    round_s = round_s or (ROUND_S if is_memory else ROUND_ON_DISK_S)
    turns = max(1, region.buckets // BUCKETS_A_TURN)
    while True:
        if is_memory:
            region.sweep(BUCKETS_A_TURN)
        else:
            await asyncio.to_thread(region.sweep, BUCKETS_A_TURN)
        await asyncio.sleep(round_s / turns)
