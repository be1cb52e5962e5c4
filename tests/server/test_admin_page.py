"""The operators' page in a real browser, against the real listener."""

import asyncio
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from backendify.admin import Admin, CacheStats, RegistryStats, Stats

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STATS = Stats(
    version="7.8.9",
    uptime_s=90_061,
    draining=False,
    workers=3,
    hits=970_000,
    misses=30_000,
    collapsed=4_321,
    stored=25_679,
    answers={200: 990_000, 404: 9_000, 504: 1_000},
    cache=CacheStats(
        bytes=31_457_280, capacity_bytes=41_943_040, records=777_006, evictions=17, expired=18, oversize=19
    ),
    fetches_running=11,
    fetches_max=468,
    customers_waiting=12,
    registries=(
        RegistryStats(country="ru", asked=20_000, answered=19_900, failed=89, running=11),
        RegistryStats(country="us", asked=10_000, answered=7_000, failed=3_000, running=0),
    ),
    rss_bytes=58_720_256,
    memory_limit_bytes=134_217_728,
)


class Busy:
    """A service whose numbers grow between two readings; `settled` after the third."""

    def __init__(self) -> None:
        self.readings = 0

    def read(self) -> Stats:
        self.readings += 1
        return replace(
            STATS,
            uptime_s=STATS.uptime_s + self.readings,
            hits=STATS.hits + 900 * self.readings,
            misses=STATS.misses + 100 * self.readings,
        )


async def browse(address: str, profile: Path) -> str:
    """The page's text as it stands after some seconds of the browser's own, virtual time."""
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses its sandbox to root
        "--virtual-time-budget=3500",
        "--dump-dom",
        address,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            dom, _ = await browser.communicate()
    except TimeoutError:
        browser.kill()
        await browser.wait()
        raise
    return dom.decode()


def text_of(dom: str, name: str) -> str:
    """The text of the element with this id."""
    match = re.search(rf'id="{name}"[^>]*>([^<]*)<', dom)
    assert match is not None, name
    return match[1]


@pytest.mark.slow
@pytest.mark.skipif(
    CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the operators' page"
)
async def test_the_page_shows_the_numbers(tmp_path: Path) -> None:
    busy = Busy()
    admin = Admin("127.0.0.1", 0, read=busy.read)
    await admin.start()
    dom = await browse(f"http://127.0.0.1:{admin.port}/", tmp_path)
    await admin.aclose()
    assert busy.readings >= 2
    shown = {name: text_of(dom, name) for name in re.findall(r'id="([a-z-]+)"', dom)}
    assert shown["state"] == "serving"
    assert shown["version"] == "7.8.9"
    assert shown["uptime"] == "1 d 1 h"
    assert shown["hit-ratio"] == "90.0 %"
    assert shown["rate"] == "1,000"
    assert shown["waiting"] == "12"
    assert shown["fetches"] == "11"
    assert shown["records"] == "777,006"
    assert shown["cache-size"] == "30 MiB of 40 MiB · 75.0 %"
    assert shown["memory-size"] == "56 MiB of 128 MiB · 43.8 %"
    assert shown["stored"] == "25,679"
    assert "\N{EN DASH}" not in shown.values()
    assert re.findall(r"<td[^>]*>([^<]*)</td>", dom)[:7] == [
        "ru",
        "0.0",
        "11",
        "20,000",
        "19,900",
        "89",
        "0.4 %",
    ]
    assert re.search(r'<td class="bad">30\.0 %</td>', dom)
    assert re.search(r'id="chart-hits" d="M11[0-9] 40L', dom)
