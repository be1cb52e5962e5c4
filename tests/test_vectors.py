"""The cases in tests/vectors, which the core's own tests read too, through the border."""

import json
from pathlib import Path
from typing import Any

import pytest

from backendify import _core

VECTORS = Path(__file__).parent / "vectors"
V1 = b"application/x-company-v1"

Case = dict[str, Any]


def cases(file: str, count_min: int) -> list[Any]:
    found = json.loads((VECTORS / f"{file}.json").read_text(encoding="utf-8"))
    assert len(found) >= count_min
    return [pytest.param(case, id=case["name"]) for case in found]


@pytest.mark.parametrize("case", cases("dates", 150))
def test_date(case: Case) -> None:
    body = json.dumps({"cn": "A", "closed_on": case["text"]}).encode()
    outcome = _core.normalise(V1, body)
    if case["utc"] is None:
        assert (outcome.status, outcome.active_until) == (502, None)
        assert case["fault"] in outcome.detail
    else:
        assert (outcome.status, outcome.name, outcome.active_until) == (200, "A", case["utc"])


@pytest.mark.parametrize("case", [*cases("registry_v1", 60), *cases("registry_v2", 60)])
def test_reply(case: Case) -> None:
    body = bytes.fromhex(case["body_hex"]) if "body_hex" in case else case["body"].encode()
    outcome = _core.normalise(case["content_type"].encode("latin-1"), body)
    if "fault" in case:
        assert (outcome.status, outcome.name, outcome.active_until) == (502, None, None)
        assert case["fault"] in outcome.detail
    else:
        found = {"name": outcome.name, "active_until": outcome.active_until}
        assert (outcome.status, found) == (200, case["company"])


@pytest.mark.parametrize("case", cases("queries", 60))
def test_query(case: Case) -> None:
    query = case["query"].encode("latin-1")
    if "fault" in case:
        with pytest.raises(ValueError, match=r".") as fault:
            _core.parse_query(query)
        assert str(fault.value) == case["fault"]
    else:
        assert _core.parse_query(query) == (case["country"], case["id"])
