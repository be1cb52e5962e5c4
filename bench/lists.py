"""Lists of requests: those for companies that every server knows, and those for companies that none does yet."""

import json
import random
from collections.abc import Iterable
from pathlib import Path

from companies import ASKED, COUNTRY, Companies, Company, target
from customers import HEAD
from process import Process

SEED = 20


class Lists:
    """Writes lists into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._companies = Companies()
        places = list(range(ASKED))
        random.Random(SEED).shuffle(places)  # noqa: S311 - the same in each run
        self.known = [target(self._companies.number(place)) for place in places]
        self._next: dict[int, int] = {}
        """By a server's port: the place from where on it knows nothing."""
        self.known_requests = self._write("known", (HEAD.format(one) for one in self.known))

    def companies(self) -> Iterable[Company]:
        """Give the known companies."""
        return (self._companies[place] for place in range(ASKED))

    def answers(self) -> Path:
        """Write what customers are to be told of the known companies, one a line."""
        told = (self._companies[place].told() | {"country_iso": COUNTRY} for place in range(ASKED))
        return self._write("answers.jsonl", (json.dumps(one, ensure_ascii=False) + "\n" for one in told))

    def sample(self, count: int) -> dict[str, dict[str, str | bool]]:
        """Give so many known companies: what is to be told, by target."""
        places = random.Random(SEED + 1).sample(range(ASKED), count)  # noqa: S311
        return {
            target(company.number): company.told() for company in map(self._companies.__getitem__, places)
        }

    def known_urls(self, server: Process) -> Path:
        """Write the URLs of the known companies."""
        return self._write(f"known-{server.port}", (_url(server, one) for one in self.known))

    def unknown_urls(self, server: Process, count: int) -> Path:
        """Write the URLs of companies that this server does not know."""
        return self._write(
            f"unknown-{server.port}", (_url(server, one) for one in self._unknown(server, count))
        )

    def unknown_requests(self, server: Process, count: int) -> Path:
        """Write requests for companies that this server does not know."""
        return self._write(
            f"unknown-{server.port}", (HEAD.format(one) for one in self._unknown(server, count))
        )

    def mixed_requests(self, server: Process, count: int, *, known_of_ten: int) -> Path:
        """Write requests for known companies, and so many of ten for unknown ones."""
        unknown = iter(self._unknown(server, count * (10 - known_of_ten) // 10))
        draws = random.Random(SEED + server.port)  # noqa: S311
        known = (draws.choice(self.known) for _ in range(count))
        mixed = (
            asked
            for place, one in enumerate(known)
            if (asked := one if place % 10 < known_of_ten else next(unknown, None))
        )
        return self._write(f"mixed-{server.port}", (HEAD.format(one) for one in mixed))

    def _unknown(self, server: Process, count: int) -> list[str]:
        first = self._next.get(server.port, ASKED)
        self._next[server.port] = first + count
        if first + count > len(self._companies):
            raise RuntimeError("there are not so many companies: fewer rounds or seconds")
        return [target(self._companies.number(place)) for place in range(first, first + count)]

    def _write(self, name: str, lines: Iterable[str]) -> Path:
        path = self._folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        return path


def _url(server: Process, one: str) -> str:
    return f"http://127.0.0.1:{server.port}{one}\n"
