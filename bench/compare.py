"""The service beside others that do the same, or less: `make bench`.

The server has one core; the load, the fake registry and the origin have another. Every answer's truth is checked
first. Rounds are interleaved and the median counts; only ratios within one run mean something. README.md beside this
file tells the method, and what is not fair.
"""

import argparse
import json
import os
import signal
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import parts
from circumstances import circumstances
from goals import judged
from install import install
from lists import Lists
from parts import Running, Wanted, warmed
from plot import plotted
from process import LOAD_CORE, SERVER_CORE, Process, free_port
from servers import FULL, PYTHON, ROOMY, Knows, Server, Stage, compared, fill_origin, origin
from table import tables

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PARTS = ("hits", "latency", "memory", "misses", "mixed", "beside", "start", "workers")
MEMORY = Path("/dev/shm")  # noqa: S108 - nginx's files and our cache must lie in memory


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is asked for."""

    servers: list[Server]
    lists: Lists
    wanted: Wanted
    parts: frozenset[str]

    def run(self, stage: Stage) -> dict[str, Any]:
        """Measure every part that is asked for."""
        results: dict[str, Any] = {}
        if self.parts & {"hits", "latency", "memory"}:
            with warmed(self.servers, stage, self.lists) as running:
                results |= self._full(running)
        roomy = replace(stage, cache_size=ROOMY)
        if self.parts & {"misses", "mixed", "beside"}:
            whole = [server for server in self.servers if server.knows is Knows.REGISTRY]
            with warmed(whole, roomy, self.lists) as running:
                results |= self._with_misses(running)
        if "start" in self.parts:
            results["start"] = parts.start(self.servers, roomy)
        if "workers" in self.parts:
            results["workers"] = parts.workers(roomy, self.servers, self.lists, self.wanted)
        return results

    def _full(self, running: Running) -> dict[str, Any]:
        """Hits, latency and memory, the service's cache filled to where evictions begin."""
        results: dict[str, Any] = {"checked": dict(running.right), "cache": running.caches()}
        results["hits"] = parts.hits(running, self.lists, self.wanted)
        results["memory"] = parts.memory(running)
        if "latency" in self.parts:
            results["latency"] = parts.latency(running, self.lists, self.wanted, results["hits"])
        return results

    def _with_misses(self, running: Running) -> dict[str, Any]:
        measured = {"beside": parts.beside, "mixed": parts.mixed, "misses": parts.misses}
        return {
            part: measure(running, self.lists, self.wanted)
            for part, measure in measured.items()
            if part in self.parts
        }


def main() -> None:
    """Compare, tell, and keep the results."""
    given = _arguments()
    # Told to end, it ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lacking = [] if given.no_install else install()
    servers = [server for server in compared() if server.name not in given.without]
    for server in [server for server in servers if not server.is_there]:
        servers.remove(server)
        lacking.append(f"LEFT OUT: {server.name}: {server.needs} is not here")
    if len({SERVER_CORE, LOAD_CORE}) < 2:
        raise SystemExit("bench: two cores are needed, one for the server, one for the load")
    told = circumstances()
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="bench-") as folder, ExitStack() as running:
        lists = Lists(Path(folder))
        stage = _stage(Path(folder), lists, running)
        comparison = Comparison(servers, lists, Wanted(given.rounds, given.seconds), frozenset(given.parts))
        results = comparison.run(stage)
    goals = [goal.told() for goal in judged(results)]
    told |= {"load_average_after": os.getloadavg(), "lacking": lacking, "goals": goals, "results": results}
    print(tables(told))
    if given.quick:
        return
    path = RESULTS / f"hits-{told['date'][:10]}.json"
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".svg").write_text(plotted(told), encoding="utf-8")
    print(f"written to {path.relative_to(ROOT)}, and drawn beside it")


def _stage(folder: Path, lists: Lists, running: ExitStack) -> Stage:
    """Start whom the servers ask, on the load's core."""
    stage = Stage(folder, lists.answers(), free_port(), free_port(), FULL)
    fill_origin(stage, lists.companies())
    registry = [str(PYTHON / "python"), str(ROOT / "bench" / "registry.py"), str(stage.registry_port)]
    for command, port in ((registry, stage.registry_port), (origin(stage), stage.origin_port)):
        running.enter_context(Process(command, port, folder / f"{port}.log", core=LOAD_CORE))
    return stage


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each load, for each server")
    parser.add_argument("--without", nargs="+", default=[], metavar="ROW", help="leave rows out, by name")
    parser.add_argument("--no-install", action="store_true", help="compare what is here")
    parser.add_argument("--quick", action="store_true", help="one round of a second, nothing is kept")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.seconds = 1, 1
    return given


if __name__ == "__main__":
    main()
