"""The goals of `bench/fire.py`: when a part counts as met."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "bench" / "fire_goals.py"


@pytest.fixture(scope="module")
def goals() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fire_goals", PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def report(requests: int, throttled: int) -> dict[str, Any]:
    """Give the score of a minute in which `ru` had so many requests each second, and from second 10 on 429s."""
    each = [{"requests": requests, "throttled": throttled if at >= 10 else 0} for at in range(60)]
    customers = {"warm": {"right": 10, "answerable": 10}, "cold": {"right": 99, "answerable": 100}}
    return {
        "profile": "throttle",
        "late": 0,
        "requests": {"asked": 1},
        "statuses": {},
        "wrong": 0,
        "memory": {"oom_killed": False, "running": True},
        "registries": {
            "im": {"customers": customers},
            "ru": {"seconds": each, "throttled": 50 * throttled, "at_once_peak": 200},
        },
    }


@pytest.mark.parametrize(
    ("requests", "throttled", "missed"),
    [
        (400, 1, []),
        (400, 20, []),
        (440, 40, ["429s after"]),
        (400, 0, ["429s at all"]),
        (200, 1, ["asked and borne"]),
    ],
    ids=["few", "five percent", "too many", "none at all", "hardly asked"],
)
def test_a_throttled_registry(goals: ModuleType, requests: int, throttled: int, missed: list[str]) -> None:
    found = goals.throttle_goals(report(requests, throttled), per_s=400)
    assert [goal.name for goal in found if not goal.met] == [
        goal.name for goal in found if any(words in goal.name for words in missed)
    ]
    assert sum(not goal.met for goal in found) == len(missed)
