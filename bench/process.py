"""A server as a process on a core of its own: started, weighed, ended."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

SERVER_CORE, LOAD_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
READY_S_MAX, END_S_MAX = 20.0, 15.0
POLL_S = 0.002
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Process:
    """One that listens on a port of 127.0.0.1; ends with the `with` block."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        *,
        core: int = SERVER_CORE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command, self.port, self.core = list(command), port, core
        self.files: Path | None = None
        """The folder where it keeps what it knows, if it does so in files."""
        self.started_s = 0.0
        """From the start of the process until it answered 200."""
        self._environment = os.environ | (environment or {})
        self._log = log

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._start(log)
        return self

    def _start(self, log: IO[bytes]) -> None:
        begun_s = time.monotonic()
        self._process = subprocess.Popen(
            ["taskset", "--cpu-list", str(self.core), *self.command],
            env=self._environment,
            stdout=log,
            stderr=log,
            process_group=0,
        )
        try:
            self._wait(begun_s + READY_S_MAX)
        except BaseException:
            self._end()
            raise
        self.started_s = time.monotonic() - begun_s

    def _wait(self, until_s: float) -> None:
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError(f"{' '.join(self.command)} did not start: {self._log.read_text()}")
            time.sleep(POLL_S)

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _is_ready(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(f"http://127.0.0.1:{self.port}/status", timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 404  # a registry: it has no such page, and is there
        except OSError:
            return False
        return True

    def pids(self) -> list[int]:
        """List the process and all below it."""
        return list(_tree(self._process.pid))

    def cpu_s(self) -> float:
        """Sum up the processor's time that all of them have used."""
        return sum(_ticks(pid) for pid in self.pids()) / TICKS_PER_S

    def rss_bytes(self) -> int:
        """Sum up what all of them have resident; pages shared between them count for each."""
        return sum(_kilobytes(pid, "status", "VmRSS") for pid in self.pids()) * 1024

    def pss_bytes(self) -> int:
        """Sum up the same, each shared page counted once."""
        return sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in self.pids()) * 1024

    def file_bytes(self) -> int:
        """Sum up the memory that its files take: whole blocks. 0 for those that keep nothing in files."""
        walk = os.walk(self.files) if self.files else []
        return sum((Path(where) / name).stat().st_blocks * 512 for where, _, names in walk for name in names)


def free_port() -> int:
    """Find one that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Core:
    """What a core has done since the machine's start."""

    busy_s: float
    stolen_s: float
    """In which the machine's host gave it to others."""

    @classmethod
    def now(cls, number: int) -> Self:
        """Read it."""
        lines = Path("/proc/stat").read_text().splitlines()
        line = next(line for line in lines if line.startswith(f"cpu{number} "))
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, line.split()[1:])
        return cls((user + nice + system + irq + softirq) / TICKS_PER_S, steal / TICKS_PER_S)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _kilobytes(pid: int, file: str, name: str) -> int:
    """Read a number of a process; 0 for one that ended meanwhile, as a server's helpers do at its start."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0
