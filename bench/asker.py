"""Asks the service for companies by their places, over real HTTP, and checks every answer whole."""

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from container import PORT
from varied import COUNTRIES, Varied

AHEAD = 32  # requests sent before their answers are read
REQUEST = "GET /company?id={}&country_iso={} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
READ_BYTES = 1 << 18


@dataclass(slots=True)
class Asked:
    """What became of the questions."""

    found: int = 0
    wrong: list[str] = field(default_factory=list)
    """Answers of 200 that are not this company's, the first ten."""
    not_found: Counter[int] = field(default_factory=Counter)
    """By status; the registries are dead, so this is what the cache does not know."""
    seconds: float = 0

    def told(self) -> dict[str, object]:
        """For the results' file."""
        return {
            "asked": self.found + len(self.wrong) + self.not_found.total(),
            "found": self.found,
            "wrong": self.wrong[:10],
            "wrong_count": len(self.wrong),
            "not_found": self.not_found.total(),
            "not_found_by_status": dict(self.not_found),
            "seconds": round(self.seconds, 1),
        }


def ask_all(places: Sequence[int], *, core: int, seconds_max: float) -> Asked:
    """Ask for the companies at `places`, from this `core`, for at most `seconds_max`."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    varied, asked = Varied(), Asked()
    answers = varied.answers()
    started_s = time.monotonic()
    rest = iter(places)
    with socket.create_connection(("127.0.0.1", PORT), timeout=30) as connection:
        replies = _Replies(connection)
        while batch := [varied.locate(place) for place in islice(rest, AHEAD)]:
            requests = [REQUEST.format(number, COUNTRIES[registry]) for registry, number, _ in batch]
            connection.sendall("".join(requests).encode())
            for registry, number, row in batch:
                status, body = replies.read()
                if status != 200:
                    asked.not_found[status] += 1
                elif json.loads(body) == {"id": number, **answers[row]}:
                    asked.found += 1
                else:
                    asked.wrong.append(f"{COUNTRIES[registry]} {number}: {body.decode(errors='replace')}")
            if time.monotonic() - started_s > seconds_max:
                break
    asked.seconds = time.monotonic() - started_s
    os.sched_setaffinity(0, cores)
    return asked


class _Replies:
    """Replies with a Content-Length, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._next = self._pieces()

    def read(self) -> tuple[int, bytes]:
        """Wait for the next reply: its status and body."""
        return next(self._next)

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        data, start = b"", 0
        while True:
            end = data.find(b"\r\n\r\n", start)
            if end >= 0:
                head = data[start:end].lower()
                length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
                if len(data) >= end + 4 + length:
                    yield int(head[9:12]), data[end + 4 : end + 4 + length]
                    start = end + 4 + length
                    continue
            more = self._connection.recv(READ_BYTES)
            if not more:
                raise ConnectionError("the service closed the connection")
            data, start = data[start:] + more, 0
