"""The contract's tables over real HTTP, the same under Granian and under uvicorn."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

import service
from backendify.rehearsal.behaviour import Behaviour
from backendify.rehearsal.companies import Company
from backendify.rehearsal.registry import Registry

COMPANIES = {
    number: Company(number, name)
    for number, name in {
        "1": "One & Only Ltd",
        "17937688759 7J": "ООО «Ромашка»",
        "a+b": "Plus",
        "..": "Dots",
        "/../status": "Slashes",
        "é😀": "Beyond ASCII",
        "%41": "Per cent",
        "\x00": "Nothing at all",
        "x" * 300: "Long",
    }.items()
}


@pytest.fixture(params=["granian", "uvicorn"], scope="module")
def kind(request: pytest.FixtureRequest) -> service.Kind:
    return request.param


@pytest.fixture
async def served(kind: service.Kind) -> AsyncIterator[tuple[service.Service, Registry]]:
    async with (
        Registry(Behaviour(latency_median_ms=0), COMPANIES) as registry,
        service.running({"im": registry.url, "GG": registry.url}, kind=kind) as running,
    ):
        yield running, registry


COMPANY_TABLE = [
    ("id=1&country_iso=im", 200, "1"),
    ("id=1&country_iso=IM", 200, "1"),
    ("id=1&country_iso=gG", 200, "1"),
    ("country_iso=im&id=1", 200, "1"),
    ("x=%zz&id=1&&y&country_iso=im&=", 200, "1"),
    ("%69d=1&country%5fiso=im", 200, "1"),
    ("id=17937688759+7J&country_iso=im", 200, "17937688759 7J"),
    ("id=17937688759%207J&country_iso=im", 200, "17937688759 7J"),
    ("id=a%2Bb&country_iso=im", 200, "a+b"),
    ("id=..&country_iso=im", 200, ".."),
    ("id=%2F..%2Fstatus&country_iso=im", 200, "/../status"),
    ("id=/../status&country_iso=im", 200, "/../status"),
    ("id=%C3%A9%F0%9F%98%80&country_iso=im", 200, "é😀"),
    ("id=%2541&country_iso=im", 200, "%41"),
    ("id=%00&country_iso=im", 200, "\x00"),
    ("id=" + "x" * 300 + "&country_iso=im", 200, "x" * 300),
    ("id=2&country_iso=im", 404, None),
    ("ID=1&id=2&country_iso=im", 404, None),
    ("id=1&country_iso=ru", 404, None),
    ("id=1&country_iso=isl", 404, None),
    ("id=1&country_iso=%20im", 404, None),
    ("", 400, None),
    ("id=1", 400, None),
    ("country_iso=im", 400, None),
    ("id=&country_iso=im", 400, None),
    ("id&country_iso=im", 400, None),
    ("id=1&country_iso=", 400, None),
    ("id=1&id=1&country_iso=im", 400, None),
    ("id=1&%69d=1&country_iso=im", 400, None),
    ("id=1&country_iso=im&country_iso=im", 400, None),
    ("id=%&country_iso=im", 400, None),
    ("id=%4&country_iso=im", 400, None),
    ("id=%zz&country_iso=im", 400, None),
    ("id=%ff&country_iso=im", 400, None),
    ("id=%ED%A0%80&country_iso=im", 400, None),
    ("id=1&country_iso=%ff", 400, None),
]


async def test_company(served: tuple[service.Service, Registry]) -> None:
    running, _ = served
    for query, status, company_id in COMPANY_TABLE:
        for turn in ("miss", "hit"):
            response = await running.client.get(f"/company?{query}")
            assert response.status_code == status, (query, turn, response.text)
            if company_id is None:
                assert_problem(response)
            else:
                name = COMPANIES[company_id].name
                told = {"id": company_id, "name": name, "active": True}
                expected = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
                assert response.content == expected.encode(), (query, turn)
                assert response.headers["content-type"] == "application/json"


def assert_problem(response: httpx.Response) -> None:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"].endswith(".")
    assert "127.0.0.1" not in response.text
    is_kept = response.status_code == 404 and "knows no company" in problem["detail"]
    assert response.headers["cache-control"].startswith("max-age=" if is_kept else "no-store")


PATH_TABLE = [
    ("GET", "/", 200),
    ("GET", "/status", 200),
    ("GET", "/status?x=1", 200),
    ("GET", "/c%6Fmpany?id=1&country_iso=im", 200),
    ("GET", "/company/", 404),
    ("GET", "/company/1", 404),
    ("GET", "/Company?id=1&country_iso=im", 404),
    ("GET", "/metrics", 404),
    ("GET", "/favicon.ico", 404),
    ("POST", "/nowhere", 404),
    ("POST", "/company?id=1&country_iso=im", 405),
    ("PUT", "/status", 405),
    ("DELETE", "/", 405),
    ("OPTIONS", "/company?id=1&country_iso=im", 405),
    ("PATCH", "/company", 405),
    ("TRACE", "/status", 405),
]


async def test_paths_and_methods(served: tuple[service.Service, Registry]) -> None:
    running, _ = served
    for method, path, status in PATH_TABLE:
        response = await running.client.request(method, path)
        assert response.status_code == status, (method, path)
        if status == 405:
            assert response.headers["allow"] == "GET, HEAD"
        if status == 200 and path.startswith("/status"):
            assert response.headers["content-type"] == "application/json"
            assert response.json() == {"status": "ok"}


async def test_head_is_get_without_its_body(served: tuple[service.Service, Registry]) -> None:
    running, registry = served
    for path in (
        "/",
        "/status",
        "/nowhere",
        "/company",
        "/company?id=1&country_iso=im",
        "/company?id=2&country_iso=im",
    ):
        await running.client.get(path)  # the first may be a miss, whose Cache-Status differs
        got, head = await running.client.get(path), await running.client.head(path)
        assert head.status_code == got.status_code
        assert head.content == b""
        assert {**head.headers, "date": ""} == {**got.headers, "date": ""}, path
    cold = await running.client.head("/company?id=a%2Bb&country_iso=im")
    assert (cold.status_code, cold.content, int(cold.headers["content-length"]) > 20) == (200, b"", True)
    warm = await running.client.get("/company?id=a%2Bb&country_iso=im")
    assert "hit" in warm.headers["cache-status"], "a HEAD fills the cache"
    assert registry.counts.by_number["a+b"] == 1


async def test_cache_fields(served: tuple[service.Service, Registry]) -> None:
    running, registry = served
    for company_id, status, life_s in (("1", 200, 86_400), ("2", 404, 3_600)):
        miss, hit = await running.get(company_id), await running.get(company_id)
        assert miss.headers["cache-status"] == f"backendify; fwd=uri-miss; fwd-status={status}; stored"
        assert miss.headers["cache-control"] == f"max-age={life_s}"
        name, word, ttl = hit.headers["cache-status"].split("; ")
        left_s = int(ttl.removeprefix("ttl="))
        assert (name, word) == ("backendify", "hit")
        assert life_s - 60 < left_s <= life_s
        assert hit.headers["cache-control"] == f"max-age={left_s}"
        assert "age" not in hit.headers
        assert "date" in hit.headers
        assert hit.content == miss.content
    assert registry.counts.requests == 2


async def test_sizes(served: tuple[service.Service, Registry]) -> None:
    running, registry = served
    rest = "&country_iso=im"
    longest = 8192 - len("/company?id=") - len(rest)
    assert (await running.client.get("/company?id=" + "y" * longest + rest)).status_code == 404
    too_long = await running.client.get("/company?id=" + "y" * (longest + 1) + rest)
    assert too_long.status_code == 414
    assert_problem(too_long)
    assert (await running.client.get("/status", headers={"x": "y" * 15_000})).status_code == 200
    too_large = await running.client.get("/status", headers={"x": "y" * 17_000})
    assert too_large.status_code == 431
    assert_problem(too_large)
    assert registry.counts.requests == 1


async def test_registries_see_the_path_as_it_must_be_written(
    served: tuple[service.Service, Registry],
) -> None:
    running, registry = served
    for company_id in COMPANIES:
        assert (await running.get(company_id)).status_code == 200
    assert not registry.counts.strays
    assert set(registry.counts.by_number) == set(COMPANIES)
