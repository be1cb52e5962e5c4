"""The service as one would write it with FastAPI, uvicorn, httpx and cachetools.

python fastapi_service.py --port 9000 ru=http://localhost:9001 us=http://localhost:9002
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import httpx
import uvicorn
from cachetools import TTLCache
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError

TTL_S, NEGATIVE_TTL_S = 24 * 3600, 3600
COMPANIES_MAX = 1_000_000
DEADLINE_S, FETCH_S, CONNECT_S = 0.9, 10.0, 0.3
TOGETHER_MAX = 200
BODY_BYTES_MAX = 65_536
SHAPES = {
    "application/x-company-v1": ("cn", "closed_on"),
    "application/x-company-v2": ("company_name", "dissolved_on"),
}
DETAILS = {
    400: "id and country_iso are needed",
    404: "there is no such company",
    502: "the registry's answer cannot be used",
    504: "the registry did not answer in time",
}


@dataclass(frozen=True, slots=True)
class Company:
    """What is kept of a company."""

    name: str
    active_until: datetime | None
    kept_s: float


@dataclass(frozen=True, slots=True)
class NoAnswerError(Exception):
    """Why there is no company to tell."""

    status: int


Key = tuple[str, str]


class Service:
    """The cache, and what happens when it does not know."""

    def __init__(self, registries: dict[str, str]) -> None:
        self._registries = registries
        self._known: TTLCache[Key, Company] = TTLCache(COMPANIES_MAX, TTL_S)
        self._unknown: TTLCache[Key, None] = TTLCache(COMPANIES_MAX, NEGATIVE_TTL_S)
        self._flights: dict[Key, asyncio.Task[Company]] = {}
        limits = httpx.Limits(max_connections=TOGETHER_MAX, max_keepalive_connections=TOGETHER_MAX)
        timeout = httpx.Timeout(FETCH_S, connect=CONNECT_S)
        self._client = httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False)

    async def find(self, key: Key) -> tuple[Company, bool]:
        """Give a company, and whether the cache knew it."""
        if company := self._known.get(key):
            return company, True
        if key in self._unknown or key[0] not in self._registries:
            raise NoAnswerError(404)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._fetch(key))
            flight.add_done_callback(lambda done: self._land(key, done))
        try:
            # The fetch outlives the customer who began it.
            return await asyncio.wait_for(asyncio.shield(flight), DEADLINE_S), False
        except TimeoutError:
            raise NoAnswerError(504) from None

    def _land(self, key: Key, flight: asyncio.Task[Company]) -> None:
        del self._flights[key]
        problem = flight.exception()
        if problem is None:
            self._known[key] = flight.result()
        elif isinstance(problem, NoAnswerError) and problem.status == 404:
            self._unknown[key] = None

    async def _fetch(self, key: Key) -> Company:
        country, number = key
        url = f"{self._registries[country]}/companies/{quote(number, safe='')}"
        body = b""
        try:
            async with asyncio.timeout(FETCH_S), self._client.stream("GET", url) as reply:
                if reply.status_code == 200:
                    async for chunk in reply.aiter_raw():
                        body += chunk
                        if len(body) > BODY_BYTES_MAX:
                            raise NoAnswerError(502)
        except (httpx.HTTPError, TimeoutError):
            raise NoAnswerError(504) from None
        match reply.status_code:
            case 200:
                return read(reply.headers.get("content-type", ""), body)
            case 404:
                raise NoAnswerError(404)
            case 429 | 503:
                raise NoAnswerError(504)
            case _:
                raise NoAnswerError(502)


def read(content_type: str, body: bytes) -> Company:
    """Read a registry's reply by its Content-Type."""
    try:
        name_key, date_key = SHAPES[content_type.partition(";")[0].strip().lower()]
        told = json.loads(body)
        name, date = told[name_key], told.get(date_key)
        until = None if date is None else datetime.fromisoformat(date)
        if not isinstance(name, str) or (until and until.tzinfo is None):
            raise NoAnswerError(502)
        return Company(name, until and until.astimezone(UTC), time.monotonic())
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise NoAnswerError(502) from None


def answer(number: str, company: Company, *, hit: bool) -> Response:
    """Tell a company; `active` is worked out now."""
    left_s = max_age_s = company.kept_s + TTL_S - time.monotonic()
    told = {"id": number, "name": company.name, "active": True}
    if until := company.active_until:
        now = datetime.now(UTC)
        told["active"] = now < until
        told["active_until"] = written(until)
        if now < until:
            max_age_s = min(left_s, (until - now).total_seconds())
    how = f"hit; ttl={left_s:.0f}" if hit else "fwd=uri-miss; fwd-status=200; stored"
    fields = {"Cache-Control": f"max-age={int(max_age_s)}", "Cache-Status": f"backendify; {how}"}
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return Response(body, headers=fields, media_type="application/json")


def written(until: datetime) -> str:
    """Write an instant in UTC, its fraction without trailing zeros."""
    text = until.isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


def refusal(problem: NoAnswerError) -> Response:
    """Say why there is no company."""
    body = json.dumps({"status": problem.status, "detail": DETAILS[problem.status]})
    fields = {"Cache-Control": "no-store"}
    return Response(body, problem.status, headers=fields, media_type="application/problem+json")


def create_app(registries: dict[str, str]) -> FastAPI:
    """Make the app."""

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = Service(registries)
        yield

    app = FastAPI(lifespan=live, openapi_url=None)

    @app.get("/status")
    async def status() -> Response:
        return Response('{"status":"ok"}', media_type="application/json")

    @app.get("/company")
    async def company(
        request: Request,
        number: Annotated[str, Query(alias="id", min_length=1)],
        country_iso: Annotated[str, Query(min_length=1)],
    ) -> Response:
        try:
            found, hit = await request.app.state.service.find((country_iso.lower(), number))
        except NoAnswerError as problem:
            return refusal(problem)
        return answer(number, found, hit=hit)

    @app.exception_handler(RequestValidationError)
    async def bad_query(_request: Request, _error: RequestValidationError) -> Response:
        return refusal(NoAnswerError(400))

    return app


def main() -> None:
    """Serve on one worker; uvicorn[standard] brings uvloop and httptools."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("registries", nargs="+", metavar="iso=url")
    given = parser.parse_args()
    pairs = (pair.split("=", 1) for pair in given.registries)
    app = create_app({country.lower(): url.rstrip("/") for country, url in pairs})
    uvicorn.run(
        app,
        host="0.0.0.0",  # noqa: S104 - a service
        port=given.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
