"""The service as its users meet it: a process of its own, real sockets, whatever server is under it."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlencode

import httpx

ONCE = ("--tries", "1")
"""For tests that count a registry's requests: no second try for slowness, no retry."""

Kind = Literal["granian", "uvicorn"]
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_PORT = re.compile(rb"(?:listens on|running on) http://[^ ]+:(\d+)")


@dataclass
class Service:
    """A running service."""

    process: asyncio.subprocess.Process
    port: int
    client: httpx.AsyncClient
    lines: list[str] = field(default_factory=list)
    """What it has written to standard error."""
    reading: asyncio.Task[None] | None = None

    async def get(self, company_id: str, country: str = "im", **kwargs: object) -> httpx.Response:
        """Ask for a company."""
        return await self.client.get("/company", params={"id": company_id, "country_iso": country}, **kwargs)

    async def raw(self, data: bytes, *, timeout_s: float = 2.0) -> bytes:
        """Send bytes and read until the end, or until the server has waited for more for `timeout_s`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            with contextlib.suppress(OSError):
                await writer.drain()
            return await _read_to_end(reader, timeout_s)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def rss_bytes(self) -> int:
        """Resident memory now."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:  # noqa: PTH123 - procfs
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """How many file descriptors are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 - procfs

    async def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = 30.0) -> int:
        """Send a signal and wait for the end: the exit status."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), timeout_s)


class Customer:
    """One kept-alive connection that asks for companies, ten times as fast as a whole client library."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, company_id: str, country: str = "im") -> tuple[int, bytes]:
        """Ask for a company: (status, body)."""
        query = urlencode({"id": company_id, "country_iso": country})
        self._writer.write(f"GET /company?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length
        return int(head[9:12]), await self._reader.readexactly(int(length[1]))


async def _read_to_end(reader: asyncio.StreamReader, timeout_s: float) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError, TimeoutError):
        while chunk := await asyncio.wait_for(reader.read(65536), timeout_s):
            data += chunk
    return data


@contextlib.asynccontextmanager
async def running(
    registries: Mapping[str, str], *options: str, kind: Kind = "granian"
) -> AsyncIterator[Service]:
    """Start a service in front of `registries` (country to URL); it is killed at the end if it still runs."""
    folder = tempfile.TemporaryDirectory(prefix="backendify-test-")
    options = ("--cache-path", f"{folder.name}/cache", "--cache-size", "16M", *options)
    process = await asyncio.create_subprocess_exec(
        *_command(registries, options, kind),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(registries, options, kind),
    )
    lines: list[str] = []
    try:
        port = await asyncio.wait_for(_port(process, lines), 30)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=30, limits=httpx.Limits(max_connections=None)
        ) as client:
            service = Service(process, port, client, lines)
            service.reading = asyncio.create_task(_collect(process, lines))
            yield service
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if "service" in locals():
            await service.reading
        folder.cleanup()


async def failing(registries: Mapping[str, str], *options: str) -> tuple[int, str]:
    """Start a service that cannot serve: (exit status, standard error)."""
    process = await asyncio.create_subprocess_exec(
        *_command(registries, options, "granian"), stderr=asyncio.subprocess.PIPE
    )
    _, told = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, told.decode()


def _command(registries: Mapping[str, str], options: tuple[str, ...], kind: Kind) -> list[str]:
    if kind == "uvicorn":
        return [
            sys.executable, "-m", "uvicorn", "--factory", "--interface", "asgi3", "backendify:create_app",
            "--host", "127.0.0.1", "--port", "0", "--no-access-log", "--ws", "none",
        ]  # fmt: skip
    pairs = [f"{country}={url}" for country, url in registries.items()]
    return [
        sys.executable, "-m", "backendify", *pairs,
        "--host", "127.0.0.1", "--port", "0", "--admin", "off", *options,
    ]  # fmt: skip


def _environment(registries: Mapping[str, str], options: tuple[str, ...], kind: Kind) -> dict[str, str]:
    """The same options, told by the environment where the server is not ours."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BACKENDIFY_")}
    if kind == "uvicorn":
        pairs = (f"{country}={url}" for country, url in registries.items())
        environment["BACKENDIFY_REGISTRIES"] = " ".join(pairs)
        for flag, value in zip(options[::2], options[1::2], strict=True):
            environment["BACKENDIFY_" + flag.removeprefix("--").replace("-", "_").upper()] = value
    return environment


async def _port(process: asyncio.subprocess.Process, lines: list[str]) -> int:
    assert process.stderr
    async for line in process.stderr:
        lines.append(line.decode())
        if found := _PORT.search(line):
            return int(found[1])
    message = f"the service ended with {await process.wait()}: {''.join(lines)}"
    raise RuntimeError(message)


async def _collect(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    assert process.stderr
    async for line in process.stderr:
        lines.append(line.decode())  # noqa: PERF401 - each line is there as soon as it is read


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
