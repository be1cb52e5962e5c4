"""A container of the service under its memory limit: started, measured from outside, stopped."""

import contextlib
import json
import os
import subprocess
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

IMAGE = os.environ.get("BACKENDIFY_IMAGE", "backendify")
LIMIT = ("--memory", "128m", "--memory-swap", "128m", "--cpus", "1", "--network", "host")
PORT = 19_400
ADMIN_PORT = 19_401
CACHE = "/tmp/backendify.cache"  # noqa: S108 - in the container
SAMPLE_S = 0.25


def docker(*arguments: str, given: bytes = b"", timeout_s: float = 600) -> str:
    """Run Docker and return what it prints; :class:`RuntimeError` with its own words when it fails."""
    done = subprocess.run(
        ["docker", *arguments], input=given, capture_output=True, check=False, timeout=timeout_s
    )
    if done.returncode:
        raise RuntimeError(f"docker {arguments[0]}: {done.stderr.decode(errors='replace').strip()[-1000:]}")
    return done.stdout.decode()


class Container:
    """The service in a container; what it used is read until it is stopped."""

    def __init__(self, told: Sequence[str], options: Sequence[str], *, core: int) -> None:
        """Start it: `told` is what else Docker is told, of its /tmp above all, `options` what the service is."""
        self.options = [
            *("--port", str(PORT), "--host", "127.0.0.1", "--admin", f"127.0.0.1:{ADMIN_PORT}"),
            *("--cache-path", CACHE, *options),
        ]
        limits = [*LIMIT, "--cpuset-cpus", str(core), *told]
        self.command = ["docker", "run", *limits, IMAGE, *self.options]
        self.name = docker("run", "--detach", *limits, IMAGE, *self.options).strip()
        pid = int(docker("inspect", "--format", "{{.State.Pid}}", self.name))
        self.group = _memory_group(pid)
        """The folder of its memory control group."""
        self.peak_held_bytes = 0
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._sampler.join()
        docker("rm", "--force", "--volumes", self.name)

    def wait_until_ready(self, within_s: float = 60) -> None:
        """Wait for /status; :class:`RuntimeError` with the service's log when it does not come."""
        for _ in range(int(within_s / 0.1)):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/status", timeout=1).close()
                return
            time.sleep(0.1)
        raise RuntimeError(f"the service does not answer: {self.log()}")

    def log(self) -> list[str]:
        """Read what the service wrote on standard error."""
        done = subprocess.run(
            ["docker", "logs", self.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        return done.stderr.splitlines()

    def stats(self) -> dict[str, object]:
        """Ask the operators' listener."""
        with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN_PORT}/stats", timeout=10) as answer:
            found: dict[str, object] = json.load(answer)
            return found

    def memory(self) -> dict[str, object]:
        """Tell what the group used so far, in bytes; `held` is what the kernel cannot drop."""
        state = json.loads(docker("inspect", "--format", "{{json .State}}", self.name))
        stat = self._stat()
        return {
            "peak_bytes": self._number("memory.max_usage_in_bytes", "memory.peak"),
            "peak_held_bytes": self.peak_held_bytes,
            "file_bytes": stat.get("total_cache", stat.get("file", 0)) - _shmem(stat),
            "major_faults": stat.get("total_pgmajfault", stat.get("pgmajfault", 0)),
            "oom_killed": state["OOMKilled"],
            "running": state["Running"],
        }

    def forget_peak(self) -> None:
        """Begin the peaks anew: the loader's memory is not the service's. Group v2 keeps its own peak."""
        self.peak_held_bytes = 0
        with contextlib.suppress(OSError):
            (self.group / "memory.max_usage_in_bytes").write_text("0")

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_S):
            stat = self._stat()
            held = stat.get("total_rss", stat.get("anon", 0)) + _shmem(stat)
            self.peak_held_bytes = max(self.peak_held_bytes, held)

    def _stat(self) -> Mapping[str, int]:
        with contextlib.suppress(OSError):
            rows = (line.split() for line in (self.group / "memory.stat").read_text().splitlines())
            return {name: int(value) for name, value in rows}
        return {}

    def _number(self, *names: str) -> int | None:
        for name in names:
            with contextlib.suppress(OSError):
                return int((self.group / name).read_text())
        return None


def _shmem(stat: Mapping[str, int]) -> int:
    return stat.get("total_shmem", stat.get("shmem", 0))


def _memory_group(pid: int) -> Path:
    """Find a process's memory control group, version 1 or 2, as this machine sees it."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return Path(f"/sys/fs/cgroup/memory{path}")
        if number == "0" and Path(f"/sys/fs/cgroup{path}/memory.stat").exists():
            return Path(f"/sys/fs/cgroup{path}")
    raise RuntimeError("no memory control group")
