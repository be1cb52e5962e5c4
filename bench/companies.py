"""The companies that are asked for: the register of the Isle of Man, varied, with ordinary days of closing.

A company's place says its id (`varied.Varied`) and its name. A day of closing is one that every language's own library
reads: whole seconds, an offset. Leap seconds, the year 0000 and nanoseconds are a matter of tests, not of speed.
"""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from varied import LETTERS, ROWS_MOVED, Varied

from backendify.rehearsal.companies import isle_of_man

COUNTRY = "im"
ASKED = 100_000  # companies known to the servers; those behind them are the misses
_OFFSETS_MIN = (0, 60, -300, 330)
_PAST, _AHEAD = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Company:
    """What is so of one company."""

    number: str
    name: str
    until: datetime | None
    """Aware, in the registry's own offset."""

    def told(self) -> dict[str, str | bool]:
        """Tell what a customer is to read."""
        told: dict[str, str | bool] = {"id": self.number, "name": self.name, "active": True}
        if self.until:
            told["active"] = self.until > datetime.now(UTC)
            told["active_until"] = self.until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return told

    def registry_says(self, *, v2: bool) -> tuple[str, bytes]:
        """Give a registry's Content-Type and body."""
        kind, name_key, date_key = (
            ("application/x-company-v2", "company_name", "dissolved_on")
            if v2
            else ("application/x-company-v1", "cn", "closed_on")
        )
        said = {name_key: self.name} | ({date_key: self.until.isoformat()} if self.until else {})
        return kind, json.dumps(said, ensure_ascii=False).encode()


class Companies:
    """Companies by their place, from 0: over a million of one country."""

    def __init__(self) -> None:
        register = isle_of_man()
        self._varied = Varied()
        self._names = [register[number].name for number in self._varied.numbers]
        self._closings = [_closing(row) for row in range(len(self._names))]
        self._rows = {number: row for row, number in enumerate(self._varied.numbers)}

    def __len__(self) -> int:
        return len(LETTERS) * len(self._names)

    def __getitem__(self, place: int) -> Company:
        if not 0 <= place < len(self):
            raise IndexError(place)
        _, number, row = self._varied.locate(place)
        return Company(number, self._names[row], self._closings[row])

    def number(self, place: int) -> str:
        """Give the id alone."""
        return self._varied.locate(place)[1]

    def row_of(self, number: str) -> int | None:
        """Find whose name and closing a company has: the same for every 27th of a million."""
        first, rest = number[:1], number[1:]
        letter = max(LETTERS.find(first.upper()), 0) if first.isalpha() else 0
        unvaried = number if letter == 0 else ("0" if first.isupper() else "1") + rest
        row = self._rows.get(unvaried)
        return None if row is None else (row + letter * ROWS_MOVED) % len(self._names)

    def of_rows(self) -> list[Company]:
        """Give one company of each row."""
        return [self[place] for place in range(len(self._names))]


def _closing(row: int) -> datetime | None:
    """One in four has none; of the others two in three lie ahead."""
    draws = random.Random(row)  # noqa: S311 - the same in each process
    if draws.randrange(4) == 0:
        return None
    base = _AHEAD if draws.randrange(3) else _PAST
    zone = timezone(timedelta(minutes=draws.choice(_OFFSETS_MIN)))
    return (base + timedelta(seconds=draws.randrange(25 * 365 * 86_400))).astimezone(zone)


def target(number: str) -> str:
    """Write the request's target."""
    return f"/company?id={number}&country_iso={COUNTRY}"
