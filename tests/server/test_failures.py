"""Registries that misbehave: the contract's status, other countries unaffected, nothing kept, nothing leaked."""

import asyncio
import ssl
import subprocess

import pytest

import service
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.misbehaving import MISBEHAVIOURS, MisbehavingRegistry
from backendify.rehearsal.registry import Registry

GOOD = {"1": Company("1", "One")}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
async def test_the_contract_s_status(name: str) -> None:
    async with (
        MisbehavingRegistry(name) as bad,
        Registry(Behaviour(), GOOD) as good,
        service.running({"im": bad.url, "gg": good.url}, "--fetch-timeout", "2s") as running,
    ):
        told, unaffected = await asyncio.gather(running.get("1"), running.get("1", "gg"))
        assert told.status_code in bad.misbehaviour.statuses
        assert told.headers["content-type"] == "application/problem+json"
        assert told.headers["cache-control"] == "no-store"
        assert "127.0.0.1" not in told.text
        assert unaffected.status_code == 200
        assert getattr(bad, "redirects_followed", 0) == 0
        # A registry that answered whole may keep its one connection; no other is left behind.
        may_be_kept = told.status_code == 502 or name in {"throttling", "unavailable"}
        async with asyncio.timeout(10):
            while bad.connections_open > may_be_kept:
                await asyncio.sleep(0.01)
    assert "Traceback" not in "".join(running.lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", MISBEHAVIOURS)
async def test_within_a_second_and_memory_flat(name: str) -> None:
    """The status comes within 1.05 s, and a thousand more questions leave memory and descriptors as they were."""
    loop = asyncio.get_running_loop()
    async with (
        MisbehavingRegistry(name) as bad,
        Registry(Behaviour(), GOOD) as good,
        service.running({"im": bad.url, "gg": good.url}, "--fetch-timeout", "2s") as running,
    ):
        await running.get("1", "gg")

        async def ask(number: int) -> float:
            begun_s = loop.time()
            answer = await running.get(f"{number}")
            took_s = loop.time() - begun_s
            assert answer.status_code in bad.misbehaviour.statuses | {504}
            return took_s

        # Customers come one after another: how long an answer takes is the service's time, not the test's queue.
        assert max([await ask(number) for number in range(5)]) <= 1.05
        await _storm(running, 1000)
        rss, descriptors = running.rss_bytes(), running.descriptors()
        for _ in range(2):
            await _storm(running, 1000)
        assert running.rss_bytes() - rss < 8 << 20
        assert running.descriptors() <= descriptors + 64, "idle connections of the pool and of this client"
        assert (await running.get("1", "gg")).status_code == 200


async def _storm(running: service.Service, questions: int) -> None:
    gate = asyncio.Semaphore(100)

    async def ask(number: int) -> None:
        async with gate:
            assert (await running.get(f"storm-{number}")).status_code in {502, 503, 504}

    await asyncio.gather(*(ask(number) for number in range(questions)))
    await asyncio.sleep(2.5)  # the last fetches end


async def test_tls_is_verified(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A certificate that nobody vouches for is no answer; with its authority named, it is one."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"cn":"One"}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-company-v1\r\nConnection: close\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with service.running({"im": url}) as running:
            assert (await running.get("1")).status_code == 504
        async with service.running({"im": url}, "--registry-ca", str(folder / "cert.pem")) as running:
            assert (await running.get("1")).json()["name"] == "One"
        async with service.running(
            {"im": url}, "--registry-ca", str(folder / "cert.pem"), "--transport", "httpx"
        ) as running:
            assert (await running.get("1")).json()["name"] == "One"


async def test_a_header_for_one_registry_reaches_it_alone() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        service.running(
            {"im": url, "gg": url}, "--registry-header", "gg: Authorization: Bearer secret"
        ) as running,
    ):
        assert (await running.get("1", "im")).status_code == 404
        assert (await running.get("1", "gg")).status_code == 404
    assert [b"Bearer secret" in head for head in seen] == [False, True]
    assert "secret" not in "".join(running.lines)
