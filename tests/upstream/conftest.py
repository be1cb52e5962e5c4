"""The transports that have to cope with what registries say."""

import asyncio
import importlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from backendify.transport import GetTransport
from backendify.upstream import Upstream, make_transport
from raw_registry import Behaviour, Connect, RawRegistry, Start, registry_at

ROOT = Path(__file__).parents[2]
TRANSPORTS = os.environ.get("BACKENDIFY_TEST_TRANSPORTS", "fast,httpx").split(",")
"""Others are those of bench/candidates.py; the table of docs/decisions/0001 was made with all of them."""


def candidate(kind: str, **options: object) -> httpx.AsyncBaseTransport:
    """Make a transport by name."""
    if kind in {"fast", "httpx"}:
        return make_transport(kind, **options)  # type: ignore[arg-type]
    if str(ROOT / "bench") not in sys.path:
        sys.path.insert(0, str(ROOT / "bench"))
    return importlib.import_module("candidates").make_transport(kind, **options)  # type: ignore[no-any-return]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a registry that behaves so."""
    servers = []

    async def starter(behaviour: Behaviour, *, host: str = "127.0.0.1", ssl: object = None) -> RawRegistry:
        registry = RawRegistry(behaviour)
        server = await asyncio.start_server(registry.serve, host, 0, ssl=ssl, limit=1 << 20, backlog=1024)  # type: ignore[arg-type]
        servers.append(server)
        registry.port = server.sockets[0].getsockname()[1]
        return registry

    before = asyncio.all_tasks()
    yield starter
    for server in servers:
        server.close()
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.fixture(params=TRANSPORTS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name a transport under test."""
    return str(request.param)


@pytest.fixture
async def connect(kind: str) -> AsyncIterator[Connect]:
    """Make an upstream client, of a registry or of a base URL."""
    transports = []

    def connector(  # what tests vary
        registry: RawRegistry | str,
        *,
        path: str = "",
        connections_max: int = 400,
        ca_file: Path | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        connect_timeout_ms: float = 300,
    ) -> Upstream:
        url = registry if isinstance(registry, str) else f"http://127.0.0.1:{registry.port}{path}"
        transport = candidate(kind, ca_file=ca_file, connections_max=connections_max)
        transports.append(transport)
        if isinstance(transport, GetTransport):
            transport.stale_s = 60.0  # a busy machine's pauses are no late losses
        return Upstream(registry_at(url, headers), transport=transport, connect_timeout_ms=connect_timeout_ms)

    yield connector
    for transport in transports:
        await transport.aclose()


HTTPX_FALLS_SHORT = {
    "is_refused_while_it_is_read[httpx-headers]": "stops at 100 KiB, and calls it malformed",
    "is_refused_while_it_is_read[httpx-one header]": "stops at 100 KiB, and calls it malformed",
    "is_refused_while_it_is_read[httpx-a reason]": "stops at 100 KiB, and calls it malformed",
    "is_refused_while_it_is_read[httpx-interim replies]": "reads them until the deadline",
    "is_refused_while_it_is_read[httpx-an extension of a chunk]": "stops at 100 KiB, and calls it malformed",
    "is_refused_while_it_is_read[httpx-trailers]": "stops at 100 KiB, and calls it malformed",
    "as_long_as_their_bound_and_no_longer[httpx]": "accepts longer ones",
    "leaves_its_connection_to_the_next[httpx-HTTP/1.0, kept]": "never keeps HTTP/1.0 connections",
    "is_a_bad_reply[httpx-HTTP/2.0": "accepts any version",
    "is_a_bad_reply[httpx-both framings]": "ignores the length",
    "two_replies_at_once_do_not_answer_the_next_request[httpx]": "takes the surplus for the next reply",
    "that_was_closed_is_replaced[httpx-closed-while asking]": "does not ask again",
    "that_was_closed_is_replaced[httpx-reset-while asking]": "does not ask again",
}
"""What httpx's own transport cannot do; docs/decisions/0001 and the option's documentation say so too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect httpx's own transport to fail where it is known to."""
    for item in items:
        for name, reason in HTTPX_FALLS_SHORT.items():
            if name in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=reason, run="interim" not in name, strict=True))
