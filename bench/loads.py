"""The two loads: wrk asks as fast as it is answered (closed loop), oha at a given rate (open loop)."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from customers import FIELDS
from process import LOAD_CORE, SERVER_CORE, Core, Process

ROOT = Path(__file__).parent.parent
OHA = ROOT / "bench" / ".tools" / "bin" / "oha"
CONNECTIONS = 64
# A load whose own core was busy for longer than this share of the time may itself have been what was measured.
SATURATED = 0.97


@dataclass(frozen=True, slots=True)
class Closed:
    """What wrk saw."""

    per_s: float
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    not_200: int
    broken: int
    wrapped: bool
    """The list came to its end: what was unknown had become known."""
    load_core: float
    """Share of the time in which the load's core was busy."""
    stolen: float
    """Share of both cores' time that the machine's host gave to others."""
    server_cpu_us: float
    """Of the server's processes, for each request."""

    def told(self) -> dict[str, Any]:
        """For the results' file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Open:
    """What oha saw: latencies count from when a request was due."""

    per_s: float
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    not_200: int
    load_core: float
    stolen: float

    def told(self) -> dict[str, Any]:
        """For the results' file."""
        return asdict(self)


class Watch:
    """Watches both cores from now on."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()
        self._load, self._server = Core.now(LOAD_CORE), Core.now(SERVER_CORE)

    def shares(self) -> tuple[float, float]:
        """Give how busy the load's core was, and how much of both was stolen."""
        took_s = time.monotonic() - self._begun_s
        load, server = Core.now(LOAD_CORE), Core.now(SERVER_CORE)
        stolen_s = load.stolen_s - self._load.stolen_s + server.stolen_s - self._server.stolen_s
        return round((load.busy_s - self._load.busy_s) / took_s, 3), round(stolen_s / took_s / 2, 3)


def closed(
    server: Process, requests: Path, *, seconds: float, first: int = 0, connections: int = CONNECTIONS
) -> Closed:
    """Walk the list of `requests` from the one numbered `first`."""
    command = ["taskset", "--cpu-list", str(LOAD_CORE), "wrk", "--threads", "1", "--timeout", "10s"]
    command += ["--connections", str(connections), "--duration", f"{round(seconds)}s"]
    command += ["--script", str(ROOT / "bench" / "walk.lua"), f"http://127.0.0.1:{server.port}", "--"]
    watch, cpu_before_s = Watch(), server.cpu_s()
    done = subprocess.run(
        [*command, str(requests), str(first)],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    load_core, stolen = watch.shares()
    told = json.loads(done.stderr.splitlines()[-1])
    return Closed(
        per_s=round(told["requests"] / told["seconds"]),
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        p99_9_ms=told["p99_9_ms"],
        not_200=told["not_200"],
        broken=told["broken"],
        wrapped=told["walked"] > told["length"],
        load_core=load_core,
        stolen=stolen,
        server_cpu_us=round((server.cpu_s() - cpu_before_s) / max(told["requests"], 1) * 1e6, 2),
    )


class Paced:
    """Requests at a given rate, until told otherwise or for so long; several may run at once."""

    def __init__(self, urls: Path, *, rate: float, seconds: float) -> None:
        command = ["taskset", "--cpu-list", str(LOAD_CORE), str(OHA), "--no-tui", "--output-format", "json"]
        command += ["-c", str(CONNECTIONS), "-q", str(round(rate)), "-z", f"{round(seconds)}s"]
        command += [
            "--latency-correction",
            "--disable-compression",
            *_fields(),
            "--urls-from-file",
            str(urls),
        ]
        self._watch = Watch()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._patience_s = seconds + 60

    def result(self) -> Open:
        """Wait for its end."""
        out, error = self._process.communicate(timeout=self._patience_s)
        if self._process.returncode:
            raise RuntimeError(f"oha: {error}")
        load_core, stolen = self._watch.shares()
        told = json.loads(out)
        statuses = told["statusCodeDistribution"]
        latencies = told["latencyPercentiles"]
        return Open(
            per_s=round(sum(statuses.values()) / told["summary"]["total"]),
            p50_ms=round(latencies["p50"] * 1e3, 3),
            p99_ms=round(latencies["p99"] * 1e3, 3),
            p99_9_ms=round(latencies["p99.9"] * 1e3, 3),
            not_200=sum(count for status, count in statuses.items() if status != "200"),
            load_core=load_core,
            stolen=stolen,
        )


def paced(urls: Path, *, rate: float, seconds: float) -> Open:
    """Ask at a rate, each request for a random one of the list."""
    return Paced(urls, rate=rate, seconds=seconds).result()


def _fields() -> Sequence[str]:
    return [part for line in FIELDS if not line.startswith("Connection") for part in ("-H", line)]
