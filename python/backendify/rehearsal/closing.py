"""Days of closing, made from a number: first the instant is drawn, then one of many ways to write it.

So the truth never comes from reading the text, and least of all from the code that is tested with it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from backendify.rehearsal.draws import Draws

NS_PER_S: Final = 1_000_000_000
FRACTION_DIGITS_MAX: Final = 30

_DAY_S: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The calendar repeats after 400 years; `datetime` begins with the year 1, and a registry may say the year 0.
_CYCLE_YEARS: Final = 400
_CYCLE_S: Final = 146_097 * _DAY_S

# Midnights before which UTC had a leap second: some of the 27, after June and after December (IERS).
_LEAP_MIDNIGHTS: Final = tuple(
    int(datetime.fromisoformat(f"{day}T00:00:00Z").timestamp())
    for day in (
        "1972-07-01",
        "1973-01-01",
        "1999-01-01",
        "2009-01-01",
        "2012-07-01",
        "2015-07-01",
        "2017-01-01",
    )
)
_OFFSETS_MIN: Final = (0, 60, -60, 120, 180, -300, -480, 330, 345, -210, 525, 840, -720, 1439, -1439)


@dataclass(frozen=True, slots=True)
class Closing:
    """When a company closes, or closed: the instant, and how its registry writes it."""

    unix_s: int
    """Whole seconds since 1970-01-01T00:00:00Z; negative before it. A leap second is the second after it."""
    nanoseconds: int
    """After the whole second: 0 to 999,999,999."""
    text: str
    """The instant as the registry writes it: RFC 3339, any offset, 0 to 30 digits of fraction."""

    @classmethod
    def at(cls, unix_s: int, nanoseconds: int = 0) -> Self:
        """Close at this instant, years 0000 to 9999, written in the plainest way."""
        return cls(unix_s, nanoseconds, _utc_text(unix_s, nanoseconds))

    @property
    def active_until(self) -> str:
        """The instant as a customer is to read it: UTC, `Z`, the fraction without trailing zeros."""
        return _utc_text(self.unix_s, self.nanoseconds)

    def lies_ahead_of(self, now_ns: int) -> bool:
        """Whether the instant is still to come, `now_ns` nanoseconds after 1970-01-01T00:00:00Z."""
        return self.unix_s * NS_PER_S + self.nanoseconds > now_ns


def closing_of(number: str) -> Closing | None:
    """Make the closing of the company with this number; one in four has none."""
    draws = Draws("closing", number)
    if draws.below(4) == 0:
        return None
    kind = draws.below(16)
    if kind == 0:
        return _leap_second(draws)
    unix_s = _instant(draws, kind)
    digits = draws.below(FRACTION_DIGITS_MAX + 1)
    kept = min(digits, 9)
    nanoseconds = draws.below(10**kept) * 10 ** (9 - kept)
    if draws.below(8) == 0:  # a fraction that ends in zeros, or is nothing but zeros
        nanoseconds -= nanoseconds % 10 ** draws.below(10)
    fraction = f"{nanoseconds:09}"[:kept]
    if digits > kept:
        fraction += f"{draws.below(10 ** (digits - kept)):0{digits - kept}}"  # finer than we keep
    return Closing(unix_s, nanoseconds, _written(draws, unix_s, f"{{:02}}.{fraction}" if digits else "{:02}"))


def _instant(draws: Draws, kind: int) -> int:
    """Draw whole seconds: most long ago or far ahead, some near the borders of calendars."""
    match kind:
        case 1:  # within a day of a new year
            return _new_year(1600 + draws.below(8000)) + _within_a_day(draws)
        case 2:  # within a day of 1 March, leap years and others
            leap_day_or_not = (59 + draws.below(2)) * _DAY_S
            return _new_year(1600 + draws.below(8000)) + leap_day_or_not + _within_a_day(draws)
        case 3:  # the first days of the year 0000, the last ones of 9999
            first = _new_year(0) + draws.below(3 * _DAY_S)
            last = _new_year(9999) + 365 * _DAY_S - 1 - draws.below(3 * _DAY_S)
            return (first, last)[draws.below(2)]
        case 4 | 5 | 6 | 7 | 8 | 9:  # to come
            return _new_year(2100) + draws.below(400 * 365 * _DAY_S)
        case _:  # past
            return _new_year(1850) + draws.below(170 * 365 * _DAY_S)


def _leap_second(draws: Draws) -> Closing:
    """Write a second that only UTC's own clocks have known; it is told as the second after it."""
    unix_s = _LEAP_MIDNIGHTS[draws.below(len(_LEAP_MIDNIGHTS))]
    zeros = "0" * draws.below(FRACTION_DIGITS_MAX + 1)
    return Closing(unix_s, 0, _written(draws, unix_s - 1, f"60.{zeros}" if zeros else "60"))


def _written(draws: Draws, unix_s: int, second: str) -> str:
    """Write the instant at a drawn offset, with a drawn separator; `second` is the format of the second."""
    offset_min = _OFFSETS_MIN[draws.below(len(_OFFSETS_MIN))]
    if draws.below(4) == 0:
        offset_min = draws.below(2 * 1439 + 1) - 1439
    local_s = unix_s + offset_min * 60
    if not _new_year(0) <= local_s < _new_year(9999) + 365 * _DAY_S:  # no four digits for that year
        offset_min, local_s = 0, unix_s
    if offset_min == 0:
        zone = ("Z", "z", "+00:00", "-00:00")[draws.below(4)]
    else:
        zone = f"{'-' if offset_min < 0 else '+'}{abs(offset_min) // 60:02}:{abs(offset_min) % 60:02}"
    day, hour_and_minute, second_of_minute = _civil(local_s)
    return f"{day}{'Tt '[draws.below(3)]}{hour_and_minute}:{second.format(second_of_minute)}{zone}"


def _utc_text(unix_s: int, nanoseconds: int) -> str:
    day, hour_and_minute, second = _civil(unix_s)
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    return f"{day}T{hour_and_minute}:{second:02}{fraction}Z"


def _civil(unix_s: int) -> tuple[str, str, int]:
    """Day, hour with minute, and second of the minute, in the proleptic Gregorian calendar."""
    cycles = 1 if unix_s < 0 else 0
    moment = _EPOCH + timedelta(seconds=unix_s + cycles * _CYCLE_S)
    year = moment.year - cycles * _CYCLE_YEARS
    return f"{year:04}-{moment:%m-%d}", f"{moment:%H:%M}", moment.second


def _new_year(year: int) -> int:
    """1 January of a year, 0000 to 9999, in seconds since 1970."""
    cycles = 1 if year == 0 else 0
    return int(datetime(year + cycles * _CYCLE_YEARS, 1, 1, tzinfo=UTC).timestamp()) - cycles * _CYCLE_S


def _within_a_day(draws: Draws) -> int:
    return draws.below(2 * _DAY_S) - _DAY_S
