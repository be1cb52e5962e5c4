"""What the service may ask of its registries at once, looked at while a rehearsal plays."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

LOOK_S = 0.05
Look = tuple[float, Mapping[str, int]]
"""When (monotonic seconds), and the limit of each country."""


class Limits:
    """The adaptive limit of each registry, asked for twenty times a second from the first question on."""

    def __init__(self, stats: Callable[[], Mapping[str, Any]]) -> None:
        """Ask by `stats`, which gives what /stats says."""
        self._stats = stats
        self._looks: list[Look] = []
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    def by_second(self) -> dict[str, list[int]]:
        """Give the highest limit of each second that a look fell into, from the first question on."""
        return highest_by_second(self._looks)

    def _watch(self) -> None:
        while not self._done.wait(LOOK_S):
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):  # fewer looks, then
                registries = self._stats()["registries"]
                if self._looks or any(registry["asked"] for registry in registries):
                    limits = {registry["country"]: registry["limit"] for registry in registries}
                    self._looks.append((time.monotonic(), limits))


def highest_by_second(looks: Sequence[Look]) -> dict[str, list[int]]:
    """Sort looks into seconds since the first; a second without one has the limit of the one before."""
    highest: dict[str, list[int]] = {}
    for at_s, limits in looks:
        second = int(at_s - looks[0][0])
        for country, limit in limits.items():
            seconds = highest.setdefault(country, [])
            seconds += seconds[-1:] * (second - len(seconds))
            if len(seconds) <= second:
                seconds.append(limit)
            seconds[second] = max(seconds[second], limit)
    return highest
