"""The register of the Isle of Man, varied to as many companies as are wanted, and what loads them into a cache file.

Company `place` has the number of row `place % rows`. Each round over the register writes its letter over the number's
first digit; after the alphabet the next country begins. Names and closings move on by some rows each round, so that an
answer meant for the same row of another round is seen to be wrong. Lengths and alphabets stay the register's.

As a program it runs inside the image, over the cache file of a service with the same configuration, and stores through
`Region.keep`, the way of the service itself, which reads a registry's reply. Its argument: `fill`'s options as JSON.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from backendify._core import Question, Region
from backendify.rehearsal.companies import Company, expected, isle_of_man

COUNTRIES = [
    "im", "gb", "ie", "fr", "de", "nl", "be", "lu", "ch", "at", "it", "es", "pt", "se", "no", "dk", "fi", "pl",
]  # fmt: skip
URL = "http://127.0.0.1:9"  # nobody listens: what the cache does not know is no 200
LETTERS = "0ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # the first round leaves the number as it is
ROWS_MOVED = 97  # a round
TRIES = 100
CONTENT_TYPE = b"application/x-company-v1"


def registries(count: int) -> list[tuple[str, str]]:
    """List the (country, base URL) that `count` companies need."""
    a_country = len(LETTERS) * len(isle_of_man())
    return [(country, f"{URL}/{country}") for country in COUNTRIES[: -(-count // a_country)]]


class Varied:
    """Companies by their place, from 0."""

    def __init__(self) -> None:
        register = isle_of_man()
        self._companies = [register[number] for number in register]
        self.numbers = [company.number for company in self._companies]
        self.rows = len(self.numbers)

    def locate(self, place: int) -> tuple[int, str, int]:
        """Split a place: which registry, from 0; the id; the row of name and closing."""
        round_, row = divmod(place, self.rows)
        registry, letter = divmod(round_, len(LETTERS))
        return registry, vary(self.numbers[row], letter), (row + round_ * ROWS_MOVED) % self.rows

    def bodies(self) -> list[bytes]:
        """Write what a V1 registry says, by row."""
        return [_body(company) for company in self._companies]

    def answers(self) -> list[dict[str, str | bool]]:
        """Tell what customers are to be told, by row, the id left out."""
        now_ns = time.time_ns()
        answers = [expected(company, now_ns) for company in self._companies]
        for answer in answers:
            del answer["id"]
        return answers


def vary(number: str, letter: int) -> str:
    """Write a round's letter over the first digit: a small one over 1, so that no two numbers meet."""
    if letter == 0:
        return number
    return (LETTERS[letter] if number[0] == "0" else LETTERS[letter].lower()) + number[1:]


def _body(company: Company) -> bytes:
    told = {"cn": company.name} | ({"closed_on": company.closed_on} if company.closed_on else {})
    return json.dumps(told, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Filling:
    """What the loader tells at its end."""

    kept: int
    refused: int
    seconds: float
    found: str
    evictions: int
    records: int


def fill(path: str, *, cache_bytes: int, lifetimes_ms: dict[str, int], places: range, of: int) -> Filling:
    """Keep the companies at `places`, of so many in all, and say what became of them."""
    region, found = Region.open(
        path,
        bytes=cache_bytes,
        registries=registries(of),
        **lifetimes_ms,
    )
    started_s = time.monotonic()
    kept = sum(_keep_all(region, places))
    seconds = time.monotonic() - started_s
    stats = region.stats()
    return Filling(kept, len(places) - kept, seconds, found, stats["evictions"], stats["records"])


def _keep_all(region: Region, places: range) -> Iterator[bool]:
    varied = Varied()
    bodies, locate, keep = varied.bodies(), varied.locate, region.keep
    for place in places:
        registry, number, row = locate(place)
        question = Question(registry, number)
        # Another loader may write in the same bucket: a service leaves such an answer out, a loader comes again.
        yield any(keep(question, 200, CONTENT_TYPE, bodies[row]).stored for _ in range(TRIES))


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    options["places"] = range(*options["places"])
    print(json.dumps(asdict(fill(**options))))
