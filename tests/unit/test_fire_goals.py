"""The goals of `bench/fire.py`: when a part counts as met."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def module_of(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def goals() -> ModuleType:
    return module_of("fire_goals")


@pytest.fixture(scope="module")
def limits() -> ModuleType:
    return module_of("limits")


def report(requests: int, throttled: int) -> dict[str, Any]:
    """Give the score of a minute in which `ru` had so many requests each second, and from second 10 on 429s."""
    each = [
        {"requests": requests, "throttled": throttled if at >= 10 else 0, "at_once_peak": 200}
        for at in range(60)
    ]
    customers = {"warm": {"right": 10, "answerable": 10}, "cold": {"right": 99, "answerable": 100}}
    return {
        "profile": "throttle",
        "late": 0,
        "requests": {"asked": 1},
        "statuses": {},
        "wrong": 0,
        "memory": {"oom_killed": False, "running": True},
        "limits": {"ru": [200]},
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


@pytest.mark.parametrize(
    ("peaks", "limits", "beyond"),
    [
        ([20, 40, 40], [20, 40, 40], 0),
        ([20, 45, 40], [20, 40, 40], 5),
        ([20, 30], [20, 20, 30], 0),  # the looks began a little earlier
        ([20, 31], [20, 20, 30, 31], 1),
        ([40] * 12, [40] + [20] * 11, 0),  # what began under 40 runs for ten seconds
        ([40] * 14, [40] + [20] * 13, 20),
        ([20, 20, 20, 21], [20], 1),  # nothing was seen later
        ([3], [], 3),
        ([], [], 0),
    ],
    ids=[
        "as the limit allows",
        "more",
        "the second after counts",
        "and no later one",
        "falls",
        "for longer than a fetch runs",
        "the last look goes on",
        "never looked at",
        "nothing happened",
    ],
)
def test_beyond_the_limit(goals: ModuleType, peaks: list[int], limits: list[int], beyond: int) -> None:
    assert goals.beyond_limit(peaks, limits) == beyond


def test_looks_are_sorted_into_seconds(limits: ModuleType) -> None:
    looks = [(7.0, 20), (7.2, 30), (7.9, 25), (8.1, 26), (11.3, 10), (11.5, 9)]
    found = limits.highest_by_second([(at_s, {"us": limit}) for at_s, limit in looks])
    assert found == {"us": [30, 26, 26, 26, 10]}
    assert limits.highest_by_second([]) == {}
