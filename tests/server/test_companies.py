"""Every company of a real register, asked twice over real HTTP, each answer checked against its own truth."""

import asyncio
import json
import time
from collections.abc import Mapping

import pytest

import service
from backendify.rehearsal.behaviour import Behaviour, Shape
from backendify.rehearsal.companies import Company, expected, isle_of_man
from backendify.rehearsal.registry import Registry
from service import ONCE

CUSTOMERS = 32


@pytest.mark.parametrize("shape", [Shape.V1, Shape.V2])
async def test_the_whole_register(shape: Shape) -> None:
    companies = isle_of_man()
    assert len(companies) == 37_782
    async with (
        Registry(Behaviour(shape=shape), companies) as registry,
        service.running({"im": registry.url}, *ONCE, "--deadline", "30s") as running,
    ):
        await ask_all(running, companies)
        assert registry.counts.requests == len(companies)
        assert registry.counts.by_number_max == 1
        await ask_all(running, companies)
        assert registry.counts.requests == len(companies), "the second round reaches no registry"
        assert not registry.counts.strays


async def ask_all(running: service.Service, companies: Mapping[str, Company]) -> None:
    waiting = iter(companies.values())

    async def ask_some() -> None:
        async with service.Customer(running.port) as customer:
            for company in waiting:
                before_ns = time.time_ns()
                status, body = await customer.ask(company.number)
                assert status == 200, company
                if body != written(company, before_ns):  # unless the company has closed meanwhile
                    assert body == written(company, time.time_ns())

    await asyncio.gather(*(ask_some() for _ in range(CUSTOMERS)))


def written(company: Company, now_ns: int) -> bytes:
    answer = expected(company, now_ns)
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
