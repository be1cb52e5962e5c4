"""A million companies in memory and eighteen million with the disk, in containers of 128 MB: kept, and found again.

    make millions        # needs root, Docker, wrk, fincore, and two cores

`memory`: the service in a container with a tmpfs at /tmp and the cache size that it chooses; a loader in the same
container stores the companies; then each is asked for over HTTP, and its answer checked. `disk`: a volume at /tmp and
`--cache-size 800M`; two loaders without the limit fill the file, its pages are dropped from the machine's memory, and
the service starts over it with the limit, so that what it then reads is charged to it. wrk asks for uniformly
random companies; then a random sample is asked for once more, and its answers checked.
The registries' addresses refuse connections, so that only what the cache knows is answered with 200. The service has
one core, who asks it the other.
"""

import argparse
import datetime as dt
import json
import os
import platform
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from asker import ask_all
from container import CACHE, IMAGE, PORT, Container, docker
from varied import COUNTRIES, LETTERS, Varied, registries

ROOT = Path(__file__).parent.parent
LOADER = (ROOT / "bench" / "varied.py").read_bytes()
MIB = 1 << 20
LIFETIMES_MS = {"ttl_ms": 86_400_000, "negative_ttl_ms": 3_600_000, "stale_ms": 0}  # the defaults
ASK_S_MAX = 240.0
SAMPLE_S_MAX = 45.0
SERVICE_CORE, ASKER_CORE = sorted(os.sched_getaffinity(0))[:2]
GOAL_PER_S, GOAL_P99_9_MS = 5_000, 25.0


def options(companies: int, *cache_size: str) -> list[str]:
    """Write the service's options."""
    return [*cache_size, *(f"{country}={url}" for country, url in registries(companies))]


def loading(cache_bytes: int, places: range, of: int) -> str:
    """Write the loader's argument."""
    part = [places.start, places.stop]
    return json.dumps(
        {"path": CACHE, "cache_bytes": cache_bytes, "lifetimes_ms": LIFETIMES_MS, "places": part, "of": of}
    )


def in_memory(told: list[str], companies: int, cache_size: str) -> dict[str, object]:
    """Show that `companies` are kept in a tmpfs and found again."""
    place = ["--tmpfs", "/tmp:size=100m,mode=1777"]  # noqa: S108 - the container's
    wanted = [] if cache_size == "auto" else ["--cache-size", cache_size]
    with Container([*told, *place], options(companies, *wanted), core=SERVICE_CORE) as service:
        service.wait_until_ready()
        # The file is what the service reserved: a header and whole buckets, so its length is the size to open it with.
        cache_bytes = int(docker("exec", service.name, "stat", "--format", "%s", CACHE))
        loader = ["exec", "--interactive", service.name, "python", "-"]
        filling = docker(*loader, loading(cache_bytes, range(companies), companies), given=LOADER)
        with_loader = service.memory()
        service.forget_peak()
        asked = ask_all(range(companies), core=ASKER_CORE, seconds_max=ASK_S_MAX)
        cache = service.stats()["cache"]
        return {
            "case": "memory",
            "cache_size": cache_size,
            "cache_bytes": cache_bytes,
            "companies": companies,
            "container": service.command,
            "log": service.log(),
            "filling": json.loads(filling),
            "memory_with_loader": with_loader,
            "asked": asked.told(),
            "cache": cache,
            "memory": service.memory(),
        }


def on_disk(
    told: list[str], companies: int, cache_size_mib: int, seconds: int, checked: int
) -> dict[str, object]:
    """Show that `companies` are kept on a disk, and how fast random ones are found from a cold start."""
    volume = docker("volume", "create").strip()
    try:
        folder = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume).strip())
        folder.chmod(0o1777)
        place = ["--volume", f"{volume}:/tmp"]
        filling = fill_volume(place, cache_size_mib * MIB, companies)
        drop_pages(folder / Path(CACHE).name)
        wanted = options(companies, "--cache-size", f"{cache_size_mib}M")
        with Container([*told, *place], wanted, core=SERVICE_CORE) as service:
            service.wait_until_ready()
            loads = [load(companies, seconds, connections) for connections in (4, 16)]
            memory = service.memory()
            places = random.Random(20).sample(range(companies), min(checked, companies))  # noqa: S311
            asked = ask_all(places, core=ASKER_CORE, seconds_max=SAMPLE_S_MAX)
            return {
                "case": "disk",
                "cache_size": f"{cache_size_mib}M",
                "companies": companies,
                "container": service.command,
                "log": service.log(),
                "filling": filling,
                "loads": loads,
                "memory_after_loads": memory,
                "asked": asked.told(),
                "cache": service.stats()["cache"],
                "memory": service.memory(),
            }
    finally:
        docker("volume", "rm", "--force", volume)


def fill_volume(place: list[str], cache_bytes: int, companies: int) -> dict[str, object]:
    """Let two loaders share the work, each in a container with memory enough."""
    command = ["docker", "run", "--rm", "--interactive", *place, "--entrypoint", "python", IMAGE, "-"]
    half = companies // 2
    started_s = time.monotonic()
    loaders = []
    for part in (range(half), range(half, companies)):
        argument = loading(cache_bytes, part, companies)
        loader = subprocess.Popen([*command, argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert loader.stdin
        loader.stdin.write(LOADER)
        loader.stdin.close()
        loaders.append(loader)
    told = [json.loads(loader.stdout.read()) for loader in loaders if loader.stdout]
    if any(loader.wait() for loader in loaders):
        raise RuntimeError("a loader failed")
    last = max(told, key=lambda one: int(one["kept"] + one["records"]))
    return {
        "kept": sum(one["kept"] for one in told),
        "refused": sum(one["refused"] for one in told),
        "seconds": round(time.monotonic() - started_s, 1),
        "evictions": last["evictions"],
        "records": last["records"],
        "loaders": told,
    }


def drop_pages(file: Path) -> None:
    """Write a file to the disk and have the machine forget it; :class:`RuntimeError` when pages stay."""
    with file.open("rb") as cache:
        os.fsync(cache.fileno())
        os.posix_fadvise(cache.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    left = subprocess.check_output(["fincore", "--bytes", "--noheadings", "--output", "RES", file], text=True)
    if int(left) > file.stat().st_size // 100:
        raise RuntimeError(f"{left.strip()} bytes of the cache file are still in the machine's memory")


def load(companies: int, seconds: int, connections: int) -> dict[str, object]:
    """Ask for uniformly random companies with wrk, closed loop."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as numbers:
        numbers.write("".join(f"{number}\n" for number in Varied().numbers))
        numbers.flush()
        command = ["taskset", "--cpu-list", str(ASKER_CORE), "wrk", "--threads", "1", "--timeout", "10"]
        command += ["--connections", str(connections), "--duration", str(seconds)]
        command += ["--script", str(ROOT / "bench" / "millions.lua"), f"http://127.0.0.1:{PORT}", "--"]
        command += [numbers.name, str(companies), ",".join(COUNTRIES), LETTERS, str(connections)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    result: dict[str, object] = json.loads(done.stderr.splitlines()[-1])
    return {"connections": connections} | result


def circumstances() -> dict[str, object]:
    """Say what made the numbers."""
    git = ["git", "-C", str(ROOT)]
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        "commit": subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip(),
        "changed_since": bool(
            subprocess.check_output([*git, "status", "--porcelain", "python", "rust", "bench/*.py"])
        ),
        "command": " ".join(["python", "bench/millions.py", *sys.argv[1:]]),
        "machine": f"{model[0].split(':')[1].strip() if model else 'unknown'}, {os.cpu_count()} cores",
        "system": platform.platform(),
        "load_average_before": os.getloadavg(),
    }


def table(result: dict[str, object]) -> str:
    """Write a case for people."""
    filling, asked, memory, cache = (result[name] for name in ("filling", "asked", "memory", "cache"))
    assert isinstance(filling, dict)
    assert isinstance(asked, dict)
    assert isinstance(memory, dict)
    assert isinstance(cache, dict)
    peaks = result.get("memory_with_loader") or memory
    assert isinstance(peaks, dict)
    rows = [
        (f"{result['case']}, --cache-size {result['cache_size']}", f"{result['companies']:,} companies"),
        ("stored", f"{filling['kept']:,} in {filling['seconds']:.0f} s, {filling['evictions']:,} evicted"),
        ("asked over HTTP", f"{asked['asked']:,} in {asked['seconds']:.0f} s"),
        ("found", f"{asked['found']:,} ({asked['found'] / asked['asked']:.3%})"),
        ("not found / wrong", f"{asked['not_found']:,} / {asked['wrong_count']:,}"),
        ("bytes of the cache taken", f"{cache['bytes'] / cache['capacity_bytes']:.2%}"),
        ("peak: anonymous + shared", f"{memory['peak_held_bytes'] / MIB:.1f} MiB"),
        ("peak: with the loader", f"{peaks['peak_held_bytes'] / MIB:.1f} MiB"),
        ("OOMKilled", f"{memory['oom_killed']}"),
    ]
    loads = result.get("loads", [])
    assert isinstance(loads, list)
    for one in loads:
        latency = f"p50 {one['p50_ms']:.1f}, p99 {one['p99_ms']:.1f}, p99.9 {one['p99_9_ms']:.1f} ms"
        rate = one["requests"] / one["seconds"]
        met = "met" if rate >= GOAL_PER_S and one["p99_9_ms"] <= GOAL_P99_9_MS else "missed"
        broken = f"{one['not_200']} not 200, {one['broken']} broken; goal {met}"
        rows.append((f"random, {one['connections']} connections", f"{rate:,.0f}/s, {latency}; {broken}"))
    return "\n".join(f"{name:<32}{value}" for name, value in rows) + "\n"


def main() -> None:
    """Show what is asked for and keep the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=("memory", "disk"), default=("memory", "disk"))
    parser.add_argument(
        "--cache-size", nargs="+", default=["auto"], help="of the case in memory; several are tried"
    )
    parser.add_argument("--in-memory", type=int, default=1_000_000, help="companies of the case in memory")
    parser.add_argument("--on-disk", type=int, default=18_000_000, help="companies of the case on a disk")
    parser.add_argument("--disk-cache-mib", type=int, default=800)
    parser.add_argument("--seconds", type=int, default=20, help="of each load")
    parser.add_argument(
        "--checked", type=int, default=200_000, help="companies checked of the case on a disk"
    )
    parser.add_argument(
        "--docker-options",
        default="",
        help="more for `docker run`, as one text: priority on a machine that is in use",
    )
    given = parser.parse_args()
    told = shlex.split(given.docker_options)
    found, results = circumstances(), []
    for case in given.cases:
        if case == "memory":
            results += [in_memory(told, given.in_memory, size) for size in given.cache_size]
        else:
            results.append(on_disk(told, given.on_disk, given.disk_cache_mib, given.seconds, given.checked))
    found["load_average_after"] = os.getloadavg()
    path = ROOT / "bench" / "results" / f"millions-{str(found['date'])[:10]}.json"
    path.write_text(json.dumps({**found, "results": results}, indent=1) + "\n")
    print("\n".join(table(result) for result in results))
    print(f"load average {found['load_average_before']} before, {found['load_average_after']} after")
    print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
