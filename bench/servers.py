"""What is compared: how each server is started, and from where it knows its companies."""

import enum
import getpass
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from companies import COUNTRY, Company
from process import Process, free_port

from backendify._core import Question, Region

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "bench" / "peers"
PYTHON = ROOT / "bench" / ".venv" / "bin"
OURS = ROOT / ".venv" / "bin" / "backendify"
AXUM = PEERS / "axum_moka" / "target" / "release" / "axum-moka"
# 100,000 companies fill the first so far that the last of them begin to evict others.
FULL, ROOMY = "4300K", "64M"
ORIGIN_BYTES = 64 << 20

OURS_ROW, NO_LANE, NGINX, VARNISH, AXUM_ROW = (
    "ours",
    "ours, --no-lane",
    "nginx proxy_cache",
    "Varnish",
    "axum + moka",
)
CONSTANT, DICTIONARY, FASTAPI = "Granian, constant", "Granian, dictionary", "FastAPI"


class Knows(enum.Enum):
    """From where a server knows its companies."""

    REGISTRY = enum.auto()
    """It asks a registry, and does all the work of the service."""
    ORIGIN = enum.auto()
    """It forwards to a server that does."""
    FILE = enum.auto()
    """It reads a file at its start."""
    NOTHING = enum.auto()
    """It tells everybody the same."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the servers run: a folder in memory, and whom they may ask."""

    folder: Path
    companies: Path
    registry_port: int
    origin_port: int
    cache_size: str
    """Of the service's own."""

    @property
    def pair(self) -> str:
        """Write the registry as an argument."""
        return f"{COUNTRY}=http://127.0.0.1:{self.registry_port}"


Command = Callable[[Stage, int], list[str]]


@dataclass(frozen=True, slots=True)
class Server:
    """One row of the comparison."""

    name: str
    knows: Knows
    command: Command
    needs: Path | str
    """A file, or a program on the path, without which the row is left out."""
    environment: Callable[[Stage], Mapping[str, str]] = field(default=lambda _: {})

    @property
    def is_there(self) -> bool:
        """Whether it is installed."""
        return self.needs.exists() if isinstance(self.needs, Path) else shutil.which(self.needs) is not None

    @property
    def is_ours(self) -> bool:
        """Whether it is the service itself."""
        return self.needs == OURS

    def process(self, stage: Stage) -> Process:
        """Prepare to start it."""
        port = free_port()
        log = stage.folder / f"{_file_name(self.name)}.log"
        process = Process(self.command(stage, port), port, log, environment=self.environment(stage))
        process.files = stage.folder / f"nginx-{port}" if self.name == NGINX else None
        return process


def ours(stage: Stage, port: int, *more: str) -> list[str]:
    """Write the service's command; operators ask at the next port."""
    cache = stage.folder / f"ours-{port}.cache"
    command = [str(OURS), "--host", "127.0.0.1", "--port", str(port), "--admin", f"127.0.0.1:{port + 1}"]
    return [*command, "--cache-path", str(cache), "--cache-size", stage.cache_size, *more, stage.pair]


def origin(stage: Stage) -> list[str]:
    """Write the command of who knows the answers that nginx and Varnish keep."""
    command = [str(OURS), "--host", "127.0.0.1", "--port", str(stage.origin_port), "--admin", "off"]
    cache = ["--cache-path", str(stage.folder / "origin.cache"), "--cache-size", str(ORIGIN_BYTES)]
    return [*command, *cache, stage.pair]


def fill_origin(stage: Stage, companies: Iterable[Company]) -> None:
    """Write the origin's cache file, so that it knows them from the start."""
    region, _ = Region.open(
        str(stage.folder / "origin.cache"),
        bytes=ORIGIN_BYTES,
        registries=[(COUNTRY, f"http://127.0.0.1:{stage.registry_port}")],
        ttl_ms=86_400_000,
        negative_ttl_ms=3_600_000,
        stale_ms=0,
    )
    for company in companies:
        kind, body = company.registry_says(v2=False)
        region.keep(Question(0, company.number), 200, kind.encode(), body)


def cache_of(process: Process) -> dict[str, int]:
    """Ask the service how full its cache is."""
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port + 1}/stats", timeout=10) as reply:
        stats: dict[str, dict[str, int]] = json.load(reply)
    return stats["cache"]


def _granian(app: str, *more: str) -> Command:
    def command(_: Stage, port: int) -> list[str]:
        options = ["--interface", "asgi", "--http", "1", "--no-ws", "--loop", "uvloop", "--workers", "1"]
        options += ["--runtime-threads", "1", "--no-access-log", "--log-level", "warning", *more]
        options += ["--working-dir", str(PEERS), "--port", str(port)]
        return [str(PYTHON / "granian"), *options, f"{app}:app"]

    return command


def _fastapi(stage: Stage, port: int) -> list[str]:
    return [str(PYTHON / "python"), str(PEERS / "fastapi_service.py"), "--port", str(port), stage.pair]


def _axum(stage: Stage, port: int) -> list[str]:
    return [str(AXUM), "--port", str(port), stage.pair]


def _nginx(stage: Stage, port: int) -> list[str]:
    folder = stage.folder / f"nginx-{port}"
    folder.mkdir()
    template = Template((PEERS / "nginx.conf").read_text())
    names = {"FOLDER": folder, "USER": getpass.getuser(), "PORT": port, "ORIGIN": stage.origin_port}
    configuration = folder / "nginx.conf"
    configuration.write_text(template.safe_substitute(names))
    return ["nginx", "-p", str(folder), "-c", str(configuration)]


def _varnish(stage: Stage, port: int) -> list[str]:
    folder = stage.folder / f"varnish-{port}"
    folder.mkdir()
    configuration = folder / "default.vcl"
    text = (PEERS / "varnish.vcl").read_text()
    configuration.write_text(text.replace("$ORIGIN", str(stage.origin_port)))
    command = ["varnishd", "-F", "-j", "none", "-n", str(folder / "work"), "-f", str(configuration)]
    command += ["-a", f"127.0.0.1:{port}", "-s", "malloc,1g", "-t", "86400"]
    return [*command, "-p", "thread_pools=1"]


def has_lane() -> bool:
    """Whether the service in this tree has a lane to switch off."""
    done = subprocess.run([OURS, "--help"], capture_output=True, text=True, check=True)
    return "--no-lane" in done.stdout


def compared() -> list[Server]:
    """List all rows, those that are not installed too."""
    companies: Callable[[Stage], Mapping[str, str]] = lambda stage: {"COMPANIES": str(stage.companies)}  # noqa: E731
    rows = [Server(OURS_ROW, Knows.REGISTRY, ours, OURS)]
    if has_lane():
        without = lambda stage, port: ours(stage, port, "--no-lane")  # noqa: E731
        rows.append(Server(NO_LANE, Knows.REGISTRY, without, OURS))
    return [
        *rows,
        Server(NGINX, Knows.ORIGIN, _nginx, "nginx"),
        Server(VARNISH, Knows.ORIGIN, _varnish, "varnishd"),
        Server(AXUM_ROW, Knows.REGISTRY, _axum, AXUM),
        Server(CONSTANT, Knows.NOTHING, _granian("granian_constant"), PYTHON / "granian"),
        Server(
            "Granian, constant, tasks in Rust",
            Knows.NOTHING,
            _granian("granian_constant", "--task-impl", "rust"),
            PYTHON / "granian",
        ),
        Server(DICTIONARY, Knows.FILE, _granian("granian_dict"), PYTHON / "granian", companies),
        Server(FASTAPI, Knows.REGISTRY, _fastapi, PYTHON / "uvicorn"),
    ]


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
