"""How a fake registry behaves: how slow, how flaky, how strict."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from math import exp
from statistics import NormalDist
from typing import Final, NamedTuple

from backendify.rehearsal.draws import Draws

_STANDARD_NORMAL: Final = NormalDist()


class Shape(StrEnum):
    """Which version of the company's object a registry speaks."""

    V1 = "v1"
    V2 = "v2"
    SWITCHING = "switching"
    """The other version at each reply about the same company."""


class Outcome(Enum):
    """What comes of one request."""

    ANSWER = "answer"
    ERROR = "error"
    """500."""
    HANG = "hang"
    """Nothing, until somebody closes the connection."""
    RESET = "reset"
    """TCP's RST instead of a reply."""


class Turn(NamedTuple):
    """How one request is met."""

    outcome: Outcome
    latency_s: float
    shape: Shape
    """V1 or V2."""
    says_null: bool
    """Whether a missing day of closing is told as null, or left out."""
    is_ascii: bool
    r"""Whether letters outside ASCII are told as \u escapes, or in UTF-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a fake registry does to its customers; as given, the ideal registry: at once, always, V1.

    The shares are of all requests, 0 to 1, together at most 1. Raises ValueError outside the bounds.
    """

    shape: Shape = Shape.V1
    latency_median_ms: float = 0.0
    """Of a log-normal distribution; 0 answers at once."""
    latency_sigma: float = 0.0
    """Standard deviation of the latency's natural logarithm; 0 is always the median."""
    error_share: float = 0.0
    hang_share: float = 0.0
    reset_share: float = 0.0
    throttle_per_s: float | None = None
    """Requests a second, and at once, beyond which it answers 429; None never does."""
    retry_after_s: int = 1
    """What `Retry-After` of a 429 says."""
    seed: int = 0
    """Another seed, other draws."""

    def __post_init__(self) -> None:
        shares = (self.error_share, self.hang_share, self.reset_share)
        if min(shares) < 0 or sum(shares) > 1:
            message = f"error, hang and reset shares are {shares}: expected 0 to 1 each and together"
            raise ValueError(message)
        if min(self.latency_median_ms, self.latency_sigma, self.throttle_per_s or 0, self.retry_after_s) < 0:
            message = "latency, throttle and retry-after cannot be negative"
            raise ValueError(message)

    def turn(self, number: str, nth: int) -> Turn:
        """Draw how the `nth` request for a company, from 0, is met: the same each time, whoever else asks."""
        draws = Draws(f"turn {self.seed}", f"{nth} {number}")
        share, latency_share = draws.share(), draws.share()
        outcome = Outcome.ANSWER
        if share < self.error_share:
            outcome = Outcome.ERROR
        elif share < self.error_share + self.hang_share:
            outcome = Outcome.HANG
        elif share < self.error_share + self.hang_share + self.reset_share:
            outcome = Outcome.RESET
        latency_s = self.latency_median_ms / 1000
        if self.latency_sigma:
            latency_s *= exp(self.latency_sigma * _STANDARD_NORMAL.inv_cdf(latency_share))
        shape = self.shape
        if shape is Shape.SWITCHING:
            first = Draws("first shape", number).below(2)
            shape = (Shape.V1, Shape.V2)[(first + nth) % 2]
        return Turn(outcome, latency_s, shape, says_null=draws.below(2) == 0, is_ascii=draws.below(2) == 0)


class Bucket:
    """A token bucket, full at first; it holds what one second brings, or one token if that is less."""

    __slots__ = ("_filled_at_s", "_tokens")

    def __init__(self) -> None:
        self._tokens = float("inf")
        self._filled_at_s = 0.0

    def take(self, rate_per_s: float, now_s: float) -> bool:
        """Take a token; False when none is left."""
        depth = max(rate_per_s, 1.0) if rate_per_s else 0.0
        gained = (now_s - self._filled_at_s) * rate_per_s
        self._filled_at_s = now_s
        self._tokens = min(self._tokens + gained, depth)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
