"""Where the cache's file lies, and what is told when it cannot."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import service

NOBODY = {"im": "http://127.0.0.1:1"}


@contextlib.asynccontextmanager
async def mounted(folder: Path, options: str) -> AsyncIterator[None]:
    """Have a tmpfs there."""
    if os.geteuid():
        pytest.skip("NOT TESTED: a file system of its own, because only root may mount one")
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    if await mount.wait():
        pytest.skip("NOT TESTED: a file system of its own, because this system lets nobody mount one")
    try:
        yield
    finally:
        await (await asyncio.create_subprocess_exec("umount", str(folder))).wait()


async def refused(*options: str) -> str:
    """Start a service that must refuse in one line, with status 2: the line."""
    status, told = await service.failing(NOBODY, *options)
    assert status == 2, told
    assert told.count("\n") == 1, told
    assert told.startswith("backendify: --cache-path: ")
    return told


async def test_a_temporary_directory_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    for port in ("0", str(service.free_port())):
        assert f"No such file or directory: {tmp_path / 'none'}" in await refused("--port", port)


async def test_a_file_system_that_is_read_only_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "fixed"
    folder.mkdir()
    async with mounted(folder, "size=1m,ro"):
        assert f"Read-only file system: {folder};" in await refused("--cache-path", str(folder / "cache"))
        monkeypatch.setenv("TMPDIR", str(folder))
        for port in ("0", str(service.free_port())):
            assert f"Read-only file system: {folder}" in await refused("--port", port)


async def test_the_file_is_where_the_documentation_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    port = service.free_port()
    automatic = ("--cache-path", "auto", "--cache-size", "1M", "--lame-duck", "0s")
    async with service.running(NOBODY, *automatic, "--port", str(port)) as running:
        file = tmp_path / f"backendify-{port}.cache"
        assert file.exists()
        assert any(f"cache: {file}, " in line for line in running.lines)
        assert await running.stop() == 0
    assert file.exists(), "a service on this port finds it again"


async def test_a_small_file_system_holds_a_smaller_cache(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    cache = ("--cache-path", str(folder / "cache"), "--cache-size", "auto", "--lame-duck", "0s")
    async with mounted(folder, "size=20m"):
        for found in ("new", "with what it held"):
            async with service.running(NOBODY, *cache) as running:
                assert any("service, 15M cache in memory" in line for line in running.lines), running.lines
                assert any(f"cache: {folder / 'cache'}, {found}" in line for line in running.lines)
                assert await running.stop() == 0
            (folder / "other").write_bytes(b"x" * (1 << 20))
        status, told = await service.failing(NOBODY, *cache, "--cache-size", "30M")
        assert (status, "no room" in told) == (2, True), "asked for by number"


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_file_that_nobody_could_find_again_is_removed(
    workers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service on any free port leaves nothing; one that is killed leaves it to the next that starts so."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    once = (
        "--port",
        "0",
        "--cache-path",
        "auto",
        "--cache-size",
        "1M",
        "--lame-duck",
        "0s",
        "--workers",
        workers,
    )
    (tmp_path / "backendify-9000.cache").write_bytes(b"of a service that is just not running")
    async with service.running(NOBODY, *once) as killed, service.running(NOBODY, *once) as beside:
        await killed.stop(signal.SIGKILL)
        assert killed.reading
        await killed.reading  # until its workers have ended too
        assert _cache_of(killed) in _names(tmp_path)
        async with service.running(NOBODY, *once) as third:
            there = {name for name in _names(tmp_path) if name.endswith(".cache")}
            assert there == {"backendify-9000.cache", _cache_of(beside), _cache_of(third)}
            assert await third.stop() == 0
        assert await beside.stop(signal.SIGINT) == 0
    assert _names(tmp_path) == ["backendify-9000.cache"]


async def test_a_service_that_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    options = ("--cache-path", "auto", "--memory", "64M", "--workers", "9")
    assert (await service.failing(NOBODY, *options))[0] == 2
    assert _names(tmp_path) == []


async def test_the_demo_on_any_port_leaves_nothing(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backendify", "demo", "--port", "0", "--admin", "off", "--lame-duck", "0s"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert process.stderr
    async with asyncio.timeout(30):
        while b"listens on" not in (line := await process.stderr.readline()):
            assert line, "it ended"
        assert len(_names(tmp_path)) == 1
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert _names(tmp_path) == []


def _cache_of(running: service.Service) -> str:
    """Read the name of its file from what it tells at start."""
    found = re.search(r"cache: \S+/(backendify-\S+\.cache), ", "".join(running.lines))
    assert found, running.lines
    return found[1]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
