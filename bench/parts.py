"""The parts of the comparison: each asks its servers in turn, round by round, so that all have the same weather."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from checks import check
from companies import ASKED
from customers import warm
from lists import Lists
from loads import Paced, closed, paced
from process import Process
from servers import FASTAPI, OURS_ROW, Knows, Server, Stage, cache_of

HITS_PER_S, MISSES_PER_S = 5_000, 500
# More than any of them does in a second, so that no list comes to its end.
MISSES_PER_S_MAX, MIXED_PER_S_MAX = 30_000, 70_000
STARTS = 5
# Of both cores' time, in a load that counts; how often a load is tried for that.
STOLEN_MAX, TRIES = 0.02, 4

Runs = dict[str, list[dict[str, Any]]]
"""What each server did, by its name, round by round."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How long to look."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Running:
    """Servers that know the companies."""

    processes: Mapping[str, Process]
    servers: Mapping[str, Server]
    weights: Mapping[str, dict[str, dict[str, int]]]
    right: Mapping[str, int]

    def of(self, *kinds: Knows) -> Iterator[tuple[str, Process]]:
        """Give those that know their companies so."""
        for name, server in self.servers.items():
            if server.knows in kinds:
                yield name, self.processes[name]

    def caches(self) -> dict[str, dict[str, int]]:
        """Tell how full the service's own caches are."""
        return {
            name: cache_of(self.processes[name]) for name, server in self.servers.items() if server.is_ours
        }


@contextmanager
def warmed(servers: list[Server], stage: Stage, lists: Lists) -> Iterator[Running]:
    """Start all, ask each for every company, and check a sample of its answers."""
    with ExitStack() as running:
        processes = {server.name: running.enter_context(server.process(stage)) for server in servers}
        weights = {
            server.name: {"idle": _weigh_empty(server, stage, processes[server.name])} for server in servers
        }
        asking = [server.name for server in servers if server.knows in {Knows.REGISTRY, Knows.ORIGIN}]
        begun_s = time.monotonic()
        warm([processes[name].port for name in asking], lists.known)
        print(f"warmed in {time.monotonic() - begun_s:.0f} s", flush=True)
        right = {server.name: check(server, processes[server.name], lists) for server in servers}
        for name, process in processes.items():
            weights[name]["warm"] = weigh(process)
        yield Running(processes, {server.name: server for server in servers}, weights, right)


def weigh(process: Process) -> dict[str, int]:
    """Weigh a server, and what it keeps in memory's file system."""
    return {"rss": process.rss_bytes(), "pss": process.pss_bytes(), "files": process.file_bytes()}


def _weigh_empty(server: Server, stage: Stage, process: Process) -> dict[str, int]:
    """Weigh a server that knows nothing yet; one that reads a file knows all at once, so another is started."""
    if server.knows is not Knows.FILE:
        return weigh(process)
    with server.process(replace(stage, companies=Path(os.devnull))) as empty:
        return weigh(empty)


def hits(running: Running, lists: Lists, wanted: Wanted) -> Runs:
    """Known companies, closed loop."""

    def ask(process: Process, turn: int) -> dict[str, Any]:
        first = turn * ASKED // wanted.rounds
        return closed(process, lists.known_requests, seconds=wanted.seconds, first=first).told()

    return _in_turn(dict(running.processes), wanted.rounds, ask)


def memory(running: Running) -> dict[str, dict[str, Any]]:
    """Weigh all, and what a company costs: what was added for so many; of the service's own, the cache's share."""
    weighed: dict[str, dict[str, Any]] = {}
    caches = running.caches()
    for name, process in running.processes.items():
        weights = running.weights[name] | {"loaded": weigh(process)}
        added = sum(weights["warm"][kind] - weights["idle"][kind] for kind in ("pss", "files"))
        weighed[name] = weights | {"added_a_company": round(added / ASKED, 1)}
        if name in caches:
            weighed[name]["cache_a_company"] = round(
                caches[name]["capacity_bytes"] / caches[name]["records"], 1
            )
    return weighed


def latency(running: Running, lists: Lists, wanted: Wanted, hits: Runs) -> dict[str, Any]:
    """Known companies at half of the service's own most, open loop; those that cannot hold it are left out."""
    per_s = {name: median(runs, "per_s") for name, runs in hits.items()}
    rate = per_s[OURS_ROW] // 2
    able = {name: process for name, process in running.processes.items() if per_s[name] > rate * 1.1}
    urls = {process.port: lists.known_urls(process) for process in able.values()}

    def ask(process: Process, _: int) -> dict[str, Any]:
        return paced(urls[process.port], rate=rate, seconds=wanted.seconds).told()

    return {"rate_per_s": rate, "runs": _in_turn(able, wanted.rounds, ask)}


def misses(running: Running, lists: Lists, wanted: Wanted) -> Runs:
    """Unknown companies, closed loop."""

    def ask(process: Process, _: int) -> dict[str, Any]:
        requests = lists.unknown_requests(process, round(MISSES_PER_S_MAX * wanted.seconds))
        return closed(process, requests, seconds=wanted.seconds).told()

    return _in_turn(dict(running.of(Knows.REGISTRY)), wanted.rounds, ask)


def mixed(running: Running, lists: Lists, wanted: Wanted) -> Runs:
    """Nine known companies to one unknown, closed loop."""

    def ask(process: Process, _: int) -> dict[str, Any]:
        count = round(MIXED_PER_S_MAX * wanted.seconds)
        requests = lists.mixed_requests(process, count, known_of_ten=9)
        return closed(process, requests, seconds=wanted.seconds).told()

    return _in_turn(dict(running.of(Knows.REGISTRY)), wanted.rounds, ask)


def beside(running: Running, lists: Lists, wanted: Wanted) -> dict[str, Runs]:
    """Known companies while unknown ones are asked for as well: as fast as can be, and at a rate."""

    def alone(process: Process, _: int) -> dict[str, Any]:
        return closed(process, lists.known_requests, seconds=wanted.seconds).told()

    def together(process: Process, _: int) -> dict[str, Any]:
        urls = lists.unknown_urls(process, 20_000)
        others = Paced(urls, rate=MISSES_PER_S, seconds=wanted.seconds + 1)
        time.sleep(0.5)
        found = closed(process, lists.known_requests, seconds=wanted.seconds).told()
        return found | {"misses": others.result().told()}

    def at_a_rate(process: Process, _: int) -> dict[str, Any]:
        urls = lists.unknown_urls(process, 20_000)
        others = Paced(urls, rate=MISSES_PER_S, seconds=wanted.seconds)
        found = paced(lists.known_urls(process), rate=HITS_PER_S, seconds=wanted.seconds).told()
        return found | {"misses": others.result().told()}

    those = dict(running.of(Knows.REGISTRY))
    able = {name: process for name, process in those.items() if name != FASTAPI}
    return {
        "alone": _in_turn(those, wanted.rounds, alone),
        "together": _in_turn(those, wanted.rounds, together),
        "at_a_rate": _in_turn(able, wanted.rounds, at_a_rate),
    }


def start(servers: list[Server], stage: Stage) -> Runs:
    """From the start of the process to the first 200, and what it has resident then."""
    runs: Runs = {}
    for _ in range(STARTS):
        for server in servers:
            with server.process(stage) as process:
                run = {"started_s": round(process.started_s, 3), "rss_bytes": process.rss_bytes()}
                runs.setdefault(server.name, []).append(run)
    return runs


def workers(stage: Stage, servers: list[Server], lists: Lists, wanted: Wanted) -> Runs:
    """One worker and two, both on one core: what a request costs either way."""
    own = next(server for server in servers if server.name == OURS_ROW)
    two = Server(
        "two workers", own.knows, lambda stage, port: [*own.command(stage, port), "--workers", "2"], own.needs
    )
    one = Server("one worker", own.knows, own.command, own.needs)
    with warmed([one, two], stage, lists) as running:
        return hits(running, lists, wanted)


def median(runs: list[dict[str, Any]], key: str) -> float:
    """Give the median of a figure over the rounds."""
    return statistics.median(run[key] for run in runs)


def _in_turn(
    processes: Mapping[str, Process], rounds: int, ask: Callable[[Process, int], dict[str, Any]]
) -> Runs:
    runs: Runs = {name: [] for name in processes}
    for turn in range(rounds):
        for name, process in processes.items():
            runs[name].append(_undisturbed(lambda process=process, turn=turn: ask(process, turn)))
    return runs


def _undisturbed(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask again when the machine's host took too much away; of all tries the least disturbed counts."""
    tries: list[dict[str, Any]] = []
    for _ in range(TRIES):
        tries.append(ask())
        if tries[-1]["stolen"] <= STOLEN_MAX:
            break
    return min(tries, key=lambda run: float(run["stolen"])) | {"tries": len(tries)}
