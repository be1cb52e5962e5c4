"""Every company of a real register, asked twice over real HTTP, each answer checked against its own truth."""

import asyncio
import json
import time

import httpx
import pytest

import service
from backendify.rehearsal.behaviour import Behaviour, Shape
from backendify.rehearsal.companies import Company, expected, isle_of_man
from backendify.rehearsal.registry import Registry

CUSTOMERS = 32


@pytest.mark.parametrize("shape", [Shape.V1, Shape.V2])
async def test_the_whole_register(shape: Shape) -> None:
    companies = isle_of_man()
    assert len(companies) == 37_782
    async with (
        Registry(Behaviour(shape=shape), companies) as registry,
        service.running({"im": registry.url}, "--deadline", "30s") as running,
    ):
        await ask_all(running, companies)
        assert registry.counts.requests == len(companies)
        assert registry.counts.by_number_max == 1
        await ask_all(running, companies)
        assert registry.counts.requests == len(companies), "the second round reaches no registry"
        assert not registry.counts.strays


async def ask_all(running: service.Service, companies: dict[str, Company]) -> None:
    waiting = iter(companies.values())

    async def customer(client: httpx.AsyncClient) -> None:
        for company in waiting:
            before_ns = time.time_ns()
            response = await client.get("/company", params={"id": company.number, "country_iso": "im"})
            told = [written(company, now_ns) for now_ns in (before_ns, time.time_ns())]
            assert response.status_code == 200, company
            assert response.content in told, company

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}", timeout=60) as client:
        await asyncio.gather(*(customer(client) for _ in range(CUSTOMERS)))


def written(company: Company, now_ns: int) -> bytes:
    answer = expected(company, now_ns)
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
