"""Two readings as lines of text: ASCII, so that they fit any terminal."""

from collections.abc import Sequence
from typing import Final

from backendify.admin import RegistryStats, Stats

_UNKNOWN: Final = "-"
_WHOLE_FROM: Final = 10  # smaller rates have a decimal
_MINUTE_S: Final = 60
_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_LABEL_CHARS: Final = 11
_ANSWERS_A_LINE: Final = 4  # of 12,345 a second each: 80 columns


def lines(now: Stats, before: Stats | None, *, address: str, clock: str) -> list[str]:
    """Write a reading; rates are of the time since the reading before, where there is one of the same run."""
    if before is not None and not _is_same_run(before, now):
        before = None
    # With one worker everything is of the whole service.
    mark = "*" if now.workers > 1 else ""
    state = "draining" if now.draining else "serving"
    workers = "1 worker" if now.workers == 1 else f"{now.workers} workers"
    running = sum(registry.running for registry in now.registries)
    told = [
        f"backendify {now.version} at {address}, {clock}",
        "",
        _line("state", f"{state}, up {_duration(now.uptime_s)}, {workers}"),
        _line("requests", f"{_questions(now, before)}   hits {_hit_ratio(now, before)}"),
        *_answers(now, before, f"answers{mark}"),
        _line("waiting", f"{now.customers_waiting:,} customers{mark}"),
        _line(
            "asking",
            f"{running:,} of {now.fetches_max:,} tries run   {now.fetches_running:,} fetches under way{mark}",
        ),
        _line(f"memory{mark}", _fill(now.rss_bytes, now.memory_limit_bytes)),
        _line("cache", f"{_fill(now.cache.bytes, now.cache.capacity_bytes)}   {now.cache.records:,} answers"),
        "",
        *_table(_registries(now, before, mark)),
    ]
    return [*told, "", "* of the first worker alone"] if mark else told


def fitted(told: Sequence[str], *, columns: int, rows: int) -> list[str]:
    """Cut what a screen has no room for, and say so."""
    if len(told) > rows > 0:
        told = [*told[: rows - 1], f"... {len(told) - rows + 1} more lines"]
    return [line[:columns] for line in told]


def _is_same_run(before: Stats, now: Stats) -> bool:
    """Tell whether no process began anew between two readings: all that only grows did."""
    totals = ((stats.uptime_s, stats.hits, stats.misses, stats.stored) for stats in (before, now))
    shrunk = any(later < earlier for earlier, later in zip(*totals, strict=True))
    lost = any(now.answers.get(status, 0) < count for status, count in before.answers.items())
    return not shrunk and not lost and now.uptime_s > before.uptime_s


def _line(label: str, text: str) -> str:
    return f"{label:{_LABEL_CHARS}}{text}"


def _questions(now: Stats, before: Stats | None) -> str:
    if before is None:
        return _UNKNOWN
    grown = now.hits + now.misses - before.hits - before.misses
    return f"{_rate(grown, now.uptime_s - before.uptime_s)}/s"


def _hit_ratio(now: Stats, before: Stats | None) -> str:
    """Tell the share of hits since the reading before; where nobody asked, since the cache was made."""
    if before is not None and (asked := now.hits + now.misses - before.hits - before.misses):
        return _share(now.hits - before.hits, asked)
    if asked := now.hits + now.misses:
        return f"{_share(now.hits, asked)} since the cache was made"
    return _UNKNOWN


def _answers(now: Stats, before: Stats | None, label: str) -> list[str]:
    """Tell each status: how many a second, or how many since the start."""
    if before is None:
        told = [f"{status}: {count:,}" for status, count in now.answers.items()]
    else:
        seconds = now.uptime_s - before.uptime_s
        grown = {status: count - before.answers.get(status, 0) for status, count in now.answers.items()}
        told = [f"{status}: {_rate(count, seconds)}/s" for status, count in grown.items()]
    if not told:
        return [_line(label, "none yet")]
    starts = range(0, len(told), _ANSWERS_A_LINE)
    rows = ["   ".join(told[start : start + _ANSWERS_A_LINE]) for start in starts]
    if before is None:
        rows[-1] += " since the start"
    return [_line(label if number == 0 else "", row) for number, row in enumerate(rows)]


def _registries(now: Stats, before: Stats | None, mark: str) -> list[list[str]]:
    of_first = (f"{name}{mark}" for name in ("queued", "tries/s", "429/s", "fails/s", "patience"))
    head = ["iso", "breaker", "run/limit", *of_first, "pause"]
    earlier = {registry.country: registry for registry in before.registries} if before else {}
    seconds = now.uptime_s - before.uptime_s if before else 0.0
    return [head, *(_registry(later, earlier.get(later.country), seconds) for later in now.registries)]


def _registry(now: RegistryStats, before: RegistryStats | None, seconds: float) -> list[str]:
    rates = [_UNKNOWN] * 3
    if before is not None:
        rates = [
            _rate(now.asked - before.asked, seconds),
            _rate(now.throttled - before.throttled, seconds),
            _rate(now.failed - before.failed, seconds),
        ]
    return [
        now.country,
        "OPEN" if now.breaker_open else "closed",
        f"{now.running:,}/{now.limit:,}",
        f"{now.queued:,}",
        *rates,
        _short(now.patience_s),
        _short(now.paused_for_s) if now.paused_for_s else _UNKNOWN,
    ]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align columns: two of words, then numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if column <= 1 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _rate(grown: int, seconds: float) -> str:
    rate = max(0, grown) / seconds
    return f"{rate:.1f}" if rate < _WHOLE_FROM else f"{rate:,.0f}"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"


def _fill(used_bytes: int, most_bytes: int | None) -> str:
    if not most_bytes:
        return f"{_size(used_bytes)}, no limit"
    return f"{_size(used_bytes)} of {_size(most_bytes)} ({_share(used_bytes, most_bytes)})"


def _size(size_bytes: int) -> str:
    if size_bytes < _MIB:
        return f"{size_bytes / _KIB:.1f} KiB"
    if size_bytes < 10 * _GIB:
        return f"{size_bytes / _MIB:,.1f} MiB"
    return f"{size_bytes / _GIB:,.1f} GiB"


def _short(seconds: float) -> str:
    """Write what lasts from milliseconds to an hour."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s" if seconds < _WHOLE_FROM else f"{seconds:.0f} s"
    return f"{seconds / _MINUTE_S:,.0f} min"


def _duration(seconds: float) -> str:
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if days:
        return f"{days:,} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds % 60)} s" if minutes else f"{int(seconds)} s"
