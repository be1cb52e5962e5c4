"""Real companies, and what a customer is to be told of them.

`companies-im.csv.gz` is the public register of the Isle of Man: 37,782 companies with number, name, day of
registration, status and kind, in the index of April 2024. It comes from the public repository
dankarran/isleofman-opendata, data of the Isle of Man Government's Companies Registry. The index has no day of
dissolution: `closing` makes one from the number.
"""

import csv
import gzip
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from backendify.rehearsal.closing import Closing, closing_of

NUMBER_BYTES: Final = 7  # of every company in the register


@dataclass(frozen=True, slots=True)
class Company:
    """What a registry knows of one company."""

    number: str
    name: str
    closing: Closing | None = None
    """When it closes or closed; None when the registry has no such day."""

    @property
    def closed_on(self) -> str | None:
        """The closing as the registry writes it."""
        return self.closing.text if self.closing else None


def expected(company: Company, now_ns: int) -> dict[str, str | bool]:
    """Tell what the service is to answer, `now_ns` nanoseconds after 1970-01-01T00:00:00Z; keys in order."""
    closing = company.closing
    answer: dict[str, str | bool] = {
        "id": company.number,
        "name": company.name,
        "active": closing is None or closing.lies_ahead_of(now_ns),
    }
    if closing:
        answer["active_until"] = closing.active_until
    return answer


class Register(Mapping[str, Company]):
    """Companies by their number, packed (under 2 MB for the register), each made when it is looked up."""

    __slots__ = ("_ends", "_names", "_numbers")

    def __init__(self, names_by_number: Iterable[tuple[str, str]]) -> None:
        ordered = sorted(names_by_number)
        self._numbers = "".join(number for number, _ in ordered).encode("ascii")
        names = [name.encode() for _, name in ordered]
        self._names = b"".join(names)
        self._ends = array("I", [0])
        for name in names:
            self._ends.append(self._ends[-1] + len(name))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[str]:
        return (self._number_at(place).decode() for place in range(len(self)))

    def __getitem__(self, number: str) -> Company:
        place = bisect_left(range(len(self)), number.encode(), key=self._number_at)
        if place == len(self) or self._number_at(place) != number.encode():
            raise KeyError(number)
        name = self._names[self._ends[place] : self._ends[place + 1]].decode()
        return Company(number, name, closing_of(number))

    def _number_at(self, place: int) -> bytes:
        return self._numbers[place * NUMBER_BYTES : (place + 1) * NUMBER_BYTES]


@cache
def isle_of_man() -> Register:
    """Load the register of the Isle of Man, once a process."""
    packed = files("backendify.rehearsal").joinpath("companies-im.csv.gz").read_bytes()
    rows = csv.DictReader(gzip.decompress(packed).decode().splitlines())
    return Register((row["number"], row["name"]) for row in rows)
