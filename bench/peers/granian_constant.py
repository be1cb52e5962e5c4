"""Granian answering a constant: what the server under the service can do when the app does nothing.

granian --interface asgi granian_constant:app
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

BODY = (
    b'{"id":"000100C","name":"Ramsey Steam Packet Company Ltd","active":true,'
    b'"active_until":"2110-04-17T09:26:53Z"}'
)
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(BODY)),
        (b"cache-control", b"max-age=86399"),
        (b"cache-status", b"backendify; hit; ttl=86399"),
    ],
}
END = {"type": "http.response.body", "body": BODY}


async def app(
    scope: MutableMapping[str, Any],
    _receive: Callable[[], Awaitable[Any]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer one request."""
    if scope["type"] == "http":
        await send(START)
        await send(END)
