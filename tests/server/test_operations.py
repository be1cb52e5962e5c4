"""StatsD and the operators' listener of a running service."""

import asyncio
import socket

import httpx

import service
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.registry import Registry

COMPANIES = {"1": Company("1", "One")}


async def test_statsd_is_told_five_names_at_most() -> None:
    names: set[str] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        async with (
            Registry(Behaviour(), COMPANIES) as registry,
            service.running({"im": registry.url}, "--statsd-server", address) as running,
        ):
            loop = asyncio.get_running_loop()
            while not {"backendify.hits", "backendify.misses", "backendify.fetch_ms"} <= names:
                await running.get("1")
                await running.get("none")
                datagram = await asyncio.wait_for(loop.sock_recv(listener, 2000), 30)
                names |= {line.partition(":")[0] for line in datagram.decode().splitlines()}
    assert len(names) <= 5
    assert all(name.startswith("backendify.") for name in names)


async def test_a_wrong_statsd_address_harms_nothing() -> None:
    for address in ("nonsense", "127.0.0.1:1", "no.such.host.invalid:8125"):
        async with (
            Registry(Behaviour(), COMPANIES) as registry,
            service.running({"im": registry.url}, "--statsd-server", address) as running,
        ):
            for _ in range(3):
                assert (await running.get("1")).status_code == 200
                await asyncio.sleep(0.4)
        assert sum("StatsD" in line for line in running.lines) <= 1


async def test_operators_see_what_customers_cannot() -> None:
    port = service.free_port()
    async with (
        Registry(Behaviour(), COMPANIES) as registry,
        service.running({"im": registry.url}, "--admin", f"127.0.0.1:{port}") as running,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as operators,
    ):
        for company_id in ("1", "1", "1", "2"):
            await running.get(company_id)
        stats = (await operators.get("/stats")).json()
        assert (stats["hits"], stats["misses"], stats["stored"]) == (2, 2, 2)
        assert stats["answers"]["200"] == 3
        assert stats["cache"]["records"] == 2
        assert stats["registries"][0] == {
            "country": "im",
            "asked": 2,
            "asked_again": 0,
            "answered": 2,
            "failed": 0,
            "running": 0,
            "limit": 20,
            "queued": 0,
            "breaker_open": False,
            "throttled": 0,
            "patience_s": 0.45,
            "paused_for_s": 0,
        }
        assert "backendify_hits_total 2" in (await operators.get("/metrics")).text
        assert (await operators.get("/healthz")).status_code == 200
        assert "<html" in (await operators.get("/")).text
        for path in ("/stats", "/metrics", "/healthz"):
            assert (await running.client.get(path)).status_code == 404


async def test_a_taken_admin_port_is_an_error_only_when_asked_for() -> None:
    async with Registry(Behaviour(), COMPANIES) as registry:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            status, told = await service.failing({"im": registry.url}, "--admin", f"127.0.0.1:{port}")
    assert status == 1
    assert told.splitlines()[-1].endswith("Address already in use")
    assert str(port) in told.splitlines()[-1]
    assert "Traceback" not in told
