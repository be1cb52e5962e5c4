"""How many registry requests a second one core does, by transport and event loop, and what each weighs.

    make build && .venv/bin/python bench/transports.py

Every candidate is asked through `Upstream.ask`, 64 at a time, in a process of its own on one core; the fake
registry, a protocol that answers a constant, has the other. Answers are checked, rounds are interleaved,
the median counts. `limit` is a client that neither builds nor parses anything: what the fake registry
itself can do. Where others use the machine too, only fetches per second of CPU time mean something.
"""

import argparse
import asyncio
import datetime as dt
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
KINDS = ("limit", "fast", "aiohttp", "pyreqwest", "httpx")
LOOPS = ("asyncio", "uvloop")
TOGETHER = 64
HANGING = 1000
BODY = b'{"cn":"Ramsey Steam Packet Company Limited","closed_on":"2021-12-31T23:00:00+01:00"}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-company-v1\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
VERSIONS = ("aiohttp", "httptools", "httpx", "pyreqwest", "uvloop")


class Answering(asyncio.Protocol):
    """The fake registry: one reply for each read, which is one request of a client that does not pipeline."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer, or hang where that is asked for."""
        if not data.startswith(b"GET /hang"):
            self.transport.write(REPLY)


class Flooding(asyncio.Protocol):
    """The client that does nothing but send and read."""

    replies = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self.transport = transport
        self.request = (
            b"GET /companies/119112C HTTP/1.1\r\nHost: 127.0.0.1:12345\r\n" + b"Accept: */*\r\n\r\n"
        )
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Ask again."""
        assert len(data) == len(REPLY)
        Flooding.replies += 1
        self.transport.write(self.request)


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Find an event loop by name."""
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


def rss_kb() -> int:
    """Read this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def serve() -> None:
    """Be the fake registry; tell the port, and end with standard input."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


async def measure_limit(port: int, seconds: float) -> dict[str, float]:
    """Count what the fake registry itself can do."""
    loop = asyncio.get_running_loop()
    for _ in range(TOGETHER):
        await loop.create_connection(Flooding, "127.0.0.1", port)
    before, cpu_s, began_s = Flooding.replies, time.process_time(), loop.time()
    await asyncio.sleep(seconds)
    took_s = loop.time() - began_s
    return {"per_s": (Flooding.replies - before) / took_s, "cpu": (time.process_time() - cpu_s) / took_s}


async def measure(kind: str, port: int, seconds: float) -> dict[str, float]:
    """Count what a candidate can do, and weigh what hangs."""
    from backendify.registry import RegistryKind
    from backendify.upstream import Upstream, make_transport

    if kind in {"aiohttp", "pyreqwest"}:
        from candidates import make_transport
    transport = make_transport(kind, ca_file=None, connections_max=HANGING + TOGETHER)
    upstream = Upstream(
        RegistryKind().parse(f"im=http://127.0.0.1:{port}"), transport=transport, connect_timeout_ms=5000
    )
    loop = asyncio.get_running_loop()
    end_s = 0.0
    done = 0

    async def customer() -> None:
        nonlocal done
        while loop.time() < end_s:
            reply = await upstream.ask("119112C", deadline_s=10)
            if reply.body != BODY or reply.status != 200:
                raise SystemExit(f"bench: {kind} got a wrong answer: {reply}")
            done += 1

    async def rush(for_s: float) -> dict[str, float]:
        nonlocal done, end_s
        done, cpu_s, began_s = 0, time.process_time(), loop.time()
        end_s = began_s + for_s
        await asyncio.gather(*[customer() for _ in range(TOGETHER)])
        took_s = loop.time() - began_s
        return {"per_s": done / took_s, "cpu": (time.process_time() - cpu_s) / took_s}

    await rush(0.3)
    result = await rush(seconds)
    result["per_cpu_s"] = result["per_s"] / result["cpu"]
    hanging = Upstream(
        RegistryKind().parse(f"im=http://127.0.0.1:{port}/hang"), transport=transport, connect_timeout_ms=9000
    )
    before_kb = rss_kb()
    tasks = [asyncio.create_task(hanging.ask(str(number), deadline_s=60)) for number in range(HANGING)]
    await asyncio.sleep(1.5)
    if any(task.done() for task in tasks):
        raise SystemExit(f"bench: {kind} did not hang")
    result["kb_a_fetch"] = (rss_kb() - before_kb) / HANGING
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await transport.aclose()
    return result


def run(kind: str, loop: str, port: int, seconds: float) -> None:
    """Be one client; print what was measured, and leave without waiting for anyone's threads."""
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        measuring = measure_limit(port, seconds) if kind == "limit" else measure(kind, port, seconds)
        print(json.dumps(runner.run(measuring)), flush=True)
        os._exit(0)


def compare(seconds: float, rounds: int) -> list[dict[str, object]]:
    """Run every candidate on every loop, round by round."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("bench: two cores are needed, one for the client, one for the registry")
    this = [sys.executable, __file__]
    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    with subprocess.Popen(
        [*this, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as registry:
        assert registry.stdin is not None
        assert registry.stdout is not None
        os.sched_setaffinity(registry.pid, {cores[1]})
        port = registry.stdout.readline().strip()
        for _ in range(rounds):
            for kind in KINDS:
                for loop in LOOPS if kind != "limit" else LOOPS[1:]:
                    client = subprocess.run(
                        [*this, "--client", kind, loop, port, "--seconds", str(seconds)],
                        preexec_fn=lambda: os.sched_setaffinity(0, {cores[0]}),
                        stdout=subprocess.PIPE,
                        check=True,
                        timeout=120,
                    )
                    runs.setdefault((kind, loop), []).append(json.loads(client.stdout))
        registry.stdin.close()
    return [
        {"transport": kind, "loop": loop}
        | {key: round(statistics.median(one[key] for one in several), 2) for key in several[0]}
        | {"runs_per_s": [round(one["per_s"]) for one in several]}
        for (kind, loop), several in runs.items()
    ]


def circumstances() -> dict[str, object]:
    """Say what made the numbers."""
    git = ["git", "-C", str(ROOT)]
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        "commit": subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip(),
        "changed_since": bool(
            subprocess.check_output([*git, "status", "--porcelain", "python", "bench/*.py"])
        ),
        "command": " ".join(["python", "bench/transports.py", *sys.argv[1:]]),
        "machine": f"{model[0].split(':')[1].strip() if model else 'unknown'}, {os.cpu_count()} cores",
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
    }


def report(results: list[dict[str, object]]) -> None:
    """Print the table."""
    print(
        f"{'transport':<11}{'loop':<9}{'fetches/s':>10}{'core busy':>11}{'per CPU s':>11}{'KB in flight':>14}"
    )
    for row in results:
        of_cpu = f"{row['per_cpu_s']:.0f}" if "per_cpu_s" in row else ""
        weight = f"{row['kb_a_fetch']:.1f}" if "kb_a_fetch" in row else ""
        print(f"{row['transport']:<11}{row['loop']:<9}{row['per_s']:>10.0f}{row['cpu']:>11.0%}", end="")
        print(f"{of_cpu:>11}{weight:>14}")


def main() -> None:
    """Compare, or be one of the processes compared."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if any(importlib.util.find_spec(name) is None for name in VERSIONS):
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--group", "bench"], cwd=ROOT, check=True
        )
    if arguments.serve:
        with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
            runner.run(serve())
    elif arguments.client:
        kind, loop, port = arguments.client
        run(kind, loop, int(port), arguments.seconds)
    else:
        results = compare(arguments.seconds, arguments.rounds)
        report(results)
        found = circumstances()
        path = ROOT / "bench" / "results" / f"transports-{str(found['date'])[:10]}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**found, "results": results}, indent=1) + "\n")
        print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
