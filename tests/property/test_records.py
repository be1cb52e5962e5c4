"""What is kept is told again, character by character, whatever a registry calls its companies."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from backendify._core import App, Question, Region

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
REGION = Region(bytes=1 << 20, ttl_ms=60_000, negative_ttl_ms=60_000, stale_ms=0)


async def never(*_: object) -> None:
    message = "a kept record was not found"
    raise AssertionError(message)


APP = App(
    ["im", "gg"],
    REGION,
    policy={},
    refreshes_ahead=False,
    wake=lambda: None,
    on_miss=never,
    on_lifespan=never,
)


def hit(company_id: str, country: str) -> Any:  # noqa: ANN401 - JSON
    messages: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    async def ask() -> None:
        query = urlencode({"id": company_id, "country_iso": country}).encode()
        await APP(
            {
                "type": "http", "http_version": "1.1", "method": "GET", "path": "/company",
                "raw_path": b"/company", "query_string": query, "headers": [(b"host", b"x")],
            },
            None,
            send,
        )  # fmt: skip

    asyncio.run(ask())
    assert messages[0]["status"] == 200
    return json.loads(messages[1]["body"])


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.integers(0, 1), TEXT.filter(bool), TEXT, st.datetimes())
def test_a_record_round_trip(registry: int, company_id: str, name: str, until: Any) -> None:  # noqa: ANN401
    body = json.dumps(
        {"company_name": name, "dissolved_on": f"{until.isoformat()}Z", "id": "another"}
    ).encode()
    outcome = REGION.keep(Question(registry, company_id), 200, b"application/x-company-v2", body)
    assert outcome.stored
    told = hit(company_id, ("im", "gg")[registry])
    assert list(told) == ["id", "name", "active", "active_until"]
    assert (told["id"], told["name"]) == (company_id, name)
    assert told["active_until"] == outcome.active_until
