"""An ASGI app behind RSGI, Granian's own interface: for the rare request that the lane has to leave alone.

The lane speaks RSGI because it costs less: Granian makes no dictionary and no pairs of bytes for a request,
and takes an answer in one call (docs/decisions/0003-lane.md).
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from backendify.app import Message, Receive, Send

Asgi: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
Rsgi: TypeAlias = Callable[[Any, Any], Awaitable[None]]


def over_rsgi(app: Asgi) -> Rsgi:
    """Give the RSGI callable that serves `app`, whose answers are two messages and whose requests need no body."""

    async def serve(scope: Any, protocol: Any) -> None:  # noqa: ANN401 - Granian's own
        head: Message = {}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
                return
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head["headers"]]
            protocol.response_bytes(head["status"], fields, message["body"])

        await app(_asgi_scope(scope), _receive, send)

    return serve


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _asgi_scope(scope: Any) -> Message:  # noqa: ANN401 - Granian's own
    """Say what a request asks for as ASGI does (HTTP specification 2.3)."""
    fields = [(name.encode(), value.encode()) for name, value in scope.headers.items()]
    if scope.authority and "host" not in scope.headers:
        fields.append((b"host", scope.authority.encode()))
    host, _, port = scope.client.rpartition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "method": scope.method,
        "path": scope.path,
        "query_string": scope.query_string.encode(),
        "headers": fields,
        "client": (host.strip("[]"), int(port)) if port.isdecimal() else None,
    }
