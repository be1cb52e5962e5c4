"""`backendify top` from the command line: beside a real server, on a real terminal, and beside strangers."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import service
from backendify.admin import Admin, CacheStats, RegistryStats, Stats
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.registry import Registry

COMPANIES = {"1": Company("1", "One")}
STATS = Stats(
    version="7.8.9",
    uptime_s=100,
    draining=False,
    workers=1,
    hits=900,
    misses=100,
    collapsed=0,
    stored=100,
    answers={200: 1_000},
    cache=CacheStats(bytes=1_024, capacity_bytes=2_048, records=100, evictions=0, expired=0, oversize=0),
    fetches_running=0,
    fetches_max=468,
    customers_waiting=0,
    registries=(RegistryStats(country="im", asked=100, answered=100, failed=0, running=0, limit=20),),
    rss_bytes=1 << 25,
)
CLEAR = b"\x1b[H\x1b[J"
ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"
OPTIONS = ("--interval", "200ms")


class Busy:
    """A server's figures: from look to look a second passes, and eight hits and two misses are counted."""

    looks = 0

    def read(self) -> Stats:
        self.looks += 1
        return replace(
            STATS,
            uptime_s=STATS.uptime_s + self.looks,
            hits=STATS.hits + 8 * self.looks,
            misses=STATS.misses + 2 * self.looks,
        )


@contextlib.asynccontextmanager
async def busy(port: int = 0) -> AsyncIterator[Admin]:
    admin = Admin("127.0.0.1", port, read=Busy().read)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.aclose()


def environment(**more: str) -> dict[str, str]:
    """The tests' own, without what would tell the command anything."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("BACKENDIFY_")}
    return mine | {"TERM": "xterm"} | more


@contextlib.asynccontextmanager
async def started(
    *arguments: str, stdout: int = asyncio.subprocess.PIPE, **more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start it; it is killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backendify", "top", *arguments),
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**more),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def top(*arguments: str, **more: str) -> tuple[int, str, str]:
    """Run it: (exit status, standard output, standard error)."""
    async with started(*arguments, **more) as process:
        told, complained = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, told.decode(), complained.decode()


async def end(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal; it ends well, and has nothing to complain of."""
    process.send_signal(number)
    assert process.stderr
    assert (await asyncio.wait_for(process.stderr.read(), 30)).decode() == ""
    assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_one_block_of_a_real_server() -> None:
    port = service.free_port()
    async with (
        Registry(Behaviour(), COMPANIES) as registry,
        service.running({"im": registry.url}, "--admin", f"127.0.0.1:{port}") as running,
    ):
        for _ in range(4):
            assert (await running.get("1")).status_code == 200
        status, told, complained = await top("--once", "--admin", f"http://127.0.0.1:{port}/", *OPTIONS)
        assert (status, complained) == (0, "")
        lines = told.splitlines()
        assert lines[0].startswith("backendify 0.")
        assert f" at 127.0.0.1:{port}, 20" in lines[0]
        assert lines[2].endswith(", 1 worker")
        assert "requests   0.0/s   hits 75.0 % since the cache was made" in lines
        assert "answers    200: 0.0/s" in lines
        assert "\x1b" not in told
        assert lines[-1].split() == [*("im", "closed", "0/20", "0", "0.0", "0.0", "0.0", "450", "ms", "-")]
        # The public port serves nothing of this.
        status, told, complained = await top("--once", "--admin", f"127.0.0.1:{running.port}", *OPTIONS)
        assert (status, told) == (1, "")
        assert "says 404 to /stats; expected a running server's --admin address\n" in complained


async def test_the_address_is_where_the_environment_has_the_server_listen() -> None:
    async with busy() as admin:
        status, told, complained = await top("--once", *OPTIONS, BACKENDIFY_ADMIN=f"127.0.0.1:{admin.port}")
    assert (status, complained) == (0, "")
    assert "\nrequests   10/s   hits 80.0 %\n" in told


async def read(process: asyncio.subprocess.Process, until: bytes) -> bytes:
    """Read standard output until this."""
    assert process.stdout
    return await asyncio.wait_for(process.stdout.readuntil(until), 30)


async def test_plain_blocks_go_on_through_a_silence_until_a_signal() -> None:
    admin = Admin("127.0.0.1", 0, read=Busy().read)
    await admin.start()
    address = f"127.0.0.1:{admin.port}"
    async with started("--admin", address, *OPTIONS) as process:
        assert b"requests   -   hits 89.9 % since the cache was made\n" in await read(
            process, b"\n\nbackendify 7.8.9"
        )
        assert b"requests   10/s   hits 80.0 %\n" in await read(process, b"pause\n")
        port = admin.port
        await admin.aclose()
        silence = await read(process, b": Connection refused\n")
        assert f"\n\nno answer from {address} for ".encode() in silence
        async with busy(port):
            back = await read(process, b"pause\n")
            assert b"requests   -   hits" in back, "nobody knows what was asked during a silence"
            assert b"\x1b" not in silence + back
            await end(process, signal.SIGTERM)


async def test_nobody_there_is_one_line() -> None:
    port = service.free_port()
    status, told, complained = await top("--admin", f"127.0.0.1:{port}")
    assert (status, told) == (1, "")
    assert complained == (
        f"backendify: 127.0.0.1:{port}: Connection refused; expected a running server's --admin address\n"
    )


@dataclass
class Terminal:
    """A terminal of twelve lines of sixty: what was written to it."""

    keyboard: int
    screen: int

    async def until(self, piece: bytes) -> bytes:
        """Read until this has been written."""
        loop, read = asyncio.get_running_loop(), b""
        async with asyncio.timeout(30):
            while piece not in read:
                ready = loop.create_future()
                loop.add_reader(self.keyboard, ready.set_result, None)
                await ready
                loop.remove_reader(self.keyboard)
                read += os.read(self.keyboard, 1 << 16)
        return read


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
    yield Terminal(keyboard, screen)
    os.close(keyboard)
    os.close(screen)


async def test_a_terminal_is_drawn_on_and_given_back(terminal: Terminal) -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(contextlib.AsyncExitStack())
        admin = await server.enter_async_context(busy())
        where = ("--admin", f"127.0.0.1:{admin.port}")
        process = await stack.enter_async_context(started(*where, *OPTIONS, stdout=terminal.screen))
        first = await terminal.until(b"im   closed        0/20")
        begun, page = first.split(CLEAR)[:2]
        drawn = page.split(b"\r\r\n")  # one \r is the terminal's own
        assert begun == ENTER
        assert drawn[0].startswith(b"backendify 7.8.9 at 127.0.0.1:")
        assert len(drawn) == 12
        assert len(drawn[-2]) == 60, "cut, and nothing behind it"
        assert ENTER not in await terminal.until(b"requests   10/s   hits 80.0 %\r")
        await server.aclose()
        assert CLEAR + b"no answer from 127.0.0.1:" in await terminal.until(b"Told before that:\r")
        await terminal.until(b"... 4 more lines")
        await end(process, signal.SIGINT)
        assert (await terminal.until(LEAVE)).endswith(LEAVE)


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0] == "T"


async def test_a_suspended_top_gives_the_terminal_back_meanwhile(terminal: Terminal) -> None:
    async with (
        busy() as admin,
        started("--admin", f"127.0.0.1:{admin.port}", *OPTIONS, stdout=terminal.screen) as process,
    ):
        await terminal.until(CLEAR)
        process.send_signal(signal.SIGTSTP)
        assert (await terminal.until(LEAVE)).endswith(LEAVE)
        async with asyncio.timeout(30):
            while not is_stopped(process.pid):
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGCONT)
        assert ENTER in await terminal.until(CLEAR)
        await end(process, signal.SIGINT)
