"""What the comparison is to show, and what it showed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from parts import median
from servers import AXUM_ROW, CONSTANT, DICTIONARY, FASTAPI, NGINX, OURS_ROW

MIB = 1 << 20
Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure, and the bound that it is to keep."""

    text: str
    unit: str
    found: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the bound is kept."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def told(self) -> dict[str, Any]:
        """For the results' file."""
        goal = f"{'at least' if self.at_least else 'at most'} {self.bound:.4g} {self.unit}".strip()
        return {"text": self.text, "goal": goal, "found": round(self.found, 3), "met": self.met}


def judged(results: Results) -> Iterator[Goal]:
    """Judge what was measured; parts and servers that were left out give no goal."""
    readers: Mapping[str, Callable[[Any], Iterator[Goal]]] = {
        "hits": _hits,
        "latency": _latency,
        "beside": _beside,
        "memory": _memory,
        "start": _start,
        "workers": _workers,
    }
    for part, read in readers.items():
        if part in results:
            yield from read(results[part])


def _hits(runs: Mapping[str, list[dict[str, Any]]]) -> Iterator[Goal]:
    per_s = {name: median(those, "per_s") for name, those in runs.items()}
    for peer, bound in ((CONSTANT, 1.5), (NGINX, 1.0), (AXUM_ROW, 0.8), (FASTAPI, 10.0)):
        if peer in per_s:
            yield Goal(f"hits, times {peer}", "", per_s[OURS_ROW] / per_s[peer], bound, at_least=True)


def _latency(part: Mapping[str, Any]) -> Iterator[Goal]:
    runs = part["runs"]
    if OURS_ROW in runs:
        own = runs[OURS_ROW]
        if NGINX in runs:
            over_ms = median(own, "p99_ms") - median(runs[NGINX], "p99_ms")
            yield Goal("p99 at half of saturation, over nginx's", "ms", over_ms, 1.0, at_least=False)
        yield Goal("p99.9 at half of saturation", "ms", median(own, "p99_9_ms"), 10.0, at_least=False)


def _beside(part: Mapping[str, Any]) -> Iterator[Goal]:
    share = median(part["together"][OURS_ROW], "per_s") / median(part["alone"][OURS_ROW], "per_s")
    yield Goal("hits beside 500 misses/s, share of the rate alone", "", share, 0.7, at_least=True)
    p99_ms = median(part["at_a_rate"][OURS_ROW], "p99_ms")
    yield Goal("a hit's p99 at 5,000 hits/s and 500 misses/s", "ms", p99_ms, 5.0, at_least=False)


def _memory(part: Mapping[str, Any]) -> Iterator[Goal]:
    if DICTIONARY in part:
        share = part[OURS_ROW]["cache_a_company"] / part[DICTIONARY]["added_a_company"]
        yield Goal("memory a company, share of the dictionary's", "", share, 1 / 8, at_least=False)


def _start(runs: Mapping[str, list[dict[str, Any]]]) -> Iterator[Goal]:
    own = runs[OURS_ROW]
    yield Goal("idle RSS", "MiB", median(own, "rss_bytes") / MIB, 55, at_least=False)
    yield Goal("idle RSS, stretch", "MiB", median(own, "rss_bytes") / MIB, 45, at_least=False)
    yield Goal("from start to /status 200", "s", median(own, "started_s"), 0.6, at_least=False)


def _workers(runs: Mapping[str, list[dict[str, Any]]]) -> Iterator[Goal]:
    one, two = (median(runs[name], "server_cpu_us") for name in ("one worker", "two workers"))
    yield Goal(
        "two workers on two cores, times one (from the CPU of a request)",
        "",
        2 * one / two,
        1.7,
        at_least=True,
    )
