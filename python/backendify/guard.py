"""Allow: whether a registry may be asked now.

At most so many requests at once to each registry, and none while it has asked for patience (`Retry-After`,
RFC 9110 §10.2.3). Pure decisions: the clock is passed in.
"""

from backendify._core import Outcome

PAUSE_S_MAX = (
    3600.0  # a registry that asks for more is asked again after an hour, so that a typo heals by itself
)


class Guard:
    """One registry's bulkhead and pause."""

    def __init__(self, *, concurrency_max: int) -> None:
        self._concurrency_max = concurrency_max
        self._paused_until_s = float("-inf")
        self.running = 0

    def refusal(self, now_s: float) -> Outcome | None:
        """Why the registry is not asked now; None when it may be."""
        if now_s < self._paused_until_s:
            return Outcome.THROTTLED
        if self.running >= self._concurrency_max:
            return Outcome.OVERLOADED
        return None

    def pause(self, retry_after_s: float | None, now_s: float) -> None:
        """Leave the registry alone for as long as it asked; a shorter wish never ends a longer one.

        A 429 or 503 without `Retry-After` pauses nothing: one stray 503 must not cost a country a second.
        """
        wish_s = min(max(retry_after_s or 0.0, 0.0), PAUSE_S_MAX)
        self._paused_until_s = max(self._paused_until_s, now_s + wish_s)
