"""The guard's decisions, by table: the clock is an argument."""

import pytest

from backendify._core import Outcome
from backendify.guard import PAUSE_S_MAX, Guard


def test_at_most_so_many_at_once() -> None:
    guard = Guard(concurrency_max=2)
    for running, refusal in ((0, None), (1, None), (2, Outcome.OVERLOADED), (3, Outcome.OVERLOADED)):
        guard.running = running
        assert guard.refusal(0.0) is refusal


@pytest.mark.parametrize(
    ("retry_after_s", "pause_s"),
    [
        (None, 0.0),
        (0.0, 0.0),
        (-5.0, 0.0),
        (3.0, 3.0),
        (30.0, 30.0),
        (86_400.0, PAUSE_S_MAX),
    ],
)
def test_a_registry_is_left_alone_for_as_long_as_it_asked(
    retry_after_s: float | None, pause_s: float
) -> None:
    guard = Guard(concurrency_max=1)
    guard.pause(retry_after_s, 100.0)
    assert guard.refusal(100.0 + pause_s) is None
    if pause_s:
        assert guard.refusal(100.0) is Outcome.THROTTLED
        assert guard.refusal(100.0 + pause_s - 0.001) is Outcome.THROTTLED


def test_a_shorter_wish_never_ends_a_longer_one() -> None:
    guard = Guard(concurrency_max=1)
    guard.pause(20.0, 0.0)
    guard.pause(1.0, 5.0)
    assert guard.refusal(19.9) is Outcome.THROTTLED
    assert guard.refusal(20.0) is None
