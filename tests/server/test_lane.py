"""The lane under a real Granian: what takes it, what comes out of it, and what faults in it cost."""

import asyncio
import contextlib
import os
import random
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from granian.constants import HTTPModes, Interfaces
from granian.server import embed

import service
from backendify import lane, server
from backendify.lane import LaneClosed, open_lane
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.registry import Registry
from backendify.rsgi import over_rsgi
from hands import Hands

V1 = b"application/x-company-v1"
STEPS = ("scope", "decide", "proto", "send", "sent", "ask", "asked")
COMPANIES = {str(number): Company(str(number), f"Company {number}") for number in range(100)}


class Answering(Hands):
    """Answers each try as soon as the loop comes to it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(("im",))

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self.answer)

    def answer(self) -> None:
        self.work()
        for try_id, question in self.tries:
            body = b'{"cn":"Company %b"}' % question.id.encode()
            self.app.tried(try_id, self.region.keep(question, 200, V1, body))
        self.tries.clear()
        self.work()

    def work(self) -> float | None:
        due_s = super().work()
        if self.tries:
            self._loop.call_soon(self.answer)
        return due_s


@contextlib.asynccontextmanager
async def serving(hands: Hands, fault: Callable[[str], bool] | None = None) -> AsyncIterator[int]:
    """Serve an app with Granian in this process: the port."""
    port = service.free_port()
    server = embed.Server(
        over_rsgi(hands.app),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve(open_lane(hands.app, fault=fault)))
    try:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.01)
        yield port
    finally:
        server.stop()
        await serving


async def test_faults_under_load_cost_what_they_meet_and_nothing_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    chance = random.Random(6)  # noqa: S311 - no secret
    armed = True
    met: set[tuple[str, bool]] = set()

    def fault(step: str) -> bool:
        if not armed or chance.random() > 0.2:
            return False
        panics = chance.random() < 0.5
        met.add((step, panics))
        if panics:
            return True
        raise OSError(step)

    hands = Answering()
    async with serving(hands, fault) as port:

        async def ask(first: int, count: int) -> list[int]:
            statuses = []
            async with service.Customer(port) as customer:
                for number in range(first, first + count):
                    status, body = await customer.ask(str(number))
                    assert status != 200 or f'"name":"Company {number}"'.encode() in body
                    statuses.append(status)
            return statuses

        rough = await asyncio.gather(*(ask(20 * place, 200) for place in range(8)))
        assert met == {(step, panics) for step in STEPS for panics in (False, True)}
        assert {200, 500} == {status for statuses in rough for status in statuses}
        assert len(told) > len(met)
        armed = False
        hits = await asyncio.gather(*(ask(20 * place, 200) for place in range(5)))
        misses = await asyncio.gather(*(ask(10_000 + 200 * place, 200) for place in range(5)))
        assert {status for statuses in hits + misses for status in statuses} == {200}


async def test_hits_and_misses_take_the_lane() -> None:
    steps: list[str] = []

    def note(step: str) -> bool:
        steps.append(step)
        return False

    async with serving(Answering(), note) as port, service.Customer(port) as customer:
        await customer.ask("1")
        await customer.ask("1")
    assert steps == ["scope", "decide", "proto", "ask", "asked", "scope", "decide", "proto", "send", "sent"]


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    """Hits wait for the misses before them."""
    async with (
        Registry(Behaviour(latency_median_ms=30), COMPANIES) as registry,
        service.running({"im": registry.url}, "--deadline", "10s") as running,
    ):
        await asyncio.gather(*(running.get(str(number)) for number in range(0, 60, 2)))
        asked = "".join(
            f"GET /company?id={number}&country_iso=im HTTP/1.1\r\nHost: x\r\n\r\n" for number in range(60)
        )
        answers = await running.raw(asked.encode(), timeout_s=3.0)
        names = re.findall(rb'"name":"Company (\d+)"', answers)
        assert [int(name) for name in names] == list(range(60))


async def test_who_reads_slowly_is_answered_whole_and_holds_nobody_up() -> None:
    async with (
        Registry(Behaviour(latency_median_ms=0), COMPANIES) as registry,
        service.running({"im": registry.url}) as running,
    ):
        await running.get("1")
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1024)
        request = b"GET /company?id=1&country_iso=im HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(request * 20_000)  # some 5 MB of answers, more than the sockets' buffers hold
        await asyncio.sleep(0.3)
        assert (await running.get("1")).status_code == 200
        read = 0
        while read < 20_000:
            read += (await reader.readuntil(b"}")).count(b'"active"')
        writer.close()


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /company?id=1&country_iso=im HTTP/1.1",
        "HEAD /company?id=1&country_iso=im HTTP/1.1",
        "GET /company?id=unknown&country_iso=im HTTP/1.1",
        "GET /company?id=1&country_iso=xx HTTP/1.1",
        "GET /company?id=%&country_iso=im HTTP/1.1",
        "POST /company?id=1&country_iso=im HTTP/1.1",
        "GET /status HTTP/1.1",
        "GET / HTTP/1.0",
        "GET /nothing HTTP/1.1",
    ],
)
async def test_both_ways_serve_the_same_bytes(request_line: str) -> None:
    answers = []
    for options in ((), ("--no-lane",)):
        async with (
            Registry(Behaviour(latency_median_ms=0), COMPANIES) as registry,
            service.running({"im": registry.url}, *options) as running,
        ):
            request = f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            told = [await running.raw(request) for _ in range(2)]
            answers.append([re.sub(rb"date: [^\r]*|ttl=\d+|max-age=\d+", b"", answer) for answer in told])
    assert answers[0] == answers[1]


def test_another_granian_closes_the_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Hands().app
    assert open_lane(app)
    monkeypatch.setattr(lane, "_NEW_SCHEDULER", "_new_scheduler_of_granian_3")
    with pytest.raises(LaneClosed, match=r"Granian 2\.\d+\.\d+ makes its scheduler in another way"):
        open_lane(app)
    monkeypatch.undo()
    monkeypatch.delattr("granian._futures._cbsched_aioschedule")
    with pytest.raises(LaneClosed, match="has another shape"):
        open_lane(app)


def test_a_lane_that_is_closed_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lane, "_NEW_SCHEDULER", "_new_scheduler_of_granian_3")
    wanted = SimpleNamespace(lane=True)
    assert server._open_lane(wanted, SimpleNamespace(app=Hands().app)) is None  # noqa: SLF001
    [record] = caplog.records
    assert record.getMessage().startswith("hits take the event loop")


async def test_no_thread_takes_the_core_from_the_one_that_woke_it() -> None:
    policies = set()
    async with service.running({"im": "http://127.0.0.1:1"}) as running:
        for task in os.listdir(f"/proc/{running.process.pid}/task"):  # noqa: PTH208 - procfs
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                policies.add(os.sched_getscheduler(int(task)))
    assert policies == {os.SCHED_BATCH}


def test_only_one_file_knows_granians_inside() -> None:
    sources = Path(lane.__file__).parent.rglob("*.py")
    knowing = {path.name for path in sources if re.search(r"granian\._|\b_futures\b", path.read_text())}
    assert knowing == {"lane.py"}
