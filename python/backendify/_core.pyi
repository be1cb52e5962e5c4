"""The Rust core, as Python sees it: the whole border.

A little over 150 lines: one more class, the lane, whose place is here, since Granian calls it.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, final

__all__ = [
    "BUILD_PROFILE",
    "VERSION",
    "App",
    "Lane",
    "Outcome",
    "Question",
    "Region",
    "RegionError",
    "end_with_parent",
    "is_memory",
    "normalise",
    "parse_query",
    "rehearse",
    "simulate",
]  # fmt: skip

BUILD_PROFILE: Final[str]
VERSION: Final[str]

def normalise(content_type: bytes, body: bytes) -> Outcome: ...
def rehearse(
    profile: str, on_listening: Callable[[list[tuple[str, str]]], str | None], on_line: Callable[[str], None]
) -> str: ...
def simulate(profile: str, policy: dict[str, float], on_line: Callable[[str], None]) -> str: ...
def parse_query(query: bytes) -> tuple[str, str]: ...
def is_memory(directory: str) -> bool: ...
def end_with_parent(parent: int) -> None: ...

class RegionError(Exception):
    """Why there is no region, in one sentence."""

@final
class Question:
    """One company that a customer asks for and that no record tells."""

    def __new__(cls, registry: int, id: str, *, is_head: bool = False) -> Question: ...
    @property
    def registry(self) -> int: ...
    @property
    def id(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Outcome:
    """What became of a try: what a registry said, or why it said nothing."""

    CONNECT_FAILED: Final[Outcome]
    RESET: Final[Outcome]
    TIMED_OUT: Final[Outcome]
    TOO_LARGE: Final[Outcome]
    NOT_HTTP: Final[Outcome]
    NOT_BEGUN: Final[Outcome]
    @property
    def code(self) -> int: ...
    @staticmethod
    def of_code(code: int) -> Outcome: ...
    @property
    def is_fact(self) -> bool: ...
    @property
    def status(self) -> int | None: ...
    @property
    def name(self) -> str | None: ...
    @property
    def active_until(self) -> str | None: ...
    @property
    def detail(self) -> str: ...
    @property
    def stored(self) -> bool: ...

@final
class Region:
    """Where records lie: bounded in bytes."""

    def __new__(cls, *, bytes: int, ttl_ms: int, negative_ttl_ms: int, stale_ms: int) -> Region: ...
    @staticmethod
    def open(
        path: str,
        *,
        bytes: int,
        registries: Sequence[tuple[str, str]],
        ttl_ms: int,
        negative_ttl_ms: int,
        stale_ms: int,
    ) -> tuple[Region, str]: ...
    @property
    def buckets(self) -> int: ...
    @property
    def place(self) -> int: ...
    def take_lease(self, question: Question, life_ms: int) -> bool: ...
    def release_lease(self, question: Question) -> int: ...
    def recall(self, question: Question) -> Outcome | None: ...
    def keep(
        self,
        question: Question,
        status: int,
        content_type: bytes,
        body: bytes,
        *,
        retry_after_s: float | None = None,
    ) -> Outcome: ...
    def sweep(self, buckets: int) -> int: ...
    def stats(self) -> dict[str, int]: ...

@final
class App:
    """An ASGI 3 callable: a hit is answered in it, a miss waits for its registry."""

    def __new__(
        cls,
        countries: Sequence[str],
        region: Region,
        *,
        policy: dict[str, int],
        refreshes_ahead: bool,
        wake: Callable[[], object],
        on_miss: Callable[[Question, Any], Awaitable[None]],
        on_lifespan: Callable[[Any, Any], Awaitable[None]],
        client_limit: tuple[int, str | None, Sequence[str]] | None = None,
    ) -> App: ...
    def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> Awaitable[None]: ...
    def ask(self, question: Question, future: Any) -> None: ...
    def work(self) -> tuple[list[tuple[int, Question]], list[int], float | None]: ...
    def first_byte(self, try_id: int) -> None: ...
    def tried(self, try_id: int, outcome: Outcome) -> None: ...
    def close(self) -> None: ...
    def miss_stats(self) -> dict[str, int]: ...
    def registry_stats(self) -> list[dict[str, float]]: ...
    @property
    def is_draining(self) -> bool: ...
    def start_lame_duck(self) -> None: ...
    def refuse_misses(self) -> None: ...
    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...
    def answers_by_status(self) -> list[tuple[int, int]]: ...

@final
class Lane:
    """What Granian calls for each request, in place of `fallback`."""

    def __new__(
        cls,
        app: App,
        fallback: Callable[[Any], object],
        *,
        fault: Callable[[str], bool] | None = None,
    ) -> Lane: ...
    def __call__(self, watcher: Any) -> None: ...
    @property
    def served(self) -> int: ...
    @property
    def faults(self) -> int: ...
