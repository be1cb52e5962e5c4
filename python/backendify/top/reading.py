"""From the JSON of /stats to a reading; a stranger may have written it.

Each number is finite and not negative, and each text is short and printable, before anybody shows or divides it.
"""

import json
import re
from collections.abc import Mapping
from typing import Final, NoReturn

from backendify.admin import CacheStats, RegistryStats, Stats
from backendify.configuration import REGISTRIES_MAX

_COUNT_MAX: Final = (1 << 64) - 1
_TEXT_CHARS_MAX: Final = 32
_UNPRINTABLE: Final = re.compile("[^ -~]")
_STATUS: Final = re.compile("[1-9][0-9]{2}")


class NotStats(Exception):  # noqa: N818 - what it is not
    """Why these are no statistics of ours, in a few words."""


def to_stats(body: bytes) -> Stats:
    """Read the statistics. Raises :class:`NotStats`."""
    try:
        told = _Members(json.loads(body, parse_constant=_refuse), "")
    except (ValueError, RecursionError):
        raise NotStats("not JSON") from None
    cache = told.members("cache")
    return Stats(
        version=told.text("version"),
        uptime_s=told.number("uptime_s"),
        draining=told.flag("draining"),
        workers=told.count("workers"),
        hits=told.count("hits"),
        misses=told.count("misses"),
        collapsed=told.count("collapsed"),
        stored=told.count("stored"),
        answers=told.members("answers").by_status(),
        cache=CacheStats(
            bytes=cache.count("bytes"),
            capacity_bytes=cache.count("capacity_bytes"),
            records=cache.count("records"),
            evictions=cache.count("evictions"),
            expired=cache.count("expired"),
            oversize=cache.count("oversize"),
        ),
        fetches_running=told.count("fetches_running"),
        fetches_max=told.count("fetches_max"),
        customers_waiting=told.count("customers_waiting"),
        registries=tuple(map(_registry, told.list_of_members("registries"))),
        rss_bytes=told.count("rss_bytes"),
        memory_limit_bytes=told.count("memory_limit_bytes") if told.has("memory_limit_bytes") else None,
    )


def _registry(told: "_Members") -> RegistryStats:
    return RegistryStats(
        country=told.text("country"),
        asked=told.count("asked"),
        answered=told.count("answered"),
        failed=told.count("failed"),
        running=told.count("running"),
        asked_again=told.count("asked_again"),
        limit=told.count("limit"),
        queued=told.count("queued"),
        breaker_open=told.flag("breaker_open"),
        throttled=told.count("throttled"),
        patience_s=told.number("patience_s"),
        paused_for_s=told.number("paused_for_s"),
    )


class _Members:
    """A JSON object, whose members are asked for by name and kind."""

    def __init__(self, value: object, name: str) -> None:
        if not isinstance(value, Mapping):
            raise NotStats(f"{name or 'the whole'} is no object")
        self._value = value
        self._name = f"{name}." if name else ""

    def has(self, name: str) -> bool:
        """Whether there is such a member, and it is not null."""
        return self._value.get(name) is not None

    def count(self, name: str) -> int:
        value = self._value.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _COUNT_MAX:
            self._complain(name, "count")
        return value

    def number(self, name: str) -> float:
        value = self._value.get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= _COUNT_MAX:
            self._complain(name, "number")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self._value.get(name)
        if not isinstance(value, bool):
            self._complain(name, "true or false")
        return value

    def text(self, name: str) -> str:
        """Give a text that can be shown: what could control a terminal, or is wider than it seems, is `?`."""
        value = self._value.get(name)
        if not isinstance(value, str):
            self._complain(name, "text")
        return _UNPRINTABLE.sub("?", value[:_TEXT_CHARS_MAX])

    def members(self, name: str) -> "_Members":
        return _Members(self._value.get(name), f"{self._name}{name}")

    def list_of_members(self, name: str) -> list["_Members"]:
        value = self._value.get(name)
        if not isinstance(value, list) or len(value) > REGISTRIES_MAX:
            self._complain(name, f"list of at most {REGISTRIES_MAX}")
        return [_Members(item, f"{self._name}{name}") for item in value]

    def by_status(self) -> dict[int, int]:
        """Give the counts of statuses, in order."""
        if not all(_STATUS.fullmatch(status) for status in self._value):
            raise NotStats(f"a name in {self._name.removesuffix('.')} is no status")
        return {int(status): self.count(status) for status in sorted(self._value)}

    def _complain(self, name: str, expected: str) -> NoReturn:
        raise NotStats(f"{self._name}{name} is no {expected}")


def _refuse(constant: str) -> NoReturn:
    """Refuse `NaN` and `Infinity`, which are no JSON."""
    raise ValueError(constant)
