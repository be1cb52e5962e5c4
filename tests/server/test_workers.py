"""Several workers over one region: one answer, one flight, and no worker's death is anybody's."""

import asyncio
import contextlib
import itertools
import os
import signal
from pathlib import Path

import httpx
import pytest

import service
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.registry import Registry
from service import ONCE

COMPANIES = {str(number): Company(str(number), f"Company {number}") for number in range(2000)}


def workers_of(running: service.Service) -> list[int]:
    pid = running.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in children.split()]


def connections(worker: int, *, from_port: int | None = None, to_port: int | None = None) -> int:
    """How many of a process's TCP connections have this port at their own end, or at the other (proc(5), proc_net)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    column, port = (1, from_port) if from_port else (2, to_port)
    inodes = {row[9] for row in rows if row[3] == "01" and row[column].endswith(f":{port:04X}")}
    files = set()
    for path in Path(f"/proc/{worker}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            files.add(str(path.readlink()))
    return len({f"socket:[{inode}]" for inode in inodes} & files)


async def ask(running: service.Service, company_id: str, gate: asyncio.Semaphore | None = None) -> int:
    """Ask on a connection of its own: the kernel chooses the worker. `gate` bounds how many ask at once."""
    try:
        async with gate or contextlib.nullcontext(), service.Customer(running.port) as customer:
            return (await customer.ask(company_id))[0]
    except (OSError, asyncio.IncompleteReadError):
        return 0  # the worker died with the connection


async def test_what_one_worker_keeps_the_others_tell() -> None:
    port = service.free_port()
    async with (
        Registry(Behaviour(), COMPANIES) as registry,
        service.running(
            {"im": registry.url}, "--workers", "3", "--admin", f"127.0.0.1:{port}", "--deadline", "30s"
        ) as running,
        httpx.AsyncClient() as operators,
    ):
        assert len(workers_of(running)) == 3
        gate = asyncio.Semaphore(20)  # cold workers begin with a few questions at once
        for _ in range(2):
            statuses = await asyncio.gather(*(ask(running, number, gate) for number in list(COMPANIES)[:300]))
            assert set(statuses) == {200}
        assert registry.counts.requests == 300
        stats = (await operators.get(f"http://127.0.0.1:{port}/stats")).json()
        assert (stats["hits"], stats["misses"], stats["stored"]) == (300, 300, 300), "over all workers"


async def test_one_flight_over_all_workers() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=300), COMPANIES) as registry,
        service.running({"im": registry.url}, *ONCE, "--workers", "4", "--deadline", "30s") as running,
    ):
        for number in ("1", "2", "3"):
            statuses = await asyncio.gather(*(ask(running, number) for _ in range(50)))
            assert set(statuses) == {200}
        assert registry.counts.by_number_max == 1
        registry.behaviour = Behaviour(latency_median_ms=300, error_share=1.0)
        assert set(await asyncio.gather(*(ask(running, "4") for _ in range(50)))) == {502}
        assert registry.counts.by_number["4"] == 1, "a failure is shared by all who wait"


async def test_tries_beside_each_other_share_a_flight_too() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=20), COMPANIES) as registry,
        service.running(
            {"im": registry.url}, "--workers", "2", "--deadline", "30s", "--lame-duck", "0s"
        ) as running,
    ):
        for number in range(100):  # so that a second try is allowed, and soon
            assert await ask(running, str(number)) == 200
        registry.behaviour = Behaviour(latency_median_ms=1000)
        for number in range(100, 104):
            statuses = await asyncio.gather(*(ask(running, str(number)) for _ in range(20)))
            assert set(statuses) == {200}
        assert registry.counts.by_number_max <= 3, "as many tries as one worker may make"
        assert await running.stop() == 0
    assert "Traceback" not in "".join(running.lines)


async def test_a_dead_worker_s_lease_is_taken_over() -> None:
    async with (
        Registry(Behaviour(hang_share=1.0), COMPANIES) as registry,
        service.running(
            {"im": registry.url}, *ONCE, "--workers", "2", "--deadline", "30s", "--fetch-timeout", "60s"
        ) as running,
    ):
        asking = [asyncio.create_task(ask(running, "7")) for _ in range(20)]
        workers, registry_port = workers_of(running), httpx.URL(registry.url).port
        customers = [0, 0]
        async with asyncio.timeout(20):
            while not registry.counts.waiting or sum(customers) < 20:
                await asyncio.sleep(0.01)
                customers = [connections(worker, from_port=running.port) for worker in workers]
        await asyncio.sleep(0.5)  # for both workers to read what is asked of them
        assert registry.counts.requests == 1
        owner, waiter = sorted((0, 1), key=lambda place: -connections(workers[place], to_port=registry_port))
        assert connections(workers[waiter], to_port=registry_port) == 0
        assert customers[waiter], "all came to one worker, which happens once in half a million"
        registry.behaviour = Behaviour()
        # Stopped, so that nobody succeeds the owner: a successor would free what it held.
        running.process.send_signal(signal.SIGSTOP)
        os.kill(workers[owner], signal.SIGKILL)
        statuses = await asyncio.gather(*asking)
        assert (statuses.count(200), statuses.count(0)) == (customers[waiter], customers[owner])
        assert registry.counts.requests == 2
        running.process.send_signal(signal.SIGCONT)


async def test_killing_workers_loses_no_service_and_no_answer() -> None:
    async with (
        Registry(Behaviour(), COMPANIES) as registry,
        service.running({"im": registry.url}, *ONCE, "--workers", "2", "--deadline", "30s") as running,
    ):
        for turn in range(6):
            gate = asyncio.Semaphore(20)
            asking = [
                asyncio.create_task(ask(running, str(number + turn * 100), gate)) for number in range(100)
            ]
            await asyncio.sleep(0.02)
            os.kill(workers_of(running)[turn % 2], signal.SIGKILL)
            assert set(await asyncio.gather(*asking)) <= {0, 200}
            while await ask(running, str(turn)) != 200:
                await asyncio.sleep(0.05)
            while len(workers_of(running)) < 2:
                await asyncio.sleep(0.05)
        for number in list(COMPANIES)[:600]:
            answer = await running.get(number)
            assert answer.json()["name"] == COMPANIES[number].name
        assert await running.stop() == 0
    assert "Traceback" not in "".join(running.lines)


async def test_a_cap_holds_over_all_workers_and_a_death_costs_none_of_it() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=100), {}) as registry,
        service.running(
            {"im": registry.url}, *ONCE, "--workers", "2", "--registry-concurrency", "3"
        ) as running,
    ):
        counts = registry.counts

        async def keep_asking(asker: int) -> None:
            for number in itertools.count():
                assert await ask(running, f"{asker}-{number}") in {0, 404, 503, 504}

        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(keep_asking(asker)) for asker in range(12)]
            for turn in range(3):
                async with asyncio.timeout(20):
                    while counts.waiting < 3:
                        await asyncio.sleep(0.001)
                    assert counts.waiting_peak == 3
                    if turn < 2:
                        os.kill(workers_of(running)[turn], signal.SIGKILL)
                    # The registry hears of the dead worker's connections a moment after the others know it dead.
                    await asyncio.sleep(0.1)
                    counts.waiting_peak = counts.waiting
                    while counts.waiting < 3 or len(workers_of(running)) < 2:
                        await asyncio.sleep(0.001)
            for task in asking:
                task.cancel()
        assert counts.waiting_peak == 3


async def test_answers_survive_a_restart(tmp_path: Path) -> None:
    cache = ("--cache-path", str(tmp_path / "cache"))
    async with Registry(Behaviour(), COMPANIES) as registry:
        for found in ("new", "with what it held"):
            async with service.running({"im": registry.url}, *ONCE, *cache, "--lame-duck", "0s") as running:
                for number in list(COMPANIES)[:100]:
                    assert (await running.get(number)).status_code == 200
                assert await running.stop() == 0
            assert any(found in line for line in running.lines)
        assert registry.counts.requests == 100
        async with service.running({"gg": registry.url}, *ONCE, *cache) as running:
            assert (await running.get("1", "gg")).status_code == 200
        assert registry.counts.requests == 101, "another country's answers are never told"


async def test_a_damaged_file_is_replaced_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    path.write_bytes(b"not a cache" * 1000)
    path.chmod(0o600)
    async with (
        Registry(Behaviour(), COMPANIES) as registry,
        service.running({"im": registry.url}, *ONCE, "--cache-path", str(path)) as running,
    ):
        assert (await running.get("1")).status_code == 200
        assert sum("started anew" in line for line in running.lines) == 1


async def test_what_cannot_work_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "open").write_bytes(b"")
    (tmp_path / "open").chmod(0o666)
    (tmp_path / "folder").mkdir()
    for options, words in (
        (("--cache-path", str(tmp_path / "none" / "cache")), "director"),
        (("--cache-path", str(tmp_path / "link")), "symbolic link"),
        (("--cache-path", str(tmp_path / "open")), "other users"),
        (("--cache-path", str(tmp_path / "folder")), "ordinary file"),
        (("--cache-size", "1K"), "--cache-size"),
        (("--memory", "64M", "--cache-size", "60M", "--cache-path", "/dev/shm/backendify-test"), "60M"),  # noqa: S108
    ):
        status, told = await service.failing({"im": "http://127.0.0.1:1"}, *options)
        assert status == 2, (options, told)
        assert told.count("\n") == 1, told
        assert words in told


async def test_a_refusal_is_told_once_however_many_workers_there_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    options = ("--workers", "8", "--cache-path", str(tmp_path / "link"), "--cache-size", "1M")
    for _ in range(3):
        status, told = await service.failing({"im": "http://127.0.0.1:1"}, *options, "--memory", "1G")
        assert status == 2
        assert told.count("\n") == 1, told
        assert "symbolic link" in told


async def test_workers_tell_what_was_found_before_they_began(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"not a cache" * 1000)
    (tmp_path / "cache").chmod(0o600)
    options = ("--workers", "3", "--cache-path", str(tmp_path / "cache"))
    async with service.running({"im": "http://127.0.0.1:1"}, *options) as running:
        assert sum("started anew" in line for line in running.lines) == 1


async def test_a_successor_that_cannot_serve_stops_nobody_else(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    async with (
        Registry(Behaviour(), COMPANIES) as registry,
        service.running(
            {"im": registry.url}, *ONCE, "--workers", "2", "--cache-path", str(cache), "--lame-duck", "0s"
        ) as running,
    ):
        assert await ask(running, "1") == 200
        cache.rename(tmp_path / "moved")  # both still have it
        cache.symlink_to(tmp_path / "moved")
        os.kill(workers_of(running)[0], signal.SIGKILL)
        async with asyncio.timeout(30):
            while not any("cannot be replaced" in line for line in running.lines):
                await asyncio.sleep(0.01)
        assert len(workers_of(running)) == 1
        assert await ask(running, "1") == 200
        assert await ask(running, "2") == 200
        assert await running.stop() == 0
    assert any("symbolic link" in line for line in running.lines)


async def test_one_file_for_services_that_agree_and_for_no_others(tmp_path: Path) -> None:
    cache = ("--cache-path", str(tmp_path / "cache"))
    async with (
        Registry(Behaviour(), COMPANIES) as registry,
        service.running({"im": registry.url}, *ONCE, *cache) as first,
        service.running({"im": registry.url}, *ONCE, *cache) as second,
    ):
        assert (await first.get("1")).status_code == 200
        assert "hit" in (await second.get("1")).headers["cache-status"]
        assert registry.counts.requests == 1
        status, told = await service.failing({"gg": registry.url}, *cache)
        assert status == 2
        assert "in use by a service with another configuration" in told


async def test_services_of_several_workers_share_a_flight_over_one_file(tmp_path: Path) -> None:
    options = (*ONCE, "--workers", "2", "--deadline", "30s", "--cache-path", str(tmp_path / "cache"))
    async with (
        Registry(Behaviour(latency_median_ms=500), COMPANIES) as registry,
        service.running({"im": registry.url}, *options) as first,
        service.running({"im": registry.url}, *options) as second,
    ):
        statuses = await asyncio.gather(
            *(ask(running, "1") for running in (first, second) for _ in range(10))
        )
        assert set(statuses) == {200}
        assert registry.counts.requests == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: a full disk, because only root may mount one")
async def test_a_full_disk_is_an_error_at_start_and_not_a_crash(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = await asyncio.create_subprocess_exec(
        "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)
    )
    if await mount.wait():
        pytest.skip("NOT TESTED: a full disk, because this system lets nobody mount one")
    try:
        options = ("--cache-path", str(folder / "cache"), "--cache-size", "2M")
        status, told = await service.failing({"im": "http://127.0.0.1:1"}, *options)
    finally:
        await (await asyncio.create_subprocess_exec("umount", str(folder))).wait()
    assert status == 2
    assert told.count("\n") == 1
    assert "no room" in told
