"""A plain ASGI app over a dictionary, for Granian: it knows its companies from a file, and never asks anybody.

COMPANIES=companies.jsonl granian --interface asgi granian_dict:app
"""

import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

TTL_S = 24 * 3600
Company = tuple[str, datetime | None, float]
"""Name, end of activity, and since when it is known."""


def load(path: Path) -> dict[tuple[str, str], Company]:
    """Read a file of answers, one a line."""
    known: dict[tuple[str, str], Company] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            told = json.loads(line)
            until = told.get("active_until")
            key = told["country_iso"], told["id"]
            known[key] = told["name"], until and datetime.fromisoformat(until), time.monotonic()
    return known


KNOWN = load(Path(os.environ["COMPANIES"]))


def answer(number: str, company: Company) -> tuple[bytes, int, int]:
    """Make the body, how long it may be kept, and how long it is known; `active` is worked out now."""
    name, until, kept_s = company
    left_s = max_age_s = int(kept_s + TTL_S - time.monotonic())
    told = {"id": number, "name": name, "active": True}
    if until:
        now = datetime.now(UTC)
        told["active"] = now < until
        told["active_until"] = until.isoformat().removesuffix("+00:00") + "Z"
        if now < until:
            max_age_s = min(left_s, int((until - now).total_seconds()))
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(), max_age_s, left_s


async def app(
    scope: MutableMapping[str, Any],
    _receive: Callable[[], Awaitable[Any]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    status, body, fields = 404, b"", [(b"content-type", b"application/json")]
    if scope["path"] == "/status":
        status, body = 200, b'{"status":"ok"}'
    elif scope["path"] == "/company":
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
        match query:
            case {"id": [number], "country_iso": [country]} if company := KNOWN.get(
                (country.lower(), number)
            ):
                body, max_age_s, left_s = answer(number, company)
                status = 200
                fields.append((b"cache-control", b"max-age=%d" % max_age_s))
                fields.append((b"cache-status", b"backendify; hit; ttl=%d" % left_s))
            case _:
                pass
    fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
