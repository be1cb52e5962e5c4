"""The service under fire: in a container of 128 MB on one core, flaky registries and impatient customers on the other.

    make fire                               # every part but `memory`
    .venv/bin/python bench/fire.py fire storm
    .venv/bin/python bench/fire.py memory   # ten minutes
    .venv/bin/python bench/fire.py fire --server axum   # or fastapi: the same load on bench/peers, after `make bench`

Each part starts a container of its own, cold, plays a profile of `backendify rehearse` against it (`misses`: wrk and a
registry that answers at once), and holds what it found against its goals. Written to bench/results/fire-DATE.json, with
a plot beside it for each rehearsal. Exits 1 when a goal was missed. Needs root, Docker, wrk and two cores.
"""

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from container import LIMIT, PORT, Container
from fire_goals import (
    Goal,
    abandon_goals,
    fire_goals,
    maintenance_goals,
    memory_goals,
    misses_goals,
    noise_goals,
    outage_goals,
    storm_goals,
    table,
    throttle_goals,
)
from limits import Limits
from process import Process
from transports import Answering

Result = TypeVar("Result")
ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
DATE = f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}"
SERVICE_CORE, OTHER_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]  # the registry's process has one
REGISTRY_PORTS = {"im": 19_501, "ru": 19_502, "us": 19_503}
PLACE = ("--tmpfs", "/tmp:size=100m,mode=1777")  # noqa: S108 - the container's
MISSES_S, MISSES_ROUNDS = 15, 2
# Customers at once: with more than four httpx's own transport gets slower, with 64 it misses the deadline.
MISSES_TOGETHER = {"fast": 64, "httpx": 4}
MEMORY_S = 600
PEERS = {
    "axum": [str(ROOT / "bench" / "peers" / "axum_moka" / "target" / "release" / "axum-moka")],
    "fastapi": [
        str(ROOT / "bench" / ".venv" / "bin" / "python"),
        str(ROOT / "bench" / "peers" / "fastapi_service.py"),
    ],
}
PEERS_PARTS = ("fire", "outage", "storm", "flaky", "garbage", "maintenance")


def rehearse(
    name: str, change: Callable[[str], str] = lambda text: text, options: tuple[str, ...] = (), case: str = ""
) -> dict[str, Any]:
    """Play a shipped profile, changed, against a new container: its report, and what /stats says at the end."""
    case = case or name
    text, countries = profile_with_ports(name)
    with service(countries, options) as container:
        with Limits(container.stats) as limits:
            report = play(change(text), case, PORT, str(container.group))
        return report | {
            "limits": limits.by_second(),
            "container": container.command,
            "log": container.log(),
            "stats": container.stats(),
            "memory": container.memory(),
        }


def rehearse_peer(name: str, server: str) -> dict[str, Any]:
    """Play a shipped profile against another server: on the service's core, without its limit of memory."""
    text, countries = profile_with_ports(name)
    pairs = [f"{country}=http://127.0.0.1:{REGISTRY_PORTS[country]}" for country in countries]
    command = [*PEERS[server], "--port", str(PORT), *pairs]
    with (
        tempfile.TemporaryDirectory() as folder,
        Process(command, PORT, core=SERVICE_CORE, log=Path(folder) / "log") as process,
    ):
        return play(text, f"{server}-{name}", PORT, str(process.pids()[0]))


def profile_with_ports(name: str) -> tuple[str, list[str]]:
    """Read a shipped profile with ports for its registries, and its countries."""
    text = (files("backendify.rehearsal") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    countries = re.findall(r"^\[registries\.(\w+)\]", text, re.MULTILINE)
    for country in countries:
        table = f"[registries.{country}]"
        text = text.replace(table, f"{table}\nport = {REGISTRY_PORTS[country]}")
    return text, countries


def play(profile: str, case: str, port: int, memory_of: str) -> dict[str, Any]:
    """Have customers and registries come, on the other core: their report."""
    with tempfile.TemporaryDirectory() as folder:
        path, score = Path(folder) / f"{case}.toml", Path(folder) / "score.json"
        path.write_text(profile, encoding="utf-8")
        command = ["taskset", "--cpu-list", str(OTHER_CORE), sys.executable, "-m", "backendify", "rehearse"]
        command += [str(path), "--sla", "0", "--target", f"http://127.0.0.1:{port}", "--memory-of", memory_of]
        command += ["--json", str(score), "--plot", str(RESULTS / f"fire-{DATE}-{case}.svg")]
        subprocess.run(command, check=False)
        report: dict[str, Any] = json.loads(score.read_text(encoding="utf-8"))
        return report | {"profile": case}


def with_line(key: str, value: float) -> Callable[[str], str]:
    """Change a key that the profile has."""

    def change(text: str) -> str:
        changed, count = re.subn(rf"^{key} = [^ #\n]+", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count == 1, key
        return changed

    return change


def play_fire() -> tuple[list[Goal], object]:
    """Play everything at once, for a minute."""
    report = rehearse("fire")
    return fire_goals(report), report


def play_outage() -> tuple[list[Goal], object]:
    """Take all registries away for 20 s."""
    report = rehearse("outage")
    return outage_goals(report), report


def play_storm() -> tuple[list[Goal], object]:
    """Have customers ask four times while a registry hangs; and, to compare, once."""
    storm = rehearse("storm")
    calm = rehearse("storm", with_line("retries", 0), case="storm-calm")
    return storm_goals(storm, calm), {"storm": storm, "calm": calm}


def play_throttle() -> tuple[list[Goal], object]:
    """Ask a registry that bears 400 a second for twice as many."""
    report = rehearse("throttle")
    per_s = re.findall(r"{ per_s = (\d+)", profile_with_ports("throttle")[0])
    return throttle_goals(report, per_s=float(per_s[0])), report


def play_flaky() -> tuple[list[Goal], object]:
    """Ask registries that do a little of everything that is wrong."""
    report = rehearse("flaky")
    return noise_goals(report, of_bound=99), report


def play_garbage() -> tuple[list[Goal], object]:
    """Ask registries that answer promptly, and mostly what cannot be used."""
    report = rehearse("garbage")
    return noise_goals(report, of_bound=97), report


def play_maintenance() -> tuple[list[Goal], object]:
    """Have each registry in turn ask to be left alone."""
    report = rehearse("maintenance")
    return maintenance_goals(report), report


def play_abandon() -> tuple[list[Goal], object]:
    """Leave a thousand tries unanswered, and look at what is left of them."""
    report = rehearse("abandon")
    return abandon_goals(report), report


def play_memory() -> tuple[list[Goal], object]:
    """Play the fire for ten minutes; every minute has its outages."""

    def change(text: str) -> str:
        def repeated(found: re.Match[str]) -> str:
            begin_s, rest = float(found[1]), found[2]
            every = [f"{{ begin_s = {begin_s + minute * 60:g},{rest} }}" for minute in range(MEMORY_S // 60)]
            return f"outages = [{', '.join(every)}]"

        text = re.sub(r"outages = \[\{ begin_s = ([\d.]+),(.*?) \}\]", repeated, text)
        return with_line("duration_s", MEMORY_S)(text)

    report = rehearse("fire", change, case="memory")
    return memory_goals(report), report


def play_misses() -> tuple[list[Goal], object]:
    """Count the misses a second against a registry that answers at once, on our transport and on httpx's own."""
    runs: dict[str, list[dict[str, float]]] = {transport: [] for transport in MISSES_TOGETHER}
    command = ["taskset", "--cpu-list", str(OTHER_CORE), sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as registry:
        assert registry.stdout
        if not registry.stdout.readline():
            raise RuntimeError("the registry that answers at once did not start")
        for _ in range(MISSES_ROUNDS):
            for transport, together in MISSES_TOGETHER.items():
                with service(["im"], ("--transport", transport)):
                    runs[transport].append(ask_for_unique_companies(together))
        assert registry.stdin
        registry.stdin.close()
    return misses_goals(runs), runs


def ask_for_unique_companies(together: int) -> dict[str, float]:
    """Ask with wrk, closed loop: a second or two to warm up, then counted."""
    found: dict[str, float] = {}
    for first, seconds in ((0, 2), (1_000_000, MISSES_S)):
        command = ["taskset", "--cpu-list", str(OTHER_CORE), "wrk", "--threads", "1", "--timeout", "10"]
        command += ["--connections", str(together), "--duration", str(seconds)]
        command += ["--script", str(ROOT / "bench" / "unique.lua"), f"http://127.0.0.1:{PORT}"]
        command += ["--", str(first), "im"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
        found = json.loads(done.stderr.splitlines()[-1])
    found["per_s"] = round((found["requests"] - found["not_200"]) / found["seconds"], 1)
    return found


PARTS: dict[str, Callable[[], tuple[list[Goal], object]]] = {
    "fire": play_fire,
    "outage": play_outage,
    "storm": play_storm,
    "throttle": play_throttle,
    "flaky": play_flaky,
    "garbage": play_garbage,
    "maintenance": play_maintenance,
    "misses": play_misses,
    "abandon": play_abandon,
    "memory": play_memory,
}

SERIES = ("seconds", "tries_by_second", "server_seconds", "limits")
PARTS_USUAL = [part for part in PARTS if part != "memory"]  # ten minutes


@contextlib.contextmanager
def service(countries: list[str], options: tuple[str, ...]) -> Iterator[Container]:
    """Run the service in its container, for these registries."""
    pairs = [f"{country}=http://127.0.0.1:{REGISTRY_PORTS[country]}" for country in countries]
    with Container(PLACE, [*options, *pairs], core=SERVICE_CORE) as container:
        container.wait_until_ready()
        yield container


async def serve() -> None:
    """Be the registry that answers at once, until standard input ends."""
    loop = asyncio.get_running_loop()
    await loop.create_server(Answering, "127.0.0.1", REGISTRY_PORTS["im"], backlog=4096)
    print("listening", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def circumstances() -> dict[str, object]:
    """Say what made the numbers."""
    git = ["git", "-C", str(ROOT)]
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    changed = subprocess.check_output([*git, "status", "--porcelain", "python", "rust", "bench/*.py"])
    return {
        "date": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        "commit": subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip(),
        "changed_since": bool(changed),
        "command": " ".join(["python", "bench/fire.py", *sys.argv[1:]]),
        "limits": " ".join([*LIMIT, "--cpuset-cpus", str(SERVICE_CORE)]),
        "machine": f"{model[0].split(':')[1].strip() if model else 'unknown'}, {os.cpu_count()} cores",
        "system": platform.platform(),
        "load_average_before": os.getloadavg(),
    }


def main() -> None:
    """Play the parts asked for, tell what was found, and keep it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--server", choices=("ours", *PEERS), default="ours", help="whose, on the service's core"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
        return
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"{unknown.pop()}: expected {', '.join(PARTS)}")
    if given.server == "ours":
        goals = [goal for part in given.parts or PARTS_USUAL for goal in keep(part, *timed(PARTS[part]))]
        print(table(goals))
        sys.exit(0 if all(goal.met for goal in goals) else 1)
    for part in given.parts or PEERS_PARTS:
        report, found = timed(lambda part=part: rehearse_peer(part, given.server))
        keep(f"{given.server}-{part}", ([], report), found)


def timed(work: Callable[[], Result]) -> tuple[Result, dict[str, object]]:
    """Do it, and say what made its numbers."""
    found, began_s = circumstances(), time.monotonic()
    result = work()
    found |= {"load_average_after": os.getloadavg(), "seconds": round(time.monotonic() - began_s)}
    return result, found


def without_series(details: object) -> object:
    """Leave out what is told by the second: the plots have it."""
    if isinstance(details, dict):
        return {key: without_series(value) for key, value in details.items() if key not in SERIES}
    return details


def keep(part: str, result: tuple[list[Goal], object], found: dict[str, object]) -> list[Goal]:
    """Write a part's result beside the others': one that is played again replaces itself. Gives its goals."""
    goals, details = result
    path = RESULTS / f"fire-{DATE}.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    kept[part] = found | {"goals": [goal.told() for goal in goals], "details": without_series(details)}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    print(f"written to {path.relative_to(ROOT)}")
    return goals


if __name__ == "__main__":
    main()
